"""The companion of fedmote boards on a computer. Importing it loads none of its parts."""

__version__ = "0.1.0"
