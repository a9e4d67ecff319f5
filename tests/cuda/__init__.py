"""Need TVM and a compiler for CUDA (the ``cuda`` extra, or nvcc); no GPU but where a test says so.

What is missing is the reason that tests are skipped with.
"""
