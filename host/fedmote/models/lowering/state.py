"""Variables that keep their value from one call to the next, in streaming networks: state in the arena."""

from math import prod

import numpy as np

from fedmote.models import tflite
from fedmote.models.graph import Code, Kind, Op, Tensor
from fedmote.models.lowering.step import Lowering, Step, copy_parameters

#: operators whose output may be a view of their input
_VIEWS = {
    "RESHAPE",
    "SQUEEZE",
    "EXPAND_DIMS",
    "SPLIT",
    "SPLIT_V",
    "STRIDED_SLICE",
    "TRANSPOSE",
    "PAD",
    "PADV2",
}
#: operators that a subgraph of CALL_ONCE may have
_INITIALISING = {"VAR_HANDLE", "ASSIGN_VARIABLE"}


def call_once(step: Step) -> None:
    """CALL_ONCE: note the constants that its subgraph assigns."""
    number = step.integer("init_subgraph_index")
    subgraphs = step.lowering.network.subgraphs
    if not 0 < number < len(subgraphs):
        raise step.refuse(f"subgraph {number} is none that could initialise variables")
    subgraph = subgraphs[number]
    for position, operator in enumerate(subgraph.operators):
        inner = Step(step.lowering, subgraph, position, operator)
        if operator.code not in _INITIALISING:
            raise step.refuse(
                f"subgraph {number} has a {operator.code}; only constants may be assigned there"
            )
        if operator.code == "ASSIGN_VARIABLE":
            values = inner.array(1, "INT8")
            step.lowering.initials[_name(inner)] = values.tobytes()


def var_handle(step: Step) -> None:
    """VAR_HANDLE: only a name."""
    step.target()


def read_variable(step: Step) -> None:
    """READ_VARIABLE: a view of the state if nothing needs it any more once that changes, else a copy."""
    target = step.target()
    variable = _variable(step, target, step.output_index())
    if _last_use(step) < _next_assignment(step):
        step.alias(variable, target.shape)
    else:
        step.copy(variable, step.y(target.shape))


def assign_variable(step: Step) -> None:
    """ASSIGN_VARIABLE."""
    variable = _variable(step, step.tensor(1), step.index(1))
    step.copy(step.source(1), variable)


def set_up(lowering: Lowering) -> None:
    """Add the ops that give every variable its initial value: what CALL_ONCE assigns, else its zero point."""
    graph = lowering.graph
    for name, variable in lowering.variables.items():
        initial = lowering.initials.get(name, bytes([variable.zero_point & 255]))
        if len(set(initial)) == 1:
            value = int.from_bytes(initial[:1], "little", signed=True)
            graph.setup.append(Op(Code.FILL, (), variable, (value,)))
        else:
            constant = graph.constant(np.frombuffer(initial, np.int8).reshape(variable.shape), Kind.INT8)
            graph.setup.append(Op(Code.MOVE, (constant,), variable, copy_parameters(variable.size)))


def _variable(step: Step, like: tflite.Tensor, index: int) -> Tensor:
    """Return the state of the operator's variable. like: what it is read to or assigned, tensor ``index``."""
    lowering, name = step.lowering, _name(step)
    if like.type != "INT8":
        raise step.refuse(f"is {like.type}; only int8 state is supported", index)
    if name not in lowering.variables:
        value = _first_assigned(lowering, name) or like
        zero_point = value.quantisation.zero_points[0] if value.quantisation else 0
        scale = value.quantisation.scales[0] if value.quantisation else 0.0
        lowering.variables[name] = lowering.graph.activation(like.shape, scale, zero_point, state=True)
    variable = lowering.variables[name]
    size = len(lowering.initials.get(name, bytes(variable.size)))
    if not prod(like.shape) == variable.size == size:
        raise step.refuse(f"has {prod(like.shape)} values, variable {name!r} has {variable.size}", index)
    return variable


def _first_assigned(lowering: Lowering, name: str) -> tflite.Tensor | None:
    """Return the tensor that the network assigns first, whose zero point is the variable's initial value."""
    for number, operator in enumerate(lowering.main.operators):
        step = Step(lowering, lowering.main, number, operator)
        if operator.code == "ASSIGN_VARIABLE" and _name(step) == name:
            return step.tensor(1)
    return None


def _name(step: Step) -> str:
    """Return the name of the variable that input 0 is a handle of."""
    handle = step.index(0)
    for operator in step.subgraph.operators:
        if operator.code == "VAR_HANDLE" and handle in operator.outputs:
            return str(operator.options["shared_name"])
    raise step.refuse("is no handle of a variable", handle)


def _next_assignment(step: Step) -> int:
    """Return the number of the next operator that assigns the variable, that of the end if none does."""
    operators, name = step.subgraph.operators, _name(step)
    for number in range(step.number + 1, len(operators)):
        later = Step(step.lowering, step.subgraph, number, operators[number])
        if later.operator.code == "ASSIGN_VARIABLE" and _name(later) == name:
            return number
    return len(operators) + 1


def _last_use(step: Step) -> int:
    """Return the number of the last operator that needs the output or a view of it, that of the end if the
    network's output is one."""
    views, last = {step.output_index()}, step.number
    for number in range(step.number + 1, len(step.subgraph.operators)):
        operator = step.subgraph.operators[number]
        if views.intersection(operator.inputs):
            last = number
            if operator.code in _VIEWS:
                views.update(operator.outputs)
    return len(step.subgraph.operators) if views.intersection(step.subgraph.outputs) else last
