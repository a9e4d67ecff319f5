"""Stores of tuned layers: what was measured of a layer is kept, and not measured again."""
