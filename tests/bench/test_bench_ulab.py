"""``fedmote bench ulab``: what it demands of a board's times, and what it says where it cannot run."""

import json
from pathlib import Path

import pytest
import typer

from fedmote.benchmarks import layers, ulab, ulab_board
from fedmote.benchmarks.emulated_pico import EmulatedPico
from fedmote.cli import bench
from fedmote.errors import FedmoteError
from fedmote.models import reference
from mote.model import Model
from mote.port import crc32


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, object]:
    """Answers for the emulated one: every op takes ``us``, bare calls 60 and 40 and, in place of the 60, its
    own 20; all bytes are right but where ``checks`` says otherwise."""
    answer: dict[str, object] = {"us": 115.0, "checks": None}

    def run(self: object, files: dict[str, bytes], program: str, placed: object, seconds: float) -> object:
        model = Model(files["model.mote"], reference)
        model.input[:] = memoryview(files["input.bin"]).cast("b")
        checks = []
        for step in model.steps:
            step()
            checks.append(crc32(model.arena) & 0xFFFF_FFFF)
        ops = [(op.number, op.name, 1000, 10, answer["us"], 60.0, 20.0, 40.0) for op in model.ops]
        found = {"left": 1, "limit": 2, "checks": answer["checks"] or checks, "us": 1.0, "ops": ops}
        return json.loads(json.dumps(found))

    pico = EmulatedPico(tmp_path / "image.uf2", tmp_path, "pico", "circuitpython")
    monkeypatch.setattr(EmulatedPico, "find", lambda *_: pico)
    monkeypatch.setattr(EmulatedPico, "run", run)
    monkeypatch.setattr(layers, "LAYERS", layers.LAYERS[-2:])
    monkeypatch.setattr(ulab, "_models", lambda folder: iter(()))
    return answer


def test_json_has_the_ratio_to_the_bare_calls(
    board: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    bench.main("ulab", board="rpi_pico", emulated=True, as_json=True)
    figures = json.loads(capsys.readouterr().out)
    assert [run["name"] for run in figures["runs"]] == ["dense 128->128", "dense 4000->4"]
    assert {(run["ratio"], run["overhead"]) for run in figures["runs"]} == {(1.15, 1.917)}
    assert figures["missed"] == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"us": 116.0}, "1.16 times bare calls of ulab, the bar is 1.15"),
        ({"checks": [1]}, "values differ from the reference"),
    ],
)
def test_slow_and_wrong_ops_are_told_and_end_with_1(
    board: dict[str, object],
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    sentence: str,
) -> None:
    board.update(change)
    with pytest.raises(typer.Exit) as ended:
        bench.main("ulab", board="rpi_pico", emulated=True)
    assert ended.value.exit_code == 1
    assert sentence in capsys.readouterr().err


def test_it_runs_on_emulated_boards_with_circuitpython_only() -> None:
    with pytest.raises(FedmoteError, match="--board and --emulated go together"):
        bench.main("ulab")
    with pytest.raises(FedmoteError, match="esp32_c3 cannot be emulated"):
        bench.main("ulab", board="esp32_c3", emulated=True)


def test_files_for_the_board_are_python() -> None:
    for name, content in {**ulab_board.FILES, "program": ulab_board.PROGRAM.encode()}.items():
        compile(content, name, "exec")
