"""The arena holds what it must, when it must: no plan lets two storages that are needed at once overlap."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedmote.models import planner
from fedmote.models.graph import Code, Graph, Storage, Tensor
from fedmote.models.planner import Lifetime


@st.composite
def lifetimes(draw: st.DrawFn) -> list[Lifetime]:
    found = []
    for _ in range(draw(st.integers(1, 25))):
        born = draw(st.integers(-1, 20))
        size = 4 * draw(st.integers(1, 60))
        found.append(Lifetime(Storage(size), size, born, draw(st.integers(born, 20))))
    return found


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Chains and branches of ops of all kinds of lifetimes: elementwise ones, views, state, repeated use."""
    graph = Graph(0)
    graph.input = graph.activation((1, 4 * draw(st.integers(1, 8))))
    known = [graph.input]
    states = [
        graph.activation((1, 4 * draw(st.integers(1, 8))), state=True) for _ in range(draw(st.integers(0, 2)))
    ]
    for _ in range(draw(st.integers(1, 15))):
        x = draw(st.sampled_from(known))
        kind = draw(st.sampled_from(["elementwise", "elementwise", "other", "view", "assign"]))
        if kind == "view":
            size = 4 * draw(st.integers(1, x.count // 4))
            start = 4 * draw(st.integers(0, (x.count - size) // 4))
            known.append(graph.view(x, (1, size), 0.0, 0, start=start))
        elif kind == "assign" and states:
            graph.op(Code.MOVE, [x], draw(st.sampled_from(states)))
        elif kind == "elementwise":
            other = draw(st.sampled_from([one for one in known if one.count <= x.count]))
            y = graph.activation(x.shape)
            graph.op(Code.ADD, [x, other], y)
            known.append(y)
        else:
            y = graph.activation((1, 4 * draw(st.integers(1, 8))))
            graph.op(Code.DENSE, [x], y)
            known.append(y)
    if not graph.ops:
        graph.op(Code.SOFTMAX, [known[-1]], graph.activation(known[-1].shape))
        known.append(graph.ops[-1].output)
    graph.output = draw(st.sampled_from(known))
    return graph


@given(lifetimes())
def test_no_two_storages_overlap_in_place_and_time(needed: list[Lifetime]) -> None:
    plan = planner.place(needed, 21)
    planner.check(plan.lifetimes, plan.arena_bytes)
    assert plan.peak_bytes <= plan.arena_bytes <= sum(one.size for one in needed)
    assert {one.storage for one in plan.lifetimes} == {one.storage for one in needed}


@settings(max_examples=300)
@given(graphs())
def test_every_op_finds_its_inputs_as_they_were_written(graph: Graph) -> None:
    """Run the graph with numbers for values: in storages of their own, and in the arena."""
    own = {tensor: tensor.storage for tensor in graph.tensors if tensor.storage is not None}
    plan = planner.plan(graph)
    planner.check(plan.lifetimes, plan.arena_bytes)
    expected = {storage: [0] * storage.size for storage in own.values()}
    arena = [0] * plan.arena_bytes
    serial = iter(range(1, 10**6))

    def places(tensor: Tensor) -> tuple[list[int], slice, slice]:
        assert tensor.storage is not None
        start = plan.offsets[tensor.storage] + tensor.start
        return (
            expected[own[tensor]],
            slice(tensor.start, tensor.start + tensor.size),
            slice(start, start + tensor.size),
        )

    def write(tensor: Tensor) -> None:
        values, here, there = places(tensor)
        values[here] = arena[there] = [next(serial) for _ in range(tensor.size)]

    def is_intact(tensor: Tensor) -> bool:
        values, here, there = places(tensor)
        return values[here] == arena[there]

    assert graph.input is not None and graph.output is not None
    for state in (tensor for tensor, storage in own.items() if storage.state):
        if state.storage in plan.offsets:
            write(state)
    for _ in range(2):  # state must last from call to call
        write(graph.input)
        for op in graph.ops:
            assert all(is_intact(x) for x in op.inputs)
            write(op.output)
        assert is_intact(graph.output)


def test_output_of_an_elementwise_op_takes_the_place_of_its_input() -> None:
    graph = Graph(0)
    graph.input = graph.activation((1, 100))
    x = graph.activation((1, 1000))
    graph.op(Code.DENSE, [graph.input], x)
    y = graph.activation((1, 1000))
    graph.op(Code.LOOKUP, [x], y)
    graph.output = graph.activation((1, 10))
    graph.op(Code.DENSE, [y], graph.output)
    assert planner.plan(graph).arena_bytes == 1100


def test_state_shares_its_place_with_nothing() -> None:
    graph = Graph(0)
    graph.input = graph.activation((1, 8))
    state = graph.activation((1, 8), state=True)
    y = graph.activation((1, 8))
    graph.op(Code.ADD, [graph.input, state], y)
    graph.op(Code.MOVE, [y], state)
    graph.output = y
    assert planner.plan(graph).arena_bytes == 16  # y takes the input's place, not the state's


def test_peak_names_the_op_with_the_most_bytes() -> None:
    sizes = [(-1, 0, 40), (0, 1, 80), (1, 2, 100), (2, 2, 4)]
    needed = [Lifetime(Storage(size), size, born, dies) for born, dies, size in sizes]
    plan = planner.place(needed, 3)
    assert (plan.peak_op, plan.peak_bytes, plan.arena_bytes) == (1, 180, 180)


def test_checker_sees_overlaps() -> None:
    one = Lifetime(Storage(8), 8, 0, 2, 0)
    with pytest.raises(ValueError, match="overlaps"):
        planner.check([one, Lifetime(Storage(8), 8, 2, 3, 4)], 16)
    with pytest.raises(ValueError, match="outside"):
        planner.check([one], 4)
    planner.check([one, Lifetime(Storage(8), 8, 3, 3, 0)], 8)
