"""Writes a planned graph as the bytes of a .mote file (docs/mote-format.md). It decides nothing."""

import struct
import zlib
from collections.abc import Container

from fedmote.models.graph import WEIGHTS, Graph, Op, Tensor, Trainable
from fedmote.models.planner import Plan

_VERSION = 1
_HEADER_BYTES = 64
_TENSOR_BYTES = 32
_INFO_BYTES = 4096
_NAME_BYTES = 16
_ARENA, _FILE = 0, 1


def write(graph: Graph, plan: Plan, info: bytes) -> bytes:
    """Return the file. info: JSON text. Raises ValueError where the format's limits are passed."""
    if len(info) > _INFO_BYTES:
        raise ValueError(f"name, labels and features take {len(info)} bytes, at most {_INFO_BYTES} are free")
    numbers = {tensor: number for number, tensor in enumerate(graph.tensors)}
    sequence = graph.setup + graph.ops
    if max(len(numbers), len(sequence)) > 0xFFFF or graph.input is None or graph.output is None:
        raise ValueError(f"{len(numbers)} tensors and {len(sequence)} ops are more than a file can number")
    ops = b"".join(_op(op, numbers) for op in sequence)
    trainables = _trainables(graph.trainables, sequence)
    tensors_at = _HEADER_BYTES
    ops_at = tensors_at + _TENSOR_BYTES * len(numbers)
    trainables_at = ops_at + len(ops)
    info_at = trainables_at + len(trainables)
    table, resident, streamed = _place(graph, plan, info_at + len(padded(info)))
    head = table + ops + trainables + padded(info) + resident
    body = struct.pack(
        "<IHHHBBHHIIIIIHxxIxxxx",
        plan.arena_bytes, len(numbers), len(sequence), len(graph.trainables), graph.form, 0,
        numbers[graph.input], numbers[graph.output],
        tensors_at, ops_at, trainables_at, info_at, len(info), len(graph.setup), _HEADER_BYTES + len(head),
    ) + head + streamed  # fmt: skip
    size = 16 + len(body)
    return struct.pack("<4sHHII", b"MOTE", _VERSION, _HEADER_BYTES, size, zlib.crc32(body)) + body


def padded(content: bytes) -> bytes:
    """Return the content, extended to a multiple of 4 bytes."""
    return content + bytes(-len(content) % 4)


def _place(graph: Graph, plan: Plan, start: int) -> tuple[bytes, bytes, bytes]:
    """Return the tensor table, the constants that a board keeps in memory, and those that it may leave.

    start: where the first constant stands. Equal constants are one, except for what a board trains.
    """
    streamed = graph.streamable
    trained = {tensor for row in graph.trainables for tensor in row.op.inputs}
    resident = _Section(trained)
    scales = {tensor: resident.put(tensor, tensor.channel_scales) for tensor in graph.tensors}
    offsets = {
        tensor: resident.put(tensor, tensor.content)
        for tensor in graph.tensors
        if tensor.content is not None and tensor not in streamed
    }
    rest = _Section(trained)
    after = start + len(resident.data)
    table = bytearray()
    for tensor in graph.tensors:
        if tensor.storage is not None:
            place, offset = _ARENA, plan.offsets[tensor.storage] + tensor.start
        elif tensor in offsets:
            place, offset = _FILE, start + offsets[tensor]
        else:
            place, offset = _FILE, after + rest.put(tensor, tensor.content or b"")
        shape = tensor.shape + (1,) * (4 - len(tensor.shape))
        table += struct.pack(
            "<IIBBBx4HfiI",
            offset, tensor.size, tensor.kind, place, len(tensor.shape), *shape,
            tensor.scale, tensor.zero_point, start + scales[tensor] if tensor.channel_scales else 0,
        )  # fmt: skip
    return bytes(table), bytes(resident.data), bytes(rest.data)


class _Section:
    """Constants one after the other. own: tensors that share their bytes with no other."""

    def __init__(self, own: Container[Tensor]) -> None:
        self.data = bytearray()
        self._own = own
        self._known: dict[bytes, int] = {}

    def put(self, tensor: Tensor, content: bytes) -> int:
        """Add a tensor's content, unless it is there already; return where it stands in the section."""
        here = len(self.data)
        offset = here if tensor in self._own else self._known.setdefault(content, here)
        if offset == here:
            self.data += padded(content)
        return offset


def _op(op: Op, numbers: dict[Tensor, int]) -> bytes:
    head = struct.pack("<4B", op.code, len(op.inputs), 1, len(op.parameters))
    tensors = [numbers[tensor] for tensor in (*op.inputs, op.output)]
    return (
        head
        + padded(struct.pack(f"<{len(tensors)}H", *tensors))
        + struct.pack(f"<{len(op.parameters)}i", *op.parameters)
    )


def _trainables(rows: list[Trainable], sequence: list[Op]) -> bytes:
    table, position = b"", 0
    for row in rows:
        number = sequence.index(row.op)
        shape = row.shape + (1,) * (4 - len(row.shape))
        name = f"dense{number}/{'weights' if row.role == WEIGHTS else 'bias'}".encode()[:_NAME_BYTES]
        count = 1
        for size in row.shape:
            count *= size
        table += struct.pack("<HBB4HII16s", number, row.role, len(row.shape), *shape, count, position, name)
        position += count
    return table
