"""Writes .tflite files that TensorFlow Lite Micro runs; it needs no package and checks no arithmetic."""

import struct
from collections.abc import Mapping

from fedmote.errors import FedmoteError
from fedmote.models.tflite import flatbuffer, schema
from fedmote.models.tflite.flatbuffer import Content, Fields, Scalar, Tables, Vector, text
from fedmote.models.tflite.network import Network, Operator, Quantisation, Subgraph, Tensor
from fedmote.models.tflite.reader import read


def write(network: Network) -> bytes:
    """Return the .tflite file of a network; read() of it gives the same network again.

    Raises FedmoteError for an operator, type or option that is not in the tables of schema, for a value that
    its field cannot hold, and for a network that read() would refuse.
    """
    try:
        data = _File().write(network)
        read(data)
    except (struct.error, OverflowError, UnicodeEncodeError, FedmoteError) as error:
        raise FedmoteError(f"the network cannot be a .tflite file: {error}") from error
    return data


class _File:
    """A file being written: the operator codes and the contents that its subgraphs have needed so far."""

    def __init__(self) -> None:
        self._codes: dict[tuple[int, int], int] = {}
        self._buffers: dict[bytes, int] = {b"": 0}  # buffer 0 is the empty one of all that is no constant

    def write(self, network: Network) -> bytes:
        """Return the file."""
        graphs = Tables([self._subgraph(graph) for graph in network.subgraphs])
        codes = Tables([_code(number, version) for number, version in self._codes])
        buffers = Tables(
            [{0: Content(data, schema.CONTENT_ALIGNMENT)} if data else {} for data in self._buffers]
        )
        model: Fields = {
            0: Scalar("I", network.version),
            1: codes,
            2: graphs,
            3: text(network.description),
            4: buffers,
        }
        return flatbuffer.build(model, schema.IDENTIFIER)

    def _subgraph(self, graph: Subgraph) -> Fields:
        return {
            0: Tables([self._tensor(tensor) for tensor in graph.tensors]),
            1: Vector("i", graph.inputs),
            2: Vector("i", graph.outputs),
            3: Tables([self._operator(operator) for operator in graph.operators]),
            4: text(graph.name),
        }

    def _tensor(self, tensor: Tensor) -> Fields:
        if tensor.type not in schema.TENSOR_TYPES:
            raise FedmoteError(f"tensor {tensor.name!r} has the unknown type {tensor.type!r}")
        fields: Fields = {
            0: Vector("i", tensor.shape),
            1: Scalar("b", schema.TENSOR_TYPES.index(tensor.type)),
            2: Scalar("I", self._buffers.setdefault(tensor.data or b"", len(self._buffers))),
            3: text(tensor.name),
            8: Scalar("?", True),  # the shape is known, even where it is ()
        }
        optional: Fields = {
            **({4: _quantisation(tensor.quantisation)} if tensor.quantisation else {}),
            **({5: Scalar("?", True)} if tensor.variable else {}),
            **({7: Vector("i", tensor.signature)} if tensor.signature else {}),
        }
        return {**fields, **optional}

    def _operator(self, operator: Operator) -> Fields:
        known = schema.OPERATORS.get(operator.code)
        if known is None:
            raise FedmoteError(
                f"operator {operator.code} cannot be written, its options are unknown; known are "
                + ", ".join(sorted(schema.OPERATORS))
            )
        code = self._codes.setdefault((known.number, operator.version), len(self._codes))
        fields: Fields = {
            0: Scalar("I", code),
            1: Vector("i", operator.inputs),
            2: Vector("i", operator.outputs),
        }
        options = _options(known, operator.options)
        optional: Fields = {
            **({3: Scalar("B", known.options_type), 4: options} if known.options_type else {}),
            **({8: Vector("i", operator.intermediates)} if operator.intermediates else {}),
        }
        return {**fields, **optional}


def _code(number: int, version: int) -> Fields:
    return {
        0: Scalar("b", min(number, schema.OLD_CODE_LIMIT)),
        2: Scalar("i", version),
        3: Scalar("i", number),
    }


def _quantisation(quantisation: Quantisation) -> Fields:
    return {
        2: Vector("f", quantisation.scales),
        3: Vector("q", quantisation.zero_points),
        6: Scalar("i", quantisation.axis),
    }


def _options(known: schema.OperatorSchema, values: Mapping[str, schema.OptionValue]) -> Fields:
    """Return the fields of an options table; what `values` leaves out has its default."""
    unknown = sorted(values.keys() - {option.name for option in known.options})
    if unknown:
        raise FedmoteError(f"{known.name} has no option {', '.join(unknown)}")
    return {
        option.field: _option(known, option, values.get(option.name, option.default))
        for option in known.options
    }


def _option(known: schema.OperatorSchema, option: schema.Option, value: object) -> Scalar | Vector | Content:
    match option.kind, value:
        case schema.ENUM, str() if value in option.names:
            return Scalar("b", option.names.index(value))
        case schema.INTS, tuple() | list():
            return Vector("i", value)
        case schema.TEXT, str():
            return text(value)
        case schema.BOOL, bool():
            return Scalar("?", value)
        case schema.FLOAT, float() | int():
            return Scalar("f", value)
        case schema.INT | schema.SUBGRAPH, int():
            return Scalar("i", value)
    raise FedmoteError(f"{known.name} has the option {option.name}, which cannot be {value!r}")
