"""From the operators of a .tflite network to device ops; every operator that boards know is in one table."""

from collections.abc import Callable
from itertools import pairwise

from fedmote.errors import FedmoteError
from fedmote.models import tflite
from fedmote.models.graph import Code, Graph, Kind, Op
from fedmote.models.lowering import elementwise, move, pool, state, tables, weighted
from fedmote.models.lowering.step import Lowering, Step, copy_parameters

#: operator -> what lowers it
LOWERINGS: dict[str, Callable[[Step], None]] = {
    "ADD": elementwise.add,
    "ASSIGN_VARIABLE": state.assign_variable,
    "AVERAGE_POOL_2D": pool.average_pool_2d,
    "CALL_ONCE": state.call_once,
    "CONCATENATION": move.concatenation,
    "CONV_2D": weighted.conv_2d,
    "DEPTHWISE_CONV_2D": weighted.depthwise_conv_2d,
    "DEQUANTIZE": elementwise.dequantize,
    "EXPAND_DIMS": move.reshape,
    "FULLY_CONNECTED": weighted.fully_connected,
    "LEAKY_RELU": tables.leaky_relu,
    "LOGISTIC": tables.logistic,
    "MAX_POOL_2D": pool.max_pool_2d,
    "MEAN": pool.mean,
    "MUL": elementwise.mul,
    "PAD": move.pad,
    "PADV2": move.pad,
    "QUANTIZE": tables.quantize,
    "READ_VARIABLE": state.read_variable,
    "RELU": tables.relu,
    "RELU6": tables.relu6,
    "RESHAPE": move.reshape,
    "RESIZE_NEAREST_NEIGHBOR": move.resize_nearest_neighbor,
    "SOFTMAX": pool.softmax,
    "SPLIT": move.split,
    "SPLIT_V": move.split_v,
    "SQUEEZE": move.reshape,
    "STRIDED_SLICE": move.strided_slice,
    "SUB": elementwise.sub,
    "TANH": tables.tanh,
    "TRANSPOSE": move.transpose,
    "VAR_HANDLE": state.var_handle,
}

#: operators whose other inputs tell only the shape, which the file has anyway
_SHAPING = {"RESHAPE", "EXPAND_DIMS"}
#: operators that count even though nothing reads their output
_EFFECTS = {"ASSIGN_VARIABLE", "CALL_ONCE"}


def lower(network: tflite.Network, form: int, trainable: int = 0) -> Lowering:
    """Return a network's device graph, and which of its tensors is which of the network's.

    form: of the weights. trainable: how many of the last FULLY_CONNECTED layers a board may train. Raises
    FedmoteError naming the operator, the tensor and what to do about it.
    """
    lowering = Lowering(network, Graph(form))
    main = lowering.main
    for kind, numbers in (("input", main.inputs), ("output", main.outputs)):
        if len(numbers) != 1:
            raise FedmoteError(
                f"the network has {len(numbers)} {kind}s, boards take one; split it into several networks"
            )
    needed = _needed(lowering)
    for number, operator in enumerate(main.operators):
        if number in needed and operator.code not in LOWERINGS:
            raise FedmoteError(
                f"operator {number} ({operator.code}) is not supported; replace it in the model by one of: "
                + ", ".join(sorted(LOWERINGS))
            )
    _add_input(lowering)
    for number in needed:
        step = Step(lowering, main, number, main.operators[number])
        try:
            LOWERINGS[step.operator.code](step)
        except ValueError as error:
            raise step.refuse(str(error)) from None
    _add_output(lowering)
    state.set_up(lowering)
    for op in _tail(lowering.graph, trainable):
        lowering.graph.train(op)
    return lowering


def _needed(lowering: Lowering) -> list[int]:
    """Return the numbers of the operators that the output or a
    variable depends on, and note what they want."""
    main, wanted, needed = lowering.main, lowering.wanted, []
    wanted.update(main.outputs)
    for number in reversed(range(len(main.operators))):
        operator = main.operators[number]
        if operator.code in _EFFECTS or wanted.intersection(operator.outputs):
            needed.append(number)
            wanted.update(operator.inputs[:1] if operator.code in _SHAPING else operator.inputs)
    return needed[::-1]


def _add_input(lowering: Lowering) -> None:
    """Add the network's input, if it is one that boards take; a float one is left to QUANTIZE."""
    index = lowering.main.inputs[0]
    tensor = lowering.main.tensors[index]
    if tensor.type != "FLOAT32":
        entry = tflite.Operator("input", 1, (), (index,), {})
        step = Step(lowering, lowering.main, -1, entry)
        try:
            lowering.graph.input = step.y(tensor.shape, Kind.INT8, Kind.UINT8)
        except ValueError as error:
            raise step.refuse(str(error), index) from None


def _add_output(lowering: Lowering) -> None:
    """Set the graph's output, and add a copy where nothing else is to be done."""
    index = lowering.main.outputs[0]
    output = lowering.values.get(index)
    if output is None or output.storage is None or lowering.graph.input is None:
        raise FedmoteError(f"output tensor {index} of the network is not computed from its input")
    graph = lowering.graph
    if not graph.ops:  # only another shape, or a part, of the input
        copy = graph.activation(output.shape, output.scale, output.zero_point, output.kind, source=index)
        graph.op(Code.MOVE, [output], copy, copy_parameters(output.size), operator=_last_operator(lowering))
        lowering.values[index] = output = copy
    graph.output = output


def _last_operator(lowering: Lowering) -> int:
    """Return the number of the operator that writes the network's output."""
    operators, index = lowering.main.operators, lowering.main.outputs[0]
    return max((n for n, operator in enumerate(operators) if index in operator.outputs), default=-1)


def _tail(graph: Graph, count: int) -> list[Op]:
    """Return the last ``count`` DENSE ops, which must stand one after the other before at most a SOFTMAX."""
    ends = graph.ops[-1].code is Code.SOFTMAX
    ops = graph.ops[:-1] if ends else graph.ops
    tail = ops[len(ops) - count :]
    chain = [*tail, graph.ops[-1]] if ends and tail else tail
    if count > len(ops) or any(op.code is not Code.DENSE for op in tail):
        raise FedmoteError(
            f"{count} layers cannot be trainable: the network does not end in as many dense ones"
        )
    for before, after in pairwise(chain):
        if before.output is not after.inputs[0]:
            raise _untrainable(after, "something stands between it and the layer before")
    for op in tail:
        zero_point, low, high = op.parameters
        if op.inputs[1].channel_scales:
            raise _untrainable(op, "its weights have a scale per output; convert with one per tensor for it")
        if op.inputs[0].count != op.inputs[1].shape[1]:
            raise _untrainable(op, "it has several rows")
        if high != 127 or low not in (-128, zero_point):
            raise _untrainable(op, "its activation is neither none nor a ReLU")
    if tail and tail[-1].parameters[0] == tail[-1].parameters[1]:
        raise _untrainable(tail[-1], "its output has no negative values, as class scores must")
    return tail


def _untrainable(op: Op, reason: str) -> FedmoteError:
    return FedmoteError(f"operator {op.operator} (FULLY_CONNECTED) cannot be trainable: {reason}")
