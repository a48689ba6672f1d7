"""Small networks as data: one that uses every operator with unusual options, and some that compute."""

import struct
from collections.abc import Mapping, Sequence

from fedmote.models.tflite import Network, Operator, OptionValue, Quantisation, Subgraph, Tensor, schema

_UNUSUAL: dict[str, OptionValue] = {
    schema.INT: -3,
    schema.FLOAT: 0.75,
    schema.INTS: (1, -1, 2147483647),
    schema.TEXT: "größe",
    schema.SUBGRAPH: 1,
}


def unusual(option: schema.Option) -> OptionValue:
    """Return a value of an option that is not its default."""
    if option.kind == schema.ENUM:
        return next(name for name in reversed(option.names) if name != option.default)
    return not option.default if option.kind == schema.BOOL else _UNUSUAL[option.kind]


def every_operator() -> Network:
    """Return a network that holds all there is in the tables; it only makes sense as a file."""
    tensors = [
        Tensor("input", (1, 2, 3), "INT8", None, Quantisation((0.5,), (-128,)), signature=(-1, 2, 3)),
        Tensor("weights", (2, 3), "INT8", bytes(range(6)), Quantisation((0.25, 0.125), (0, 0), 1)),
        Tensor("ünicode", (), "INT64", struct.pack("<q", -5)),
        Tensor("state", (4,), "INT8", None, Quantisation((0.1875,), (3,)), variable=True),
        Tensor("empty", (0, 7), "RESOURCE"),
    ]
    tensors += [
        Tensor(kind, (3,), kind, bytes((3 * bits + 7) // 8) if bits else b"text")
        for kind, bits in ((kind, schema.BITS.get(kind)) for kind in schema.TENSOR_TYPES)
    ]
    operators = [
        Operator(
            code, number + 1, (0, -1, 1), (3, 4), {option.name: unusual(option) for option in known.options}
        )
        for number, (code, known) in enumerate(schema.OPERATORS.items())
    ]
    operators.append(operation("SVDF", (0,), (3,), intermediates=(1, -1)))
    main = Subgraph("main", tuple(tensors), tuple(operators), (0, 3), (4,))
    return Network(3, "every operator", (main, Subgraph("", (), (), (), ())))


def operation(
    code: str,
    inputs: Sequence[int],
    outputs: Sequence[int],
    options: Mapping[str, OptionValue] | None = None,
    intermediates: tuple[int, ...] = (),
) -> Operator:
    """Return an operator of version 1, with the defaults of the options that are not given."""
    defaults = {option.name: option.default for option in schema.OPERATORS[code].options}
    return Operator(code, 1, tuple(inputs), tuple(outputs), {**defaults, **(options or {})}, intermediates)


def accumulator() -> Network:
    """Return a streaming network: each call adds its input of 4 int8 values to a state, and gives the state.

    The state is set to -2 (as real values) by the second subgraph before the first call.
    """
    one = Quantisation((1.0,), (0,))
    handle = Tensor("handle", (), "RESOURCE")
    names = {"container": "", "shared_name": "sum"}
    main = Subgraph(
        "main",
        (
            Tensor("input", (1, 4), "INT8", None, one),
            handle,
            Tensor("before", (1, 4), "INT8", None, one),
            Tensor("after", (1, 4), "INT8", None, one),
        ),
        (
            operation("CALL_ONCE", (), (), {"init_subgraph_index": 1}),
            operation("VAR_HANDLE", (), (1,), names),
            operation("READ_VARIABLE", (1,), (2,)),
            operation("ADD", (0, 2), (3,)),
            operation("ASSIGN_VARIABLE", (1, 3), ()),
        ),
        (0,),
        (3,),
    )
    begin = Subgraph(
        "begin",
        (handle, Tensor("start", (1, 4), "INT8", struct.pack("4b", *[-2] * 4), one)),
        (operation("VAR_HANDLE", (), (0,), names), operation("ASSIGN_VARIABLE", (0, 1), ())),
        (),
        (),
    )
    return Network(3, "accumulator", (main, begin))
