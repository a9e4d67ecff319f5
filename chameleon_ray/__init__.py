"""Ray-parallel autotuning of whole deep-learning models, after Chameleon (Ahn et al., 2020)."""

__version__ = "0.1.0"
