"""Boards: what each one is (catalogue). Nothing here talks to a federation."""
