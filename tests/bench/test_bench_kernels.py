"""``fedmote bench kernels``: native kernels give the right bytes, within their bars, and get no slower."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer

pytest.importorskip("unicorn", reason="the emulator unicorn is not installed")

from fedmote.benchmarks import emulated, inference, kernels, layers
from fedmote.cli import bench
from fedmote.errors import FedmoteError
from fedmote.kernels.board_code import stand_in, viper_beside
from fedmote.models.graph import Code


@pytest.fixture(scope="module")
def measured() -> kernels.Kernels:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv(inference.FOLDER_VARIABLE, raising=False)
        return kernels.run(None, 1, lambda done, total: None)


def test_layers_are_exact_and_within_their_bars_and_their_pinned_cycles(measured: kernels.Kernels) -> None:
    assert measured.missed() == []
    assert all(one.pinned for one in measured.measured)
    by_viper = [one.viper for one in measured.measured if kernels.TARGETS[one.kernel].viper]
    assert all(one and one.pinned and one.cycles > one.macs for one in by_viper)
    assert {one.kernel for one in measured.measured} == set(kernels.here())
    assert sum(one.bar is not None for one in measured.measured) == 5


def test_the_same_seed_takes_the_same_cycles(
    measured: kernels.Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(inference.FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(layers, "LAYERS", layers.LAYERS[:2])
    again = kernels.run(None, 1, lambda done, total: None)
    names = {layer.name for layer in layers.LAYERS}
    assert again.measured == tuple(one for one in measured.measured if one.name in names)


def test_everything_that_is_worse_is_told(measured: kernels.Kernels) -> None:
    one = next(one for one in measured.measured if one.bar is not None)
    [step] = one.steps
    assert step.cycles is not None
    assert not list(replace(one, pinned=int(step.cycles / 1.02)).missed())
    for worse, said in (
        (replace(one, pinned=int(step.cycles / 1.04)), "more than 3% above"),
        (replace(one, bar=one.per_mac - 0.1), "cycles per MAC, the bar is"),
        (replace(one, is_model=True, bar=one.ms - 0.1), "ms, the bar is"),
        (replace(one, steps=(replace(step, differing=3),)), "3 values differ"),
        (replace(one, steps=(replace(step, cycles=None),)), "no machine code for products"),
        (replace(one, viper=replace(one, kernel="viper")), "only 1.0 times faster than viper"),
        (replace(one, viper=replace(one, kernel="viper", bar=0.5)), "viper: "),
        (replace(one, both=replace(one, is_model=True, bar=one.ms - 0.1)), "ms, the bar is"),
    ):
        assert any(said in sentence for sentence in worse.missed())


def test_json_has_every_figure_and_a_missed_bar_ends_with_1(
    measured: kernels.Kernels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = replace(measured, measured=(replace(measured.measured[0], bar=0.5, is_model=True),))
    monkeypatch.setitem(bench.MODEL_BENCHMARKS, "kernels", lambda *_: worse)
    with pytest.raises(typer.Exit) as ended:
        bench.main("kernels", as_json=True)
    assert ended.value.exit_code == 1
    out, err = capsys.readouterr()
    [figures] = json.loads(out)["models"]
    assert figures["cycles"] == figures["ops"][0]["cycles"] > 0
    assert {"per_mac", "ms", "cmsis_ms", "bar_ms", "pinned", "differing", "uncounted"} <= set(figures)
    assert "the bar is 0.5" in err


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (layers.Layer("", Code.CONV, 9, 8, 5, 6, (3, 2), 2), 5 * 4 * 6 * 5 * 3 * 2),
        (layers.Layer("", Code.DEPTHWISE, 9, 8, 4, 8, (3, 3)), 9 * 8 * 8 * 9),
        (layers.Layer("", Code.DENSE, 1, 1, 33, 7), 33 * 7),
    ],
)
def test_any_layer_can_be_measured(layer: layers.Layer, macs: int) -> None:
    assert layer.macs == macs
    for kernel, form in ((stand_in("armv6m"), 2), (viper_beside("armv6m"), 1)):
        [step] = kernels.steps_of(layers.compiled(layer, form, 5), kernel, [macs], 5)
        assert step.differing == 0
        assert step.cycles


def test_an_emulated_board_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.tflite").touch()
    with pytest.raises(FedmoteError, match="--board and --emulated go together"):
        bench.main("inference", board="rpi_pico")
    with pytest.raises(FedmoteError, match="esp32_c3 cannot be emulated, choose one of: rpi_pico"):
        emulated.run("esp32_c3", tmp_path, 1, lambda done, total: None)
    monkeypatch.setenv("FEDMOTE_UF2_DIR", str(tmp_path))
    with pytest.raises(FedmoteError, match=r"has no RPI_PICO-\*\.uf2"):
        emulated.run("rpi_pico", tmp_path, 1, lambda done, total: None)
