"""Plug-ins of ``chameleon_ray``: an explorer, a sampler, a cost model and a model format."""
