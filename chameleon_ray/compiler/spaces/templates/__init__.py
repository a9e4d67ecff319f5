"""Schedules written for a class of layers, with their parameters left open."""
