"""Files that are not what they seem: models, values, zoos and recordings from somebody else."""

import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.hostile.graphs import model, node
from tests.hostile.stage import Ended, Stage, attempt

FILE = "a file"
HARM = "harm"
"""Name of the file that is written where something that should not was executed."""


class Harm:
    """An object whose pickle writes a file where it is read."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / HARM)

    def __reduce__(self) -> tuple:
        return (open, (self.path, "w"))


def harmless(stage: Stage, ended: Ended) -> Ended:
    """Fails where a pickle was executed."""
    assert not (stage.folder / HARM).exists(), "a pickle was executed"
    return ended


def weighed(stage: Stage, name: str, **external: object) -> str:
    """Writes a model whose weights are in another file."""
    one = model([helper.make_node("Add", ["x", "w"], ["y"])])
    weights = one.graph.initializer.add()
    weights.name, weights.data_type = "w", TensorProto.FLOAT
    weights.dims.extend((4, 8))
    weights.data_location = TensorProto.EXTERNAL
    for key, value in external.items():
        weights.external_data.add(key=key, value=str(value))
    (stage.folder / name).write_bytes(one.SerializeToString())
    return name


@attempt(FILE, "has weights in ../secret", 1)
def outside(stage: Stage) -> Ended:
    (stage.folder / "in").mkdir()
    (stage.folder / "secret").write_bytes(bytes(128))
    return stage.tune(weighed(stage, "in/m.onnx", location="../secret", length=128))


@attempt(FILE, "has weights in an absolute path", 1)
def absolute(stage: Stage) -> Ended:
    (stage.folder / "secret").write_bytes(bytes(128))
    return stage.tune(weighed(stage, "m.onnx", location=stage.folder / "secret", length=128))


@attempt(FILE, "has weights behind a link", 1)
def linked(stage: Stage) -> Ended:
    (stage.folder / "w").symlink_to("/etc/hostname")
    return stage.tune(weighed(stage, "m.onnx", location="w", length=8))


@attempt(FILE, "has weights in a device", 1)
def device(stage: Stage) -> Ended:
    return stage.tune(weighed(stage, "m.onnx", location="/dev/zero", length=128))


@attempt(FILE, "has weights of 1 EiB", 1)
def endless(stage: Stage) -> Ended:
    (stage.folder / "w").write_bytes(bytes(128))
    return stage.tune(weighed(stage, "m.onnx", location="w", length=1 << 60))


@attempt(FILE, "declares weights of 1 TiB, and has none", 1)
def hollow(stage: Stage) -> Ended:
    one = model([helper.make_node("Add", ["x", "w"], ["y"])])
    weights = one.graph.initializer.add()
    weights.name, weights.data_type = "w", TensorProto.FLOAT
    weights.dims.extend((1 << 36, 4))
    (stage.folder / "m.onnx").write_bytes(one.SerializeToString())
    return stage.tune("m.onnx")


@attempt(FILE, "is a pipe", 1, "m.onnx", quick=True)
def pipe(stage: Stage) -> Ended:
    os.mkfifo(stage.folder / "m.onnx")
    return stage.tune("m.onnx")


@attempt(FILE, "is a folder", 1, "m.onnx")
def folder(stage: Stage) -> Ended:
    (stage.folder / "m.onnx").mkdir()
    return stage.tune("m.onnx")


@attempt(FILE, "is a link to a device that never ends", 1, "m.onnx")
def zeros(stage: Stage) -> Ended:
    (stage.folder / "m.onnx").symlink_to("/dev/zero")
    return stage.tune("m.onnx")


@attempt(FILE, "is a link to itself", 1, "m.onnx")
def loop(stage: Stage) -> Ended:
    (stage.folder / "m.onnx").symlink_to("m.onnx")
    return stage.tune("m.onnx")


@attempt(FILE, "is a pickle that calls itself .pt2", 1, "m.pt2")
def pickled(stage: Stage) -> Ended:
    (stage.folder / "m.pt2").write_bytes(pickle.dumps(Harm(stage.folder)))
    return harmless(stage, stage.tune("m.pt2"))


@attempt(FILE, "is a .pt2 with a pickle for weights", 1, "m.pt2")
def pickled_inside(stage: Stage) -> Ended:
    code = pickle.dumps(Harm(stage.folder))
    with zipfile.ZipFile(stage.folder / "m.pt2", "w") as archive:
        for name in ("archive_format", "version"):
            archive.writestr(f"m/{name}", "pt2" if name == "archive_format" else "0")
        archive.writestr("m/data.pkl", code)
        archive.writestr("m/models/model.json", "{}")
        archive.writestr("m/data/weights/weight_0", code)
        archive.writestr("m/data/sample_inputs/model.pt", code)
    return harmless(stage, stage.tune("m.pt2"))


@attempt(FILE, "is a zip bomb of 16 GiB", 1, "m.pt2")
def bomb(stage: Stage) -> Ended:
    with (
        zipfile.ZipFile(stage.folder / "m.pt2", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made,
        made.open("m/models/model.json", "w", force_zip64=True) as sink,
    ):
        for _ in range(256):
            sink.write(bytes(1 << 24))
        sink.write(bytes(1))
    return stage.tune("m.pt2")


@attempt(FILE, "is a .pt2 cut short", 1, "m.pt2")
def cut(stage: Stage) -> Ended:
    with zipfile.ZipFile(stage.folder / "m.pt2", "w") as archive:
        archive.writestr("m/models/model.json", "{}" * 1000)
    whole = (stage.folder / "m.pt2").read_bytes()
    (stage.folder / "m.pt2").write_bytes(whole[: len(whole) // 2])
    return stage.tune("m.pt2")


@attempt(FILE, "of example values holds a pickle", 1, "v.npz")
def values_pickled(stage: Stage) -> Ended:
    np.savez(stage.folder / "v.npz", x=np.array([Harm(stage.folder)], dtype=object))
    return harmless(stage, stage.tune("dense.onnx", "--example", "v.npz"))


@attempt(FILE, "of example values declares 1 EiB", 1, "v.npy")
def values_endless(stage: Stage) -> Ended:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (288230376151711744,), }"
    header = header.ljust(117) + "\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    (stage.folder / "v.npy").write_bytes(content + bytes(64))
    return stage.tune("dense.onnx", "--example", "x=v.npy")


@attempt(FILE, "of a zoo has a tag that calls a function", 1, "z.yaml", quick=True)
def tagged(stage: Stage) -> Ended:
    call = f"!!python/object/apply:os.system ['touch {stage.folder / HARM}']"
    (stage.folder / "z.yaml").write_text(f"models: {call}\n")
    return harmless(stage, stage.run("zoo", "z.yaml", "--out", "run", "--engine", "serial"))


@attempt(FILE, "of a zoo is a billion laughs", 1, "z.yaml")
def laughs(stage: Stage) -> Ended:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    (stage.folder / "z.yaml").write_text("\n".join(lines) + "\nmodels: *a39\n")
    return stage.run("zoo", "z.yaml", "--out", "run", "--engine", "serial")


@attempt(FILE, "of a zoo is nested 100,000 deep", 1, "z.yaml", quick=True)
def deep(stage: Stage) -> Ended:
    (stage.folder / "z.yaml").write_text("models: " + "[" * 100_000)
    return stage.run("zoo", "z.yaml", "--out", "run", "--engine", "serial")


@attempt(FILE, "of a zoo names a model ../../out", 1, "../../out", quick=True)
def traversal(stage: Stage) -> Ended:
    text = "models:\n  - {model: dense.onnx, name: ../../out}\n"
    (stage.folder / "z.yaml").write_text(text)
    ended = stage.run("zoo", "z.yaml", "--out", "a/run", "--engine", "serial", "--trials", "4")
    assert not (stage.folder / "out").exists(), "a model was written outside the zoo"
    return ended


@attempt(FILE, "of recordings is nested 100,000 deep", 1, "r.json", quick=True)
def recordings_deep(stage: Stage) -> Ended:
    (stage.folder / "r.json").write_text("[" * 100_000)
    return stage.run("replay", "r.json")


@attempt(FILE, "of recordings is noise that calls itself Parquet", 1, "r.parquet")
def recordings_noise(stage: Stage) -> Ended:
    (stage.folder / "r.parquet").write_bytes(b"PAR1" + bytes(range(256)) * 9 + b"PAR1")
    return stage.run("replay", "r.parquet")


@attempt(FILE, "names its nodes in ten thousand characters", 0)
def long_names(stage: Stage) -> Ended:
    one = model([node("x x", "y" * 10_000)], output="y" * 10_000)
    one.graph.name = "n" * 10_000
    onnx.save(one, stage.folder / "m.onnx")
    return stage.tune("m.onnx")
