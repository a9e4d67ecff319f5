"""A model as the user names it in, a Relax module with example inputs and a reference out."""
