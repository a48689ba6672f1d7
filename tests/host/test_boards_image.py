"""A board's file system holds what its interpreter can run,
compiled for its processor, and nothing it does not need."""

from pathlib import Path

import pytest

from fedmote.boards import catalogue, image
from fedmote.errors import FedmoteError

_BY_ARCH = {
    board.arch: board
    for board in catalogue.load().values()
    if "micropython" in board.runtimes and board.chip != "host"
}


@pytest.mark.parametrize("arch", sorted(_BY_ARCH))
def test_every_file_compiles_for_the_processor(arch: str) -> None:
    names = set(image.program(_BY_ARCH[arch], "micropython"))
    assert {"main.py", "node.mpy", "starter.mpy"} <= names
    assert {"lib/mote/model.mpy", "lib/mote/kernels/viper/dense.mpy"} <= names
    assert [name for name in names if name.endswith(".py")] == ["main.py"]  # it is started by its name
    assert not [name for name in names if "ulab" in name or "on_circuitpython" in name]


def test_circuitpython_gets_sources_and_its_own_starters() -> None:
    names = set(image.program(catalogue.find("rpi_pico_w"), "circuitpython"))
    assert {"code.py", "boot.py", "node.py", "lib/mote/kernels/ulab/dense.py"} <= names
    assert "lib/chumicro_mqtt/client.py" in names and "main.py" not in names
    assert not [name for name in names if name.endswith(".mpy")]
    assert not [name for name in names if "viper" in name or "on_micropython" in name]


def test_a_virtual_board_runs_every_source_unchanged_where_nothing_can_be_compiled_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDMOTE_MICROPYTHON", "micropython")
    files = image.program(catalogue.find("virtual"), "micropython")
    image.write(tmp_path)
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there == set(files)
    for path, source in image.sources():
        assert files[path.as_posix()] == source.read_bytes()


def test_settings_that_a_board_could_not_read_are_refused() -> None:
    with pytest.raises(FedmoteError, match="WIFI"):
        image.settings_text({"WIFI": 'a"b'})


def test_unknown_runtime_is_named_with_the_choices() -> None:
    with pytest.raises(FedmoteError, match="micropython, circuitpython"):
        image.program(catalogue.find("rpi_pico_w"), "espruino")
