"""Watches boards: telemetry, serial ports, terminal views. It changes nothing on a board."""
