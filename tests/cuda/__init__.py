"""Tests that need TVM and a compiler for CUDA (the ``cuda`` extra, or nvcc).

They need no GPU. Tests are skipped with what is missing as the reason.
"""
