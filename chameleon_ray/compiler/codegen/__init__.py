"""Compiles layers, scheduled by a configuration, to code that runners load."""
