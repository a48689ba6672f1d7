"""Stands in for ulab under CPython in tests. Put this folder's parent on the path of a process of its own."""
