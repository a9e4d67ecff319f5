"""Explorers, cost model and samplers: algorithms on plain data, without Ray or TVM."""
