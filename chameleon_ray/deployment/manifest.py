"""The manifest of an exported model: what it takes, gives and needs, as JSON and as C++."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a loader has to know of a model, and checks before it loads the library.

    Attributes:
        model: Name of the model.
        inputs: Name, shape and type of each input: ``{"name": str, "shape": [...], "dtype": str}``.
        outputs: The same of each output; empty where they are not known.
        buckets: Function, inputs and outputs of each shape that the library was compiled for, the
            smallest first; the inputs and outputs above are those of the last.
        padded: Places of the inputs whose first axis is padded to the next larger bucket, where the
            outputs are cut again; empty where only those shapes fit.
        target: TVM target, as JSON.
        machine: Architecture of the host, such as ``x86_64``.
        threads: Threads that the kernels are tuned for.
        cpu_flags: Features that the CPU must have, by Linux's names.
        needs: Files of NVIDIA's libraries that the library calls.
        versions: Versions of the packages that made it, and of the files of ``needs`` that it was
            timed with.
        files: Sha256 of every other file, by its path in the folder.
    """

    model: str
    inputs: Sequence[dict[str, Any]]
    outputs: Sequence[dict[str, Any]]
    buckets: Sequence[dict[str, Any]]
    padded: Sequence[int]
    target: str
    machine: str
    threads: int
    cpu_flags: Sequence[str]
    needs: Sequence[str]
    versions: dict[str, str]
    files: dict[str, str]

    @property
    def libraries(self) -> list[str]:
        """The shared libraries of TVM's runtime."""
        return [name for name in self.files if name.startswith("lib/")]

    def json(self) -> str:
        """Returns the text of ``manifest.json``."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, allow_nan=False) + "\n"

    def header(self) -> str:
        """Returns the same for C++, which then needs no reader of JSON: ``manifest.h``."""
        buckets = ",\n    ".join(map(_bucket, self.buckets))
        padded = ", ".join(map(str, self.padded))
        flags = ", ".join(map(_text, self.cpu_flags))
        return "\n".join(
            [
                "// What model.so takes and needs; made by chameleon export, as manifest.json is.",
                "#pragma once",
                "#include <cstdint>",
                "#include <string>",
                "#include <vector>",
                "",
                "namespace manifest {",
                "struct Array {",
                "  std::string name;",
                "  std::vector<int64_t> shape;",
                "  std::string dtype;",
                "};",
                "struct Bucket {",
                "  std::string entry;  // function of model.so",
                "  std::vector<Array> inputs, outputs;",
                "};",
                "// The shapes that model.so was compiled for, the smallest first.",
                f"inline const std::vector<Bucket> buckets = {{\n    {buckets}}};",
                "// Places of the inputs whose first axis may be padded to the next bucket.",
                f"inline const std::vector<size_t> padded = {{{padded}}};",
                f"inline const std::vector<std::string> cpu_flags = {{{flags}}};",
                f"inline const int threads = {self.threads};",
                "}  // namespace manifest",
                "",
            ]
        )


def digests(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file below a folder, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def _bucket(row: dict[str, Any]) -> str:
    inputs, outputs = (", ".join(map(_array, row[key])) for key in ("inputs", "outputs"))
    return f"{{{_text(row['entry'])}, {{{inputs}}}, {{{outputs}}}}}"


def _array(row: dict[str, Any]) -> str:
    shape = ", ".join(map(str, row["shape"]))
    return f"{{{_text(row['name'] or '')}, {{{shape}}}, {_text(row['dtype'])}}}"


def _text(text: str) -> str:
    """Returns a string literal of C++, with every byte that is no plain character as an octal."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{plain}"'
