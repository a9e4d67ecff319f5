"""Compiled code in, latencies and outputs on a device out."""
