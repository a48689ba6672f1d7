"""Gives every storage its place in the arena, such that those alive at one time never overlap."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

from fedmote.models.graph import Graph, Storage, Tensor

#: attempts beyond the fixed orders where those do not reach the smallest conceivable arena
_ATTEMPTS = 200
#: bound of their work
_COMPARISONS = 2_000_000


@dataclass(frozen=True)
class Lifetime:
    """A storage needed from op ``born`` to op ``dies``, both included. born -1: before the first op.

    size, offset: bytes; offset -1: not placed yet.
    """

    storage: Storage
    size: int
    born: int
    dies: int
    offset: int = -1

    def meets(self, other: "Lifetime") -> bool:
        """Whether both are alive at some time."""
        return self.born <= other.dies and other.born <= self.dies


@dataclass(frozen=True)
class Plan:
    """arena_bytes: all of it. peak_op: the op at which the most bytes are alive, peak_bytes of them."""

    arena_bytes: int
    lifetimes: tuple[Lifetime, ...]
    peak_op: int
    peak_bytes: int

    @cached_property
    def offsets(self) -> dict[Storage, int]:
        """Bytes from the start of the arena to each storage."""
        return {lifetime.storage: lifetime.offset for lifetime in self.lifetimes}


def plan(graph: Graph) -> Plan:
    """Place a graph's activations; outputs of elementwise ops take their input's place where that helps."""
    best = place(lifetimes(graph), len(graph.ops))
    shared = share(graph)
    if shared:
        before = {tensor: tensor.storage for tensor in graph.tensors}
        for tensor, storage in shared.items():
            tensor.storage = storage
        other = place(lifetimes(graph), len(graph.ops))
        if other.arena_bytes < best.arena_bytes:
            return other
        for tensor, kept in before.items():
            tensor.storage = kept
    return best


def lifetimes(graph: Graph) -> list[Lifetime]:
    """Return when each storage of a graph is needed, in order of birth."""
    end = len(graph.ops)
    spans: dict[Storage, list[int]] = {}
    used = [(graph.input, -1), (graph.output, end - 1)]
    for number, op in enumerate(graph.ops):
        used += [(tensor, number) for tensor in (*op.inputs, op.output)]
    used += [(op.output, 0) for op in graph.setup]
    for tensor, number in used:
        if tensor is None or tensor.storage is None:
            continue
        storage = tensor.storage
        spans.setdefault(storage, []).extend([-1, end - 1] if storage.state else [number])
    found = [Lifetime(one, _aligned(one.size), min(times), max(times)) for one, times in spans.items()]
    return sorted(found, key=lambda one: one.born)


def share(graph: Graph) -> dict[Tensor, Storage]:
    """Return which tensors may move to another storage: those of an elementwise op's output to its input's.

    An input gives its place away only if the op is the last to need its storage, and fills all of it.
    """
    last = {lifetime.storage: lifetime.dies for lifetime in lifetimes(graph)}
    owners: dict[Storage, Storage] = {}
    for number, op in enumerate(graph.ops):
        target = op.output.storage
        for x in op.replaceable:
            if x.storage is None or target is None or not x.size == x.storage.size == target.size:
                continue
            source = owners.get(x.storage, x.storage)
            others = [one for one in op.inputs if one is not x and one.storage is x.storage]
            needed = _is_output(graph, source, owners) or last[source] != number
            if not (needed or others or source.state or target.state):
                owners[target] = source
                last[source] = last[target]
                break
    return {
        tensor: owners[tensor.storage]
        for tensor in graph.tensors
        if tensor.storage is not None and tensor.storage in owners
    }


def _is_output(graph: Graph, storage: Storage, owners: dict[Storage, Storage]) -> bool:
    """Whether the network's output is in a storage, or has moved there."""
    output = graph.output.storage if graph.output is not None else None
    return output is not None and owners.get(output, output) is storage


def place(needed: Sequence[Lifetime], op_count: int) -> Plan:
    """Return the smallest of several plans: by size, by life, by both, then by chance from a fixed seed."""
    alive = [sum(one.size for one in needed if one.born <= op <= one.dies) for op in range(-1, op_count)]
    peak_bytes = max(alive)
    best: list[Lifetime] = []
    arena = 0
    for order in _orders(needed):
        placed = _first_fit(order)
        size = max(one.offset + one.size for one in placed)
        if not best or size < arena:
            best, arena = placed, size
        if arena == peak_bytes:
            break
    return Plan(
        arena,
        tuple(sorted(best, key=lambda one: (one.born, one.dies, one.offset))),
        max(alive.index(peak_bytes) - 1, 0),
        peak_bytes,
    )


def check(placed: Iterable[Lifetime], arena_bytes: int) -> None:
    """Raise ValueError where two storages overlap in place and time, one lies outside or is not aligned."""
    done: list[Lifetime] = []
    for one in placed:
        if one.offset < 0 or one.offset % 4 or one.offset + one.size > arena_bytes:
            raise ValueError(
                f"{one} lies outside of an arena of {arena_bytes} bytes, or not on a multiple of 4"
            )
        for other in done:
            apart = one.offset + one.size <= other.offset or other.offset + other.size <= one.offset
            if one.meets(other) and not apart:
                raise ValueError(f"{one} overlaps {other}")
        done.append(one)


_KEYS: tuple[Callable[[Lifetime], tuple[int, ...]], ...] = (
    lambda one: (-one.size, one.born),
    lambda one: (one.born - one.dies, -one.size),
    lambda one: (one.size * (one.born - one.dies - 1), one.born),
    lambda one: (one.born, -one.size),
    lambda one: (-one.dies, -one.size),
)


def _orders(needed: Sequence[Lifetime]) -> Iterable[list[Lifetime]]:
    for key in _KEYS:
        yield sorted(needed, key=key)
    random = Random(1)
    order = sorted(needed, key=_KEYS[0])
    for _ in range(min(_ATTEMPTS, _COMPARISONS // len(needed) ** 2)):
        yield sorted(order, key=lambda one: -one.size * random.uniform(0.5, 2))


def _first_fit(order: Iterable[Lifetime]) -> list[Lifetime]:
    """Give each storage the smallest gap that it fits in, the lowest of several, else the end."""
    placed: list[Lifetime] = []
    for one in order:
        others = sorted((other for other in placed if other.meets(one)), key=lambda other: other.offset)
        end, best, room = 0, -1, 0
        for other in others:
            gap = other.offset - end
            if gap >= one.size and (best < 0 or gap < room):
                best, room = end, gap
            end = max(end, other.offset + other.size)
        placed.append(replace(one, offset=end if best < 0 else best))
    return placed


def _aligned(size: int) -> int:
    return size + (-size % 4)
