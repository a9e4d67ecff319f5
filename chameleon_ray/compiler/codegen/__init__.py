"""A layer and a configuration in, compiled code out."""
