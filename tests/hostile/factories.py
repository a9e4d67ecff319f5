"""Factories that do to their process what no factory should, each named after what it does."""

import builtins
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def small() -> tuple[nn.Module, Tensor]:
    """One dense layer."""
    return nn.Linear(8, 16), torch.ones(4, 8)


class Returning(nn.Module):
    """A dense layer whose outputs something else is made of."""

    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.wrap = nn.Linear(8, 16), wrap

    def forward(self, x: Tensor) -> Any:
        return self.wrap(self.layer(x))


def exits() -> Any:
    sys.exit(3)


def exits_at_once() -> Any:
    os._exit(3)


def interrupts() -> Any:
    raise KeyboardInterrupt


def raises() -> Any:
    raise RuntimeError("the weights are on another disk")


def raises_nothing_said() -> Any:
    raise RuntimeError


def raises_the_unspeakable() -> Any:
    class Mute(BaseException):
        def __str__(self) -> str:
            raise RuntimeError

    raise Mute


def forks() -> Any:
    os.fork()
    return small()


def forks_and_leaves_it_to_the_copy() -> Any:
    if os.fork():
        os._exit(0)
    return small()


def forks_beside_python() -> Any:
    ctypes.CDLL(None).fork()
    return small()


def moves() -> Any:
    os.chdir("/")
    return small()


def clears_the_environment() -> Any:
    os.environ.clear()
    return small()


def closes_some() -> Any:
    os.closerange(3, 256)
    return small()


def closes_standard() -> Any:
    os.closerange(0, 3)
    return small()


def closes_all() -> Any:
    os.closerange(3, 1 << 16)
    return small()


def writes_everywhere() -> Any:
    for descriptor in range(3, 1 << 14):
        try:
            os.write(descriptor, b"\xff" * 4096)
        except OSError:
            continue
    return small()


def prints_much() -> Any:
    for _ in range(64):
        print("x" * (1 << 18))
    return small()


def writes_binary() -> Any:
    os.write(1, bytes(range(256)) * 4096)
    return small()


def ignores_signals() -> Any:
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    return small()


def sets_an_alarm() -> Any:
    signal.alarm(1)
    return small()


def starts_threads() -> Any:
    for _ in range(4):
        threading.Thread(target=time.sleep, args=(1e6,)).start()
    return small()


def starts_a_process() -> Any:
    subprocess.Popen(["sleep", "86399"], start_new_session=True)
    return small()


def starts_a_daemon() -> Any:
    subprocess.run(["sh", "-c", "setsid sleep 86399 >/dev/null 2>&1 &"], check=True)
    return small()


def limits_files() -> Any:
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return small()


def limits_memory() -> Any:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, resource.getrlimit(resource.RLIMIT_AS)[1]))
    return small()


def masks_files() -> Any:
    os.umask(0o777)
    return small()


def wants_double() -> Any:
    torch.set_default_dtype(torch.float64)
    return small()


def wants_no_device() -> Any:
    torch.set_default_device("meta")
    return small()


def wants_determinism() -> Any:
    torch.use_deterministic_algorithms(True)
    return small()


def replaces_builtins() -> Any:
    def refuse(*_: object, **__: object) -> Any:
        raise RuntimeError("no more")

    builtins.print = builtins.open = builtins.len = refuse
    return small()


def closes_streams() -> Any:
    sys.stdout.close()
    sys.stderr.close()
    return small()


def nothing() -> Any:
    return None


def text() -> Any:
    return "a model"


def a_class() -> Any:
    return nn.Linear


def a_tuple() -> Any:
    return 1, 2, 3, 4


def texts() -> Any:
    return Returning(lambda _: "a text"), torch.ones(4, 8)


def a_dict() -> Any:
    return Returning(lambda y: {"y": y}), torch.ones(4, 8)


def a_dict_of_texts() -> Any:
    return Returning(lambda y: {"y": "a text"}), torch.ones(4, 8)


def no_output() -> Any:
    return Returning(lambda _: None), torch.ones(4, 8)


def exits_when_called() -> Any:
    return Returning(lambda _: sys.exit(3)), torch.ones(4, 8)


def interrupts_when_called() -> Any:
    def interrupt(_: Tensor) -> Any:
        raise KeyboardInterrupt

    return Returning(interrupt), torch.ones(4, 8)


def moves_when_called() -> Any:
    def move(y: Tensor) -> Tensor:
        os.chdir("/")
        os.environ.clear()
        return y

    return Returning(move), torch.ones(4, 8)


def bfloat16() -> Any:
    return nn.Linear(8, 16).to(torch.bfloat16), torch.ones(4, 8, dtype=torch.bfloat16)


def bfloat16_weights() -> Any:
    return nn.Linear(8, 16).to(torch.bfloat16)


def float8() -> Any:
    return Returning(lambda y: y.to(torch.float8_e4m3fn)), torch.ones(4, 8)


def complex_half() -> Any:
    return Returning(lambda y: y.to(torch.complex32)), torch.ones(4, 8)


def sparse() -> Any:
    return Returning(lambda y: y.to_sparse()), torch.ones(4, 8)


def huge() -> Any:
    return nn.Linear(8, 16), torch.ones(1, 8).expand(1 << 40, 8)
