"""The key of an entry: what its file's name says of the layer and of what it was measured with."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

VERSION = "v1"
"""Folder of this version of the format; other versions have folders of their own."""
LONGEST = 100
"""Most characters of a kind of layer in a name."""
PATTERN = re.compile(
    rf"{VERSION}/(?P<target>[\w.+-]+)/(?P<kind>[\w.+-]+)/(?P<task>[0-9a-f]{{16}})/"
    r"(?P<space>[0-9a-f]{16})-(?P<setting>[0-9a-f]{12})-(?P<content>[0-9a-f]{24})\.parquet"
)


@dataclass(frozen=True)
class Circumstances:
    """All that a layer's latencies depend on beside the layer, its target and its space.

    Attributes:
        device: Device that timed: a CPU's model and number of cores, or a GPU's name.
        versions: Versions of what defines a space and its code, by name.
    """

    device: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Name of the circumstances (12 hex digits)."""
        body = json.dumps([self.device, dict(self.versions)], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Key:
    """The parts of an entry's name.

    Attributes:
        target: Folder of the target, as ``target_folder`` names it.
        kind: Kind of the layer, as ``kind_folder`` names it.
        task: Digest of the layer and its target.
        space: Digest of its design space.
        setting: Digest of the circumstances.
        content: Digest of the entry's bytes, which so can be checked; equal entries are one file.
    """

    target: str
    kind: str
    task: str
    space: str
    setting: str
    content: str

    @property
    def name(self) -> str:
        """Name of the file below the store's root."""
        file = f"{self.space}-{self.setting}-{self.content}.parquet"
        return f"{VERSION}/{self.target}/{self.kind}/{self.task}/{file}"

    @property
    def layer(self) -> str:
        """What keys of one layer, space and circumstances have in common."""
        return self.name.rpartition("-")[0]

    @staticmethod
    def parse(name: str) -> "Key | None":
        """Returns the parts of a name; None where it is not an entry's."""
        found = PATTERN.fullmatch(name)
        return Key(**found.groupdict()) if found else None


def content_digest(data: bytes) -> str:
    """Names an entry by its bytes (24 hex digits)."""
    return hashlib.sha256(data).hexdigest()[:24]


def target_folder(target: str) -> str:
    """Names a target for people and machines: its kind, its CPU or architecture, and a digest."""
    try:
        body = json.loads(target)
        words = [str(body[name]) for name in ("kind", "mcpu", "arch") if name in body]
    except (ValueError, TypeError):
        words = []
    digest = hashlib.sha256(target.encode()).hexdigest()[:12]
    return "-".join([*map(_plain, words), digest])


def kind_folder(kind: str) -> str:
    """Names a kind of layer such that it is no path."""
    return _plain(kind)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", text)[:LONGEST] or "_"
