"""Importing a model: a Relax module, with example inputs and the outputs to expect."""
