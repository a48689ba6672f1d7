"""Reads and writes .tflite files as plain data; what the operators compute is not its business."""

from fedmote.models.tflite.network import Network, Operator, Quantisation, Subgraph, Tensor
from fedmote.models.tflite.reader import read
from fedmote.models.tflite.schema import OptionValue
from fedmote.models.tflite.writer import write

__all__ = ["Network", "Operator", "OptionValue", "Quantisation", "Subgraph", "Tensor", "read", "write"]
