"""The defaults of stores of tuned layers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Storing:
    """Settings of reading and writing a store."""

    patience: float = 10.0
    """Most seconds for one step of reading or writing; a store that takes longer is left alone."""
    enough: float = 0.5
    """Share of what a command would give a layer that a stored search must have had.

    Layers with less are searched further, unless their search came to its end.
    """
    operations: float = 0.99
    """Least share of a model's operations in layers that a store knows for it to need no search."""
    candidates: int = 3
    """Number of configurations of other versions or devices that are timed first for a layer."""
    doubtful: int = 16
    """Most records, of timings that other processes disturbed, that are timed again first."""
    disturbed: float = 0.1
    """Share of a timing that other processes had its cores from which its latency is doubted."""
    teachers: int = 4
    """Most layers of one kind that are read to teach new layers of that kind."""
    most_bytes: int = 32 << 20
    """Bytes of the largest entry that is read."""
    most_records: int = 100_000
    """Records of the largest entry that is read."""
    most_text: int = 64 << 20
    """Bytes of the largest column of texts that is read, once it is unpacked."""
    days: float = 365.0
    """Days after which ``chameleon store gc`` removes an entry, since it was written."""
