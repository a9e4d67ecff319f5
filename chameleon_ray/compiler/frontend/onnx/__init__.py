"""Importing ONNX files: read, made simple, and translated node by node, without torch."""
