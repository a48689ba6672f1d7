"""fedmote's device library: int8 inference, SGD and federated rounds in plain Python."""

__version__ = "0.1.0"
