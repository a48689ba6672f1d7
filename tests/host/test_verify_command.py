"""``fedmote verify`` names the first value that differs from TensorFlow Lite Micro's, where one does."""

import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import generated
import numpy as np
import pytest
import typer
from tflite_networks import accumulator

from fedmote.cli import verify as command
from fedmote.errors import FedmoteError
from fedmote.kernels import emulation
from fedmote.models import oracle, tflite, verify
from fedmote.models.compiler import compile_network
from mote.model import Model

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")
_GRAPH = generated.graph(11)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "graph.tflite"
    path.write_bytes(_GRAPH)
    return path


@pytest.mark.parametrize("kernel", ["reference", "plain", "viper"])
def test_agreement_is_told_with_what_was_compared(
    file: Path, kernel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(file, kernel=kernel, inputs=3, per_op=True)
    told = capsys.readouterr().out
    assert f"{kernel}: 0 of " in told and "3 inputs" in told


def test_json_has_every_figure(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.main(file, inputs=2, per_op=True, as_json=True)
    figures = json.loads(capsys.readouterr().out)
    assert figures["model"] == "graph.tflite" and figures["difference"] is None
    assert figures["elements"] == sum(row["elements"] for row in figures["ops"]) > 0
    assert figures["differing"] == 0


def spoil(monkeypatch: pytest.MonkeyPatch, code: str) -> int:
    """Let TFLM give another value at position 3 of an operator's output for input 1; return its number."""
    operators = tflite.read(_GRAPH).subgraphs[0].operators
    number = next(n for n, operator in enumerate(operators) if operator.code == code)
    run, calls = oracle.Oracle.run, []

    def wrong(self: Any, inputs: Any) -> Any:
        answer = run(self, inputs)
        calls.append(1)
        if len(calls) == 2:
            values = answer.tensors[operators[number].outputs[0]]
            values.flat[3] = np.int8(values.flat[3] ^ 1)
        return answer

    monkeypatch.setattr(oracle.Oracle, "run", wrong)
    return number


@pytest.mark.parametrize("kernel", ["reference", "viper"])
def test_first_difference_is_named_and_ends_with_1(
    file: Path, kernel: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = tflite.read(_GRAPH).subgraphs[0].operators[1].code
    number = spoil(monkeypatch, code)
    with pytest.raises(typer.Exit) as ended:
        command.main(file, kernel=kernel, inputs=3, per_op=True)
    assert ended.value.exit_code == 1
    told = capsys.readouterr()
    assert f"differs: operator {number} ({code})" in told.err and "input 1, position [" in told.err
    assert ": 1 of " in told.out


def test_a_wrong_multiplier_is_found_at_its_op() -> None:
    case = verify.prepare(generated.single_operator(32), "reference", inputs=4)
    mote = bytearray(case.compiled.mote)
    model = Model(mote, verify.reference)
    multipliers = model.ops[0].tensors[3]
    for place in range(multipliers.offset, multipliers.offset + multipliers.size, 4):
        mote[place + 3] ^= 0x30
    mote[12:16] = zlib.crc32(mote[16:]).to_bytes(4, "little")
    spoilt = replace(case, compiled=replace(case.compiled, mote=bytes(mote)))
    report = verify.compare(spoilt, verify.run([spoilt])[0])
    assert report.difference is not None and report.difference.operator == 0


@pytest.mark.parametrize("kernel", ["reference", "plain", "viper"])
def test_state_is_compared_as_a_sequence(tmp_path: Path, kernel: str) -> None:
    report = verify.verify(tflite.write(accumulator()), kernel, inputs=6, per_op=True)
    assert report.difference is None and report.inputs == 6


def test_machine_code_of_another_processor_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("unicorn", reason="the emulator unicorn is not installed")
    spent = []
    call = emulation.Core.call

    def counted(self: emulation.Core, *arguments: Any) -> emulation.Result:
        result = call(self, *arguments)
        spent.append(result.instructions)
        return result

    monkeypatch.setattr(emulation.Core, "call", counted)
    report = verify.verify(_GRAPH, "armv6m", inputs=2, per_op=True)
    macs = compile_network(tflite.read(_GRAPH), "armv6m").macs
    assert report.difference is None and sum(spent) > 2 * macs > 0


def test_a_missing_emulator_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "unicorn", None)
    with pytest.raises(FedmoteError, match=r"pip install 'fedmote\[emulate\]'"):
        command.main(file, kernel="armv6m")


@pytest.mark.parametrize("kernel", ["plain", "viper", "armv6m"])
@pytest.mark.parametrize("streamed", [False, True])
def test_streamed_weights_give_the_same_bytes(streamed: bool, kernel: str) -> None:
    if kernel == "armv6m":
        pytest.importorskip("unicorn", reason="the emulator unicorn is not installed")
    assert verify.verify(_GRAPH, kernel, inputs=3, per_op=True, streamed=streamed).difference is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kernel": "fast"}, "'fast' is unknown, choose one of: plain, viper, ulab, armv6m, "),
        ({"kernel": "reference", "streamed": True}, "does not stream weights"),
    ],
)
def test_impossible_wishes_are_answered_with_what_is_possible(
    file: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(FedmoteError, match=words):
        command.main(file, **options)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    with pytest.raises(FedmoteError, match="No such file"):
        command.main(path)
    path.write_bytes(b"no flatbuffer at all")
    with pytest.raises(FedmoteError, match=r"not a \.tflite file"):
        command.main(path)


def test_network_that_would_crash_tflm_is_refused_before_it_runs() -> None:
    network = next(
        network
        for network in (tflite.read(generated.graph(seed)) for seed in range(40))
        if any(operator.code == "DEPTHWISE_CONV_2D" for operator in network.subgraphs[0].operators)
    )
    main = network.subgraphs[0]
    operators = tuple(
        replace(one, inputs=(*one.inputs[:2], -1)) if one.code == "DEPTHWISE_CONV_2D" else one
        for one in main.operators
    )
    bare = replace(network, subgraphs=(replace(main, operators=operators), *network.subgraphs[1:]))
    with pytest.raises(FedmoteError, match=r"operator \d+, DEPTHWISE_CONV_2D, has -1 for its bias"):
        oracle.Oracle(tflite.write(bare), bare)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    with pytest.raises(FedmoteError, match=r"pip install 'fedmote\[verify\]'"):
        verify.verify(_GRAPH, "reference", inputs=1)


def test_a_network_that_does_not_fit_the_heap_is_an_error() -> None:
    with pytest.raises(FedmoteError, match="MicroPython"):
        verify.verify(_GRAPH, "viper", inputs=1, heap_bytes=40 * 1024)
