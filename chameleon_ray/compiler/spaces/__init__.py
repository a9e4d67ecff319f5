"""Extracts the layers of a lowered model, and makes their design spaces."""
