"""Runs at hand: finds run directories, says what came of each, follows, compares and removes them.

Nothing of a run is executed here, and only ``removal`` changes anything.
"""
