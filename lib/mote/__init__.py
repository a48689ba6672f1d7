"""fedmote's device library: int8 inference, SGD and federated rounds in plain Python. See model.py, train.py, rounds.py."""

__version__ = "0.1.0"
