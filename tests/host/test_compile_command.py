"""``fedmote compile`` and ``fedmote export`` as a user meets them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tflite_networks import operation

from fedmote.boards import catalogue
from fedmote.models import report, tflite
from fedmote.models.compiler import compile_network
from fedmote.models.loading import load
from fedmote.models.tflite import Network, Quantisation, Subgraph, Tensor


def fedmote(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "fedmote", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def dense(columns: int = 8, rows: int = 3) -> Network:
    weights = np.random.default_rng(1).integers(-127, 128, (rows, columns)).astype(np.int8)
    tensors = (
        Tensor("x", (1, columns), "INT8", None, Quantisation((0.5,), (3,))),
        Tensor("w", (rows, columns), "INT8", weights.tobytes(), Quantisation((0.01,), (0,))),
        Tensor("y", (1, rows), "INT8", None, Quantisation((0.25,), (-5,))),
    )
    operators = (operation("FULLY_CONNECTED", (0, 1), (2,)),)
    return Network(3, "", (Subgraph("main", tensors, operators, (0,), (2,)),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.tflite").write_bytes(tflite.write(dense()))
    return tmp_path


def test_compile_shows_ops_and_memory_and_whether_it_fits(folder: Path) -> None:
    shown = fedmote(folder, "compile", "model.tflite", "--board", "rpi_pico")
    assert shown.returncode == 0, shown.stderr
    assert "PRODUCTS" in shown.stdout and "1 × 3" in shown.stdout
    assert "12 of arena; op 0 (PRODUCTS) sets it" in shown.stdout
    assert "rpi_pico (micropython): fits" in shown.stdout
    assert (folder / "model.mote").read_bytes() == compile_network(dense(), "armv6m", "model").mote


def test_compile_takes_labels_from_a_text_or_a_file(folder: Path) -> None:
    (folder / "labels.txt").write_text("one\ntwo\n\nthree\n")
    for given, expected in (("labels.txt", ["one", "two", "three"]), ("a,b, c", ["a", "b", "c"])):
        shown = fedmote(folder, "compile", "model.tflite", "--labels", given, "-o", "out.mote")
        assert shown.returncode == 0, shown.stderr
        assert load((folder / "out.mote").read_bytes()).labels == expected
    wrong = fedmote(folder, "compile", "model.tflite", "--labels", "a,b")
    assert (wrong.returncode, wrong.stderr) == (1, "error: 2 labels for the 3 values of the output\n")


def test_compile_chooses_the_kernel_of_the_boards_runtime(folder: Path) -> None:
    arguments = ("compile", "model.tflite", "--board", "rpi_pico", "--json")
    figures = json.loads(fedmote(folder, *arguments, "--runtime", "circuitpython").stdout)
    assert load((folder / "model.mote").read_bytes()).form == 0
    assert [op["op"] for op in figures["ops"]] == ["DENSE"]
    assert figures["fits"][0]["mode"] == "resident"
    fedmote(folder, *arguments)
    assert load((folder / "model.mote").read_bytes()).form == 2
    wrong = fedmote(folder, *arguments, "--runtime", "zephyr")
    assert (wrong.returncode, wrong.stderr.startswith("error: rpi_pico has no 'zephyr'")) == (1, True)


@pytest.mark.parametrize("content", [None, b"", b"TFL3" * 20])
def test_compile_says_what_is_wrong_with_a_file(folder: Path, content: bytes | None) -> None:
    if content is not None:
        (folder / "bad.tflite").write_bytes(content)
    shown = fedmote(folder, "compile", "bad.tflite")
    assert shown.returncode == 1
    assert shown.stderr.startswith("error: ") and len(shown.stderr.splitlines()) == 1
    assert not (folder / "bad.mote").exists()


def test_explain_draws_the_arena_over_time(folder: Path) -> None:
    shown = fedmote(folder, "compile", "model.tflite", "--explain").stdout
    assert "█" in shown and "most bytes in use" in shown


def test_picture_is_as_wide_as_the_terminal_at_most() -> None:
    picture = report.picture(compile_network(dense(), "viper"), 40).splitlines()
    assert max(map(len, picture)) <= 40
    assert len({len(line.split("│")[0]) for line in picture if "│" in line}) == 1


def relu(count: int) -> Network:
    """Return a network without weights."""
    tensor = Tensor("x", (1, 10, count // 10), "INT8", None, Quantisation((0.5,), (3,)))
    return Network(3, "", (Subgraph("main", (tensor, tensor), (operation("RELU", (0,), (1,)),), (0,), (1,)),))


@pytest.mark.parametrize(
    ("network", "mode", "words"),
    [
        (dense(100, 60), "resident", "everything in memory"),
        (dense(4000, 60), "streamed", "weights read from the file"),
        (relu(300_000), None, "bytes of heap even with the weights in the file"),
        (dense(30_000, 60), None, "does not fit, 1,80"),
    ],
)
def test_fit_is_told_before_anything_is_flashed(network: Network, mode: str | None, words: str) -> None:
    """A Pico has 229 kB of heap."""
    fit = report.fit(compile_network(network, "viper"), catalogue.find("rpi_pico"), "micropython")
    assert (fit.mode, words in fit.sentence) == (mode, True), fit.sentence


def test_heap_of_some_boards_is_not_known() -> None:
    fit = report.fit(compile_network(dense(), "ulab"), catalogue.find("rpi_pico2_w"), "circuitpython")
    assert fit.mode is None
    assert "its free heap is not known" in fit.sentence


def test_export_gives_back_what_was_compiled(folder: Path) -> None:
    fedmote(folder, "compile", "model.tflite", "--trainable", "1")
    shown = fedmote(folder, "export", "model.mote", "-o", "again.tflite")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("again.tflite: ")
    again = tflite.read((folder / "again.tflite").read_bytes())
    assert again.subgraphs[0].tensors[1].data == dense().subgraphs[0].tensors[1].data
    compiled = compile_network(again, "armv6m", "model", trainable=1)
    assert compiled.mote == (folder / "model.mote").read_bytes()


def test_export_into_the_original(folder: Path) -> None:
    fedmote(folder, "compile", "model.tflite", "--trainable", "1")
    shown = fedmote(folder, "export", "model.mote", "--like", "model.tflite", "-o", "again.tflite")
    assert shown.returncode == 0, shown.stderr
    again = tflite.read((folder / "again.tflite").read_bytes()).subgraphs[0]
    assert again.tensors[1].data == dense().subgraphs[0].tensors[1].data
    missing = fedmote(folder, "export", "other.mote")
    assert (missing.returncode, missing.stderr) == (1, "error: other.mote: No such file or directory\n")
