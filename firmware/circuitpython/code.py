"""Starts the board: starter.py sees to updates over the air, node.py has the loop."""

import starter

starter.run()
