"""What the lowering of one operator works with: its tensors, checked, and the device graph to add to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedmote.errors import FedmoteError
from fedmote.models import tflite
from fedmote.models.graph import Code, Graph, Kind, Op, Tensor

#: no tensor of a board is larger (lib/mote/model.py)
LARGEST_BYTES = 1 << 24

_KINDS = {"INT8": Kind.INT8, "UINT8": Kind.UINT8, "FLOAT32": Kind.FLOAT32}
_ARRAYS = {"INT8": "i1", "UINT8": "u1", "INT32": "<i4", "INT64": "<i8"}
_TO_INT8 = (
    "quantise the model to int8: in TensorFlow's converter, set optimizations = [tf.lite.Optimize.DEFAULT], "
    "a representative_dataset, supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8] and both "
    "inference_input_type and inference_output_type to tf.int8"
)
#: type -> what to do about an activation of it
_ADVICE = {
    "FLOAT32": f"is float, and so is at least this part of the model; {_TO_INT8}",
    "FLOAT16": f"is float, and so is at least this part of the model; {_TO_INT8}",
    "INT16": "is int16, boards compute with int8 activations; convert with TFLITE_BUILTINS_INT8 instead of "
    "the 16x8 mode",
    "UINT8": "is uint8, the quantisation of TensorFlow 1; convert the model again with a current version to "
    "int8 (a uint8 input or output of an int8 model is fine)",
    "INT4": "is int4; convert the model to int8",
}


@dataclass
class Lowering:
    """A network on its way to a graph.

    wanted: .tflite tensors that are read. values: device tensors of those written so far. variables: state by
    name. initials: first values of some of them. notes: for the user.
    """

    network: tflite.Network
    graph: Graph
    wanted: set[int] = field(default_factory=set)
    values: dict[int, Tensor] = field(default_factory=dict)
    variables: dict[str, Tensor] = field(default_factory=dict)
    initials: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def main(self) -> tflite.Subgraph:
        """The subgraph that runs."""
        return self.network.subgraphs[0]


@dataclass(frozen=True)
class Step:
    """Operator ``number`` of a subgraph, being lowered."""

    lowering: Lowering
    subgraph: tflite.Subgraph
    number: int
    operator: tflite.Operator

    def refuse(self, reason: str, tensor: int | None = None) -> FedmoteError:
        """Return the error that names operator and tensor. tensor: its number in the subgraph."""
        where = f"operator {self.number} ({self.operator.code})"
        if tensor is not None:
            where += f", tensor {tensor} ({self.subgraph.tensors[tensor].name!r})"
        return FedmoteError(f"{where}: {reason}")

    # --- what the operator has -----------------------------------------------------------------------------

    def has(self, position: int) -> bool:
        """Whether there is such an input."""
        return position < len(self.operator.inputs) and self.operator.inputs[position] >= 0

    def index(self, position: int) -> int:
        """Return the number of an input's tensor."""
        if not self.has(position):
            raise self.refuse(f"input {position} is missing")
        return self.operator.inputs[position]

    def output_index(self, position: int = 0) -> int:
        """Return the number of an output's tensor."""
        if position >= len(self.operator.outputs):
            raise self.refuse(f"output {position} is missing")
        return self.operator.outputs[position]

    def tensor(self, position: int) -> tflite.Tensor:
        """Return an input as the file has it."""
        return self.subgraph.tensors[self.index(position)]

    def target(self, position: int = 0) -> tflite.Tensor:
        """Return an output as the file has it."""
        return self.subgraph.tensors[self.output_index(position)]

    def integer(self, option: str) -> int:
        """Return an option that is a number or a flag."""
        return int(self.operator.options[option])  # type: ignore[arg-type]

    def real(self, option: str) -> float:
        """Return an option that is a float."""
        return float(self.operator.options[option])  # type: ignore[arg-type]

    def text(self, option: str) -> str:
        """Return an option that is a name."""
        return str(self.operator.options[option])

    def array(self, position: int, *types: str) -> NDArray[Any]:
        """Return a constant input of one of these types."""
        tensor = self.tensor(position)
        if not tensor.data:
            raise self.refuse("must be a constant here, and not empty", self.index(position))
        if tensor.type not in types:
            advice = _ADVICE.get(tensor.type, f"is {tensor.type}")
            raise self.refuse(f"{advice} (this input must be {' or '.join(types)})", self.index(position))
        return np.frombuffer(tensor.data, _ARRAYS[tensor.type]).reshape(tensor.shape)

    def integers(self, position: int) -> list[int]:
        """Return a constant list of whole numbers."""
        return [int(value) for value in self.array(position, "INT32", "INT64").reshape(-1)]

    def axis(self, value: int, rank: int) -> int:
        """Return an axis counted from the front."""
        if not -rank <= value < rank:
            raise self.refuse(f"axis {value} is none of {rank} dimensions")
        return value % rank

    # --- device tensors ------------------------------------------------------------------------------------

    def source(self, position: int, *kinds: Kind) -> Tensor:
        """Return an input as a device tensor in the arena, or a constant in the file. kinds: INT8 if none."""
        index, tensor = self.index(position), self.tensor(position)
        kind = self._kind(index, kinds or (Kind.INT8,))
        if index in self.lowering.values:
            return self.lowering.values[index]
        if not tensor.data:
            raise self.refuse("is used before an operator has written it", index)
        values = self.array(position, "INT8", "UINT8")
        constant = self.lowering.graph.constant(values, kind)
        constant.scale, constant.zero_point = self._quantisation(index)
        self.lowering.values[index] = constant
        return constant

    def x(self, position: int, *kinds: Kind) -> Tensor:
        """Return an input in the arena: a constant is moved there."""
        tensor = self.source(position, *kinds)
        if tensor.storage is not None:
            return tensor
        copy = self.lowering.graph.activation(tensor.shape, tensor.scale, tensor.zero_point, tensor.kind)
        self.copy(tensor, copy)
        return copy

    def y(self, shape: Sequence[int], *kinds: Kind, position: int = 0) -> Tensor:
        """Return the output, a new tensor of the arena. shape: what the operator computes, for a check."""
        index = self._new(shape, position)
        kind = self._kind(index, kinds or (Kind.INT8,))
        scale, zero_point = self._quantisation(index)
        if prod(shape) > LARGEST_BYTES:
            raise self.refuse(f"has {prod(shape)} values, boards take at most {LARGEST_BYTES}", index)
        tensor = self.lowering.graph.activation(shape, scale, zero_point, kind, source=index)
        self.lowering.values[index] = tensor
        return tensor

    def alias(self, of: Tensor, shape: Sequence[int], position: int = 0, start: int = 0) -> None:
        """Make the output a part of a device tensor, from byte ``start`` on, instead of a copy."""
        index = self._new(shape, position)
        if self._kind(index, (of.kind,)) is of.kind:
            scale, zero_point = self._quantisation(index)
            self.lowering.values[index] = self.lowering.graph.view(
                of, shape, scale, zero_point, start=start, source=index
            )

    def scale(self, tensor: Tensor) -> float:
        """Return a tensor's scale, which must be positive."""
        if not tensor.scale > 0:
            raise self.refuse(f"has no scale; {_TO_INT8}", tensor.source)
        return tensor.scale

    # --- device ops ----------------------------------------------------------------------------------------

    def emit(
        self,
        code: Code,
        inputs: Sequence[Tensor],
        output: Tensor,
        parameters: Sequence[int] = (),
        macs: int = 0,
    ) -> Op:
        """Append a device op."""
        return self.lowering.graph.op(code, inputs, output, parameters, operator=self.number, macs=macs)

    def copy(self, x: Tensor, y: Tensor) -> None:
        """Copy all bytes."""
        self.emit(Code.MOVE, [x], y, copy_parameters(x.size))

    def _new(self, shape: Sequence[int], position: int) -> int:
        """Return the number of an output that nothing has written yet and that has this shape."""
        index, tensor = self.output_index(position), self.target(position)
        if index in self.lowering.values or tensor.data is not None:
            raise self.refuse("is written twice, or a constant", index)
        if tuple(tensor.shape) != tuple(shape):
            raise self.refuse(f"has the shape {list(tensor.shape)}, the operator gives {list(shape)}", index)
        return index

    def _kind(self, index: int, kinds: Sequence[Kind]) -> Kind:
        tensor = self.subgraph.tensors[index]
        kind = _KINDS.get(tensor.type)
        if kind is None or kind not in kinds:
            advice = _ADVICE.get(tensor.type, f"is {tensor.type}, which no board computes with")
            raise self.refuse(advice, index)
        return kind

    def _quantisation(self, index: int) -> tuple[float, int]:
        """Return (scale, zero point) of an activation, (0, 0) if it has none."""
        tensor = self.subgraph.tensors[index]
        quantisation = tensor.quantisation
        if quantisation is None:
            return 0.0, 0
        if len(quantisation.scales) != 1:
            raise self.refuse("has several scales, which only weights may have", index)
        low = 0 if tensor.type == "UINT8" else -128
        if not low <= quantisation.zero_points[0] < low + 256:
            raise self.refuse(f"has the zero point {quantisation.zero_points[0]}, outside of its type", index)
        return quantisation.scales[0], quantisation.zero_points[0]


def copy_parameters(size: int) -> tuple[int, ...]:
    """Return the parameters of a MOVE of ``size`` bytes from start to start."""
    return (1, 1, 1, 1, size, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
