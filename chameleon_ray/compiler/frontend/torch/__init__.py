"""Importing torch modules and exported programs."""
