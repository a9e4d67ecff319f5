"""Recorded measurements in, spaces that answer in place of compiler and device out."""
