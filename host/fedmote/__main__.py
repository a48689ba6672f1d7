"""Lets ``python -m fedmote`` stand for the ``fedmote`` command."""

from fedmote.cli import main

if __name__ == "__main__":
    main()
