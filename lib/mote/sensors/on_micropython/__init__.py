"""Sensors on MicroPython's ``machine``, by their registers. Nothing here is for CircuitPython."""
