"""What a .tflite file holds, as plain data; it neither reads nor writes files."""

from collections.abc import Mapping
from dataclasses import dataclass

from fedmote.models.tflite.schema import OptionValue


@dataclass(frozen=True, slots=True)
class Quantisation:
    """real = scale * (value - zero point), for the whole tensor or for each index of one dimension.

    scales: float32 values, exactly. zero_points: as many. axis: the dimension, of meaning only where there
    are several scales (and then not checked: TensorFlow Lite Micro runs files where it is no dimension).
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a subgraph.

    shape: () is a single value. type: a name of schema.TENSOR_TYPES, such as "INT8". data: the content of a
    constant, little-endian, as many bytes as shape and type need. variable: keeps its value between calls.
    signature: the shape with -1 for what the file leaves open, () where nothing is; the batch often is.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    data: bytes | None = None
    quantisation: Quantisation | None = None
    variable: bool = False
    signature: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a subgraph.

    code: a name of schema.OPERATOR_NAMES such as "CONV_2D", "BUILTIN_<number>" for one that is newer, or
    "CUSTOM:<name>". inputs, outputs, intermediates: numbers of the subgraph's tensors; an input or an
    intermediate may be -1, absent. options: all those of schema.OPERATORS[code], empty for other operators.
    """

    code: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, OptionValue]
    intermediates: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Tensors, and operators in the order in which they run. inputs, outputs: numbers of tensors."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """A whole file. version: of the file format, always 3. The first subgraph is the one that runs."""

    version: int
    description: str
    subgraphs: tuple[Subgraph, ...]
