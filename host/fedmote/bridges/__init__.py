"""Bridges connect a federation to other worlds, one package each. They hold no keys and decide nothing: what
boards sign passes through them unchanged.
"""
