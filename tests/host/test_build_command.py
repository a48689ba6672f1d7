"""``fedmote build`` writes what deploy copies: compiled for the board, with the kernel that it uses alone."""

import json
from pathlib import Path

import pytest

from fedmote.boards import bundle, catalogue, image
from fedmote.cli import build
from fedmote.errors import FedmoteError
from fedmote.kernels import GENERATORS
from fedmote.kernels.mpy import architecture_of


def test_a_folder_has_the_program_of_the_board_and_its_sizes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build.main("rpi_pico_w", output=tmp_path / "pico", as_json=True)
    told = json.loads(capsys.readouterr().out)
    files = image.program(catalogue.find("rpi_pico_w"), "micropython")
    there = {path for path in (tmp_path / "pico").rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path / "pico").as_posix(): path.read_bytes() for path in there} == files
    assert told["bytes"] == sum(path.stat().st_size for path in there) < told["source_bytes"]
    assert {file["path"]: file["bytes"] for file in told["files"]} == {
        path: len(content) for path, content in files.items()
    }
    assert told["kernels"] == ["armv6m", "viper", "plain"]


@pytest.mark.parametrize("board", ["rpi_pico", "esp32_s3", "esp32_c3"])
def test_a_board_gets_the_best_kernel_and_what_that_falls_back_on_alone(board: str) -> None:
    chosen = catalogue.find(board)
    built = bundle.build(chosen)
    parts = [path.split("/") for path in built.files if path.startswith("lib/mote/kernels/")]
    shared = {"native"} if built.kernels[0] in GENERATORS else set()
    assert {part[3] for part in parts if len(part) > 4} == {*built.kernels} | shared
    assert built.kernels[0] == chosen.runtimes["micropython"].kernels[0] and built.kernels[-1] == "plain"
    found = {architecture_of(content) for path, content in built.files.items() if path.endswith(".mpy")}
    assert found == {None, chosen.arch}


def test_generated_machine_code_is_compiled_with_the_kernel() -> None:
    files = image.program(catalogue.find("rpi_pico"), "micropython")
    assert architecture_of(files["lib/mote/kernels/armv6m/code.mpy"]) == "armv6m"
    assert not [
        path for path in image.program(catalogue.find("rpi_pico"), "circuitpython") if "armv6m" in path
    ]


def test_nothing_is_written_over_or_on_a_dry_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build.main("virtual", output=tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    printed = capsys.readouterr().out
    assert "lib/mote/model" in printed and "kernels: viper, plain" in printed
    (tmp_path / "mine.txt").touch()
    with pytest.raises(FedmoteError, match="is not empty"):
        build.main("virtual", output=tmp_path)
