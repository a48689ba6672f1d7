"""A network as a board runs it: device ops over tensors that have no place in memory yet.

docs/mote-format.md says what each op does. ``planner`` gives each storage its place in the arena, ``writer``
turns a graph into bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Code(IntEnum):
    """Device ops, as numbered in the file."""

    DENSE = 1
    SOFTMAX = 2
    CONV = 3
    DEPTHWISE = 4
    AVERAGE_POOL = 5
    MAX_POOL = 6
    MEAN = 7
    ADD = 8
    MUL = 9
    LOOKUP = 10
    MOVE = 11
    FILL = 12
    GATHER = 13
    DEQUANTIZE = 14
    PRODUCTS = 15
    TAPS = 16


class Kind(IntEnum):
    """Types of tensors, as numbered in the file."""

    INT8 = 0
    INT32 = 1
    FLOAT32 = 2
    UINT8 = 3


#: bytes of an element
ITEM_BYTES = {Kind.INT8: 1, Kind.INT32: 4, Kind.FLOAT32: 4, Kind.UINT8: 1}
#: each byte of y depends only on the bytes at the same position of the inputs, so that y may take the place
#: of an input that is not broadcast
ELEMENTWISE = {Code.ADD, Code.MUL, Code.LOOKUP}
WEIGHTED = {Code.DENSE, Code.CONV, Code.DEPTHWISE, Code.PRODUCTS, Code.TAPS}

WEIGHTS, BIAS = 0, 1  # roles of trainable tensors
_LARGEST_DIMENSION = 0xFFFF


@dataclass(eq=False)
class Storage:
    """Bytes of the arena. state: keeps its content from call to call, so shares its place with none."""

    size: int
    state: bool = False


@dataclass(eq=False)
class Tensor:
    """A row of the tensor table: a constant with ``content``, or ``storage`` from ``start`` bytes on.

    source: number of the .tflite tensor whose value it has, or None.
    """

    kind: Kind
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0
    content: bytes | None = None
    channel_scales: bytes = b""
    storage: Storage | None = None
    start: int = 0
    source: int | None = None

    @property
    def count(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * ITEM_BYTES[self.kind]


@dataclass(eq=False)
class Op:
    """A device op. operator: number of the .tflite operator that it comes from. macs: multiplications."""

    code: Code
    inputs: tuple[Tensor, ...]
    output: Tensor
    parameters: tuple[int, ...]
    operator: int | None = None
    macs: int = 0

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Inputs, then the output, as lib/mote/ops.py has them."""
        return (*self.inputs, self.output)

    @property
    def constant_bytes(self) -> int:
        """Bytes of its constants in the file."""
        return sum(
            len(one.content) + len(one.channel_scales) for one in self.inputs if one.content is not None
        )

    @property
    def replaceable(self) -> list[Tensor]:
        """Inputs whose place the output may take, once nothing else needs them."""
        if self.code not in ELEMENTWISE:
            return []
        return [one for one in self.inputs if one.content is None and one.size == self.output.size]


@dataclass(frozen=True)
class Trainable:
    """A row of the trainable table."""

    op: Op
    role: int
    shape: tuple[int, ...]


@dataclass(eq=False)
class Graph:
    """A network under construction. form: of the weights, as numbered in the file."""

    form: int
    tensors: list[Tensor] = field(default_factory=list)
    setup: list[Op] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    trainables: list[Trainable] = field(default_factory=list)
    input: Tensor | None = None
    output: Tensor | None = None

    @property
    def offset(self) -> int:
        """What is added to the weights of DENSE, CONV and DEPTHWISE, and to their inputs."""
        return 128 if self.form else 0

    @property
    def streamable(self) -> dict[Tensor, Op]:
        """Weights that a board may leave in the file, to be read block by block, and the op of each."""
        trained = {row.op for row in self.trainables}
        return {op.inputs[1]: op for op in self.ops if op.code in WEIGHTED and op not in trained}

    def activation(
        self,
        shape: Sequence[int],
        scale: float = 0.0,
        zero_point: int = 0,
        kind: Kind = Kind.INT8,
        *,
        source: int | None = None,
        state: bool = False,
    ) -> Tensor:
        """Add a tensor with a storage of its own."""
        tensor = Tensor(kind, fitted(shape), float(np.float32(scale)), zero_point, source=source)
        tensor.storage = Storage(tensor.size, state)
        return self._add(tensor)

    def view(
        self,
        of: Tensor,
        shape: Sequence[int],
        scale: float,
        zero_point: int,
        *,
        start: int = 0,
        source: int | None = None,
    ) -> Tensor:
        """Add a tensor that is a part of another one, from byte ``start`` (a multiple of 4) on."""
        tensor = Tensor(
            of.kind, fitted(shape), float(np.float32(scale)), zero_point, of.content, source=source
        )
        tensor.storage, tensor.start = of.storage, of.start + start
        if of.content is not None:
            tensor.content = of.content[start : start + tensor.size]
        return self._add(tensor)

    def constant(self, values: NDArray[Any], kind: Kind, scales: NDArray[np.float32] | None = None) -> Tensor:
        """Add a constant. values: already of the type that the file has. scales: one, or one per channel."""
        tensor = Tensor(kind, fitted(values.shape), content=np.ascontiguousarray(values).tobytes())
        if scales is not None and len(scales) == 1:
            tensor.scale = float(scales[0])
        elif scales is not None:
            tensor.channel_scales = scales.astype("<f4").tobytes()
        return self._add(tensor)

    def op(
        self,
        code: Code,
        inputs: Sequence[Tensor],
        output: Tensor,
        parameters: Sequence[int] = (),
        *,
        operator: int | None = None,
        macs: int = 0,
    ) -> Op:
        """Append an op."""
        op = Op(code, tuple(inputs), output, tuple(int(value) for value in parameters), operator, macs)
        self.ops.append(op)
        return op

    def remove(self, tensors: Sequence[Tensor]) -> None:
        """Drop constants that no op uses any more."""
        gone = set(tensors)
        self.tensors = [tensor for tensor in self.tensors if tensor not in gone]

    def train(self, op: Op) -> None:
        """Make a DENSE op's weights and bias trainable."""
        weights, bias = op.inputs[1:3]
        self.trainables.append(Trainable(op, WEIGHTS, weights.shape))
        self.trainables.append(Trainable(op, BIAS, bias.shape))

    def _add(self, tensor: Tensor) -> Tensor:
        self.tensors.append(tensor)
        return tensor


def fitted(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape in one to four dimensions, the leading ones joined where there are more.

    Raises ValueError for a dimension that the file cannot hold.
    """
    if len(shape) > 4:
        shape = (prod(shape[:-3]), *shape[-3:])
    if not all(1 <= size <= _LARGEST_DIMENSION for size in shape):
        raise ValueError(f"shape {list(shape)}: every dimension must be 1 to {_LARGEST_DIMENSION}")
    return tuple(shape) or (1,)
