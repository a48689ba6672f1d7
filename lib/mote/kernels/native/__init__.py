"""What the kernels in machine code share: they say where things are and how large, once per op, in an array
of words that host/fedmote/kernels/arguments.py describes. It is no kernel itself."""
