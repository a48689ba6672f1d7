"""Weight form 2: what becomes PRODUCTS and TAPS, and that lanes are exact for every input."""

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import generated
import numpy as np
import pytest
from numpy.typing import NDArray
from test_verify_damaged import mended

from fedmote.models import tflite
from fedmote.models.compiler import compile_network
from fedmote.models.loading import load
from fedmote.models.quads import lanes
from mote.model import Model
from mote.ops import PRODUCTS, TAPS
from mote.streaming import rows_of_block

_ZERO_X, _STRIDE, _DILATION, _TOP, _KERNEL_H, _WINDOW = 0, 4, 6, 8, 10, 12


# --- lanes -------------------------------------------------------------------------------------------------


def worst_inputs(row: NDArray[np.int8], sign: int) -> NDArray[np.int64]:
    """Return the inputs with which a row's sum is as far from 0 as it can be."""
    return np.where(row.astype(np.int64) * sign >= 0, 127, -128)


@pytest.mark.parametrize("largest", [127, 100, 60, 30, 15, 8])
def test_two_sums_in_a_word_do_not_touch_within_a_window(largest: int) -> None:
    random = np.random.default_rng(largest)
    for columns in (1, 5, 16, 40):
        weights = random.integers(-largest, largest + 1, (6, columns)).astype(np.int8)
        window = lanes.window(weights)
        assert window in lanes.WINDOWS
        for low, high in ((0, 1), (2, 3), (4, 5)):
            for x in (worst_inputs(weights[n], sign) for n in (low, high) for sign in (1, -1)):
                for start in range(0, columns, window):
                    part = slice(start, start + window)
                    sums = [int(weights[n, part].astype(np.int64) @ x[part]) for n in (low, high)]
                    word = sums[0] + (sums[1] << 16)
                    upper = ((word + 0x8000 + (1 << 31)) % (1 << 32) - (1 << 31)) >> 16
                    assert [word - (upper << 16), upper] == sums


def test_the_window_is_the_longest_that_no_input_can_leave() -> None:
    for steps in (4, 8, 16):
        fits = 256 // steps  # times -128 it is -2^15 in all, times 128 one too many
        for weight, window in ((fits, steps), (fits + 1, steps // 2), (1 - fits, steps), (-fits, steps // 2)):
            assert lanes.window(np.full((4, 64), weight, np.int8)) == window
    mixed = np.full((4, 32), 15, np.int8)
    mixed[2, 20] = 31  # 128 * (15 * 15 + 31) is 2^15
    assert lanes.window(-mixed) == 8 and lanes.window(mixed) == 16
    assert lanes.window(np.full((1, 2), -128, np.int8)) == 0


# --- what the compiler makes of it -------------------------------------------------------------------------


def network(code: str, seed: int = 0) -> tflite.Network:
    """Return a network of one operator that has weights."""
    return tflite.read(generated.single_operator(generated.SINGLE.index(code) + seed * len(generated.SINGLE)))


def with_weights(given: tflite.Network, value: int) -> tflite.Network:
    """Return the network with another first weight."""
    main = given.subgraphs[0]
    tensors = list(main.tensors)
    number = main.operators[0].inputs[1]
    data = np.frombuffer(tensors[number].data or b"", np.int8).copy()
    data[0] = value
    data[1:] = np.maximum(data[1:], -127)
    tensors[number] = replace(tensors[number], data=data.tobytes())
    return replace(given, subgraphs=(replace(main, tensors=tuple(tensors)),))


@pytest.mark.parametrize(
    ("operator", "first", "second"),
    [
        ("CONV_2D", "CONV", "PRODUCTS"),
        ("FULLY_CONNECTED", "DENSE", "PRODUCTS"),
        ("DEPTHWISE_CONV_2D", "DEPTHWISE", "TAPS"),
    ],
)
def test_operators_with_weights_become_those_of_form_2_unless_a_weight_is_minus_128(
    operator: str, first: str, second: str
) -> None:
    for seed in range(6):
        given = network(operator, seed)
        for weight, code in ((-127, second), (-128, first)):
            changed = with_weights(given, weight)
            ours, other = (compile_network(changed, kernel) for kernel in ("armv6m", "viper"))
            assert load(ours.mote).form == 2
            assert [row.op for row in ours.ops] == [code if row.op == first else row.op for row in other.ops]
            assert (ours.macs, ours.arena_bytes) == (other.macs, other.arena_bytes)


def test_layers_that_a_board_trains_stay_dense() -> None:
    given = with_weights(network("FULLY_CONNECTED", 1), 5)
    compiled = compile_network(tflite.read(_chain()), "armv6m", trainable=1)
    assert [row.op for row in compiled.ops] == ["PRODUCTS", "DENSE"]
    assert [row.op for row in compile_network(given, "armv6m").ops] == ["PRODUCTS"]


def _chain() -> bytes:
    """Return a .tflite file of two dense layers."""
    draft = generated.Draft(np.random.default_rng(3))
    x = draft.tensor((1, 12), 0.05, 0)
    draft.inputs.append(x)
    for rows in (8, 3):
        columns = draft.shape(x)[-1]
        weights = draft.noise((rows, columns), -127)
        w = draft.tensor((rows, columns), 0.01, 0, data=weights.tobytes())
        y = draft.tensor((1, rows), 0.1, 0)
        x = draft.apply("FULLY_CONNECTED", [x, w, -1], [y])
    main = tflite.Subgraph("main", tuple(draft.tensors), tuple(draft.operators), tuple(draft.inputs), (x,))
    return tflite.write(tflite.Network(3, "", (main,)))


def test_generated_networks_have_both_ops_and_every_window() -> None:
    windows: Counter[tuple[int, int]] = Counter()
    for seed in range(200):
        model = load(compile_network(tflite.read(generated.single_operator(seed)), "armv6m").mote)
        for op in model.ops:
            if op.code in (PRODUCTS, TAPS):
                windows[op.code, op.parameters[_WINDOW]] += 1
    assert {window for code, window in windows if code == PRODUCTS} <= {2, 4, 8, 16}
    assert windows[PRODUCTS, 2] > 0 and {window for code, window in windows if code == TAPS} == {0}


# --- what boards refuse and stream -------------------------------------------------------------------------


def changed(mote: bytes, op: Any, parameter: int, value: int) -> bytearray:
    """Return a file with another parameter, and no CRC-32 that would tell."""
    file = bytearray(mote)
    struct.pack_into("<i", file, op.parameters_at + 4 * parameter, value)
    return mended(file)


@pytest.mark.parametrize("operator", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_parameters_that_would_lead_a_kernel_astray_are_refused(operator: str) -> None:
    mote = compile_network(with_weights(network(operator, 2), 1), "armv6m").mote
    op = next(op for op in load(mote).ops if op.code in (PRODUCTS, TAPS))
    wrong: Sequence[tuple[int, int]] = (
        *((_STRIDE, value) for value in (0, -1, 65536, 1 << 30)),
        *((_DILATION, value) for value in (0, -1, 65536)),
        *((_TOP, value) for value in (-1, 1 << 16, 300)),
        *((_KERNEL_H, value) for value in (0, -1, 7, 1 << 20)),
        *((_WINDOW, value) for value in (1, 3, 32, -2)),
    )
    for parameter, value in wrong:
        with pytest.raises(ValueError, match="does not fit"):
            Model(changed(mote, op, parameter, value), "plain")
    Model(changed(mote, op, _ZERO_X, 3), "plain")


def test_blocks_of_streamed_weights_are_whole_quads() -> None:
    for seed in range(40):
        model = load(compile_network(network("CONV_2D", seed), "armv6m").mote)
        for op in model.ops:
            if op.code == PRODUCTS:
                rows, _ = rows_of_block(op)
                assert rows % 4 == 0 and op.tensors[2].size // 4 % rows == 0
