"""A store of tuned layers in ``store/``, which ``chameleon_ray`` reads where this is installed."""

__version__ = "0.1.0"
