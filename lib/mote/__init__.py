"""fedmote's device library: int8 inference, SGD and federated rounds in plain Python."""

__version__ = "0.1.0"


def Model(path, kernel=None, resident=None):  # noqa: N802 - it makes a mote.model.Model
    """Load a .mote file: see mote.model.load. What is not used is not imported."""
    from .model import load

    return load(path, kernel, resident)
