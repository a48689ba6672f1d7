"""Sensors on CircuitPython's own modules and the Adafruit bundle. Nothing here is for MicroPython."""
