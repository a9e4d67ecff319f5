"""Runs compiled code on a device, to time it and to look at its outputs."""
