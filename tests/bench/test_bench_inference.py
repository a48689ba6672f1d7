"""``fedmote bench inference`` times .tflite models under MicroPython beside TensorFlow Lite Micro."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from fedmote.benchmarks import inference
from fedmote.cli import bench
from fedmote.errors import FedmoteError

pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Linux x86-64 only")
sys.path.insert(0, str(Path(__file__).parents[1] / "host"))
import generated


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in (3, 4):
        (tmp_path / f"graph{seed}.tflite").write_bytes(generated.graph(seed))
    return tmp_path


def test_json_has_every_figure(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench.main("inference", models=folder, as_json=True)
    figures = json.loads(capsys.readouterr().out)
    assert [model["model"] for model in figures["models"]] == ["graph3", "graph4"]
    for model in figures["models"]:
        assert model["tflm"]["microseconds"] > 0
        assert set(model["kernels"]) >= {"viper", "plain"}
        for kernel in model["kernels"].values():
            assert kernel["differing"] == kernel["bytes_allocated_per_call"] == 0
            assert 0 < kernel["arena_bytes"] <= model["tflm"]["activation_bytes"]
            assert kernel["ratio"] > 0 and kernel["flash_bytes"] > 0


def test_what_is_missed_is_told_and_ends_with_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = inference.run(folder, 1, lambda done, total: None)
    timing = replace(found.models[0].timings[0], differing=3, allocated=16, arena_bytes=1 << 20)
    worse = replace(found, models=(replace(found.models[0], timings=(timing,)),))
    monkeypatch.setitem(bench.MODEL_BENCHMARKS, "inference", lambda *_: worse)
    with pytest.raises(typer.Exit) as ended:
        bench.main("inference")
    assert ended.value.exit_code == 1
    out, err = capsys.readouterr()
    assert "viper" in out
    assert "3 values differ" in err and "1048576 bytes of arena" in err and "takes 16 bytes of heap" in err


def test_a_folder_must_be_named_and_have_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(inference.FOLDER_VARIABLE, raising=False)
    with pytest.raises(FedmoteError, match="--models FOLDER, or FEDMOTE_MODELS_DIR"):
        bench.main("inference")
    with pytest.raises(FedmoteError, match=r"has no \.tflite files"):
        bench.main("inference", models=tmp_path)
