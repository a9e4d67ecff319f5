"""The Python interface: tunes models that are in memory, and calls tuned ones."""
