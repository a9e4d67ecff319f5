"""Tests on simulated GPUs: the product and TVM as they are, above a driver that is a test tool.

Needs g++ and the extra ``cuda``; see README.md.
"""
