"""Loads the server of ``docs/guides/deployment.md``: are all answers right, and how many a second?

    python scripts/bench_server.py EXPORTED [--clients 8] [--requests 200] [--json FILE]

EXPORTED is a folder of ``chameleon export``. The document's server is started on loopback with one
worker thread and with two, and each time as many clients as asked for send requests over a
connection of their own, one at a time, with an input of their own. Answers are compared to the bit
with those of the folder's own loader. Needs fastapi and uvicorn.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from spread import spread

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "guides" / "deployment.md"
WORKERS = (1, 2)
PATIENCE = 60.0
"""Most seconds for a server to begin to answer, and for one request."""
EXPECT = """
import sys
sys.path.insert(0, sys.argv[1])
import loader, numpy
model = loader.Model()
inputs = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], numpy.stack([model(one)[0] for one in inputs]))
"""


def main() -> None:
    """Starts the servers one after the other, and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("exported", metavar="EXPORTED", type=Path)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=200, help="of each client; 200")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    exported, found = arguments.exported.resolve(), dict[int, Any]()
    with tempfile.TemporaryDirectory() as folder:
        inputs, expected = examples(exported, Path(folder), arguments.clients)
        write_server(Path(folder))
        for workers in WORKERS:
            with server(Path(folder), exported, workers) as port:
                found[workers] = loaded(port, inputs, expected, arguments.requests)
            print(told(workers, found[workers]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def examples(exported: Path, folder: Path, clients: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns an input for each client, and the outputs to expect, which another process makes."""
    (wanted,) = json.loads((exported / "manifest.json").read_text())["inputs"]
    rng = np.random.default_rng(0)
    inputs = rng.random((clients, *wanted["shape"])).astype(wanted["dtype"])
    np.save(folder / "in.npy", inputs)
    words = [exported, folder / "in.npy", folder / "out.npy"]
    subprocess.run([sys.executable, "-c", EXPECT, *map(str, words)], check=True)
    return inputs, np.load(folder / "out.npy")


def write_server(folder: Path) -> None:
    """Writes the document's server to a file."""
    sys.path.insert(0, str(ROOT))
    from tests.code_blocks import blocks

    (block,) = [one for one in blocks(DOCUMENT.read_text()) if one.title == "server.py"]
    (folder / block.title).write_text(block.text)


@contextmanager
def server(folder: Path, exported: Path, workers: int) -> Any:
    """Runs the server; gives its port once it listens, and ends it after the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "MODEL": str(exported), "WORKERS": str(workers)}
    command = [sys.executable, "-m", "uvicorn", "server:app", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=folder, env=environment)
    try:
        began = time.monotonic()
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() - began > PATIENCE:
                    raise SystemExit("Error: the server did not start.") from None
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def loaded(port: int, inputs: np.ndarray, expected: np.ndarray, requests: int) -> dict[str, Any]:
    """Sends all clients' requests; returns how many were right, and how long they took."""

    def client(number: int) -> tuple[int, list[float]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        body, wanted = inputs[number].tobytes(), expected[number].tobytes()
        right, took = 0, []
        for _ in range(requests):
            began = time.perf_counter()
            connection.request("POST", "/", body)
            right += connection.getresponse().read() == wanted
            took.append(time.perf_counter() - began)
        return right, took

    client(0)  # each worker's machine has started
    began = time.perf_counter()
    with ThreadPoolExecutor(len(inputs)) as pool:
        answers = list(pool.map(client, range(len(inputs))))
    seconds = time.perf_counter() - began
    took = [one for _, own in answers for one in own]
    return {
        "requests": len(took),
        "right": sum(right for right, _ in answers),
        "per_second": len(took) / seconds,
        "milliseconds": spread([1e3 * one for one in took]),
        "slowest_hundredth_ms": 1e3 * float(np.quantile(took, 0.99)),
    }


def told(workers: int, found: dict[str, Any]) -> str:
    """Returns the line of a server."""
    return (
        f"{workers} worker{'s' * (workers > 1)}: {found['right']} of {found['requests']} right, "
        f"{found['per_second']:.1f} a second, "
        + "{median:.1f} ± {spread:.1f} ms".format(**found["milliseconds"])
        + f", 99 % below {found['slowest_hundredth_ms']:.1f} ms"
    )


if __name__ == "__main__":
    main()
