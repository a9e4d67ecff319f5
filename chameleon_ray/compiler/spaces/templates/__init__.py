"""Schedules written for a class of layers, with what there is to decide left open."""
