"""Measuring: builders and runners, and what makes their latencies trustworthy."""
