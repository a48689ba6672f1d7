"""Boards on LoRaWAN, behind a ChirpStack v4 network server, take part in a federation. See
docs/lorawan.md."""
