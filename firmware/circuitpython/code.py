"""Starts the board: node.py has the loop, settings.toml what differs from board to board."""

import node

node.run()
