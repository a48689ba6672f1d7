"""A board's file system holds what its interpreter can run,
compiled for its processor, and nothing it does not need."""

from pathlib import Path

import pytest

from fedmote.boards import catalogue, image
from fedmote.errors import FedmoteError

_ARCHES = sorted(
    {
        board.arch
        for board in catalogue.load().values()
        if "micropython" in board.runtimes and board.chip != "host"
    }
)


@pytest.mark.parametrize("arch", _ARCHES)
def test_every_file_compiles_for_the_processor(tmp_path: Path, arch: str) -> None:
    image.write(tmp_path, "micropython", arch)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {"main.py", "node.mpy", "lib/mote/model.mpy", "lib/mote/kernels/viper/dense.mpy"} <= names
    assert not [name for name in names if name.endswith(".py") and name != "main.py"]
    assert not [name for name in names if "ulab" in name]


def test_circuitpython_gets_sources_and_its_own_starter(tmp_path: Path) -> None:
    image.write(tmp_path, "circuitpython")
    assert (tmp_path / "code.py").exists() and not (tmp_path / "main.py").exists()
    assert (tmp_path / "lib/mote/kernels/ulab/dense.py").exists()
    assert (tmp_path / "lib/chumicro_mqtt/client.py").exists()


def test_settings_that_a_board_could_not_read_are_refused() -> None:
    with pytest.raises(FedmoteError, match="WIFI"):
        image.settings_text({"WIFI": 'a"b'})


def test_unknown_runtime_is_named_with_the_choices() -> None:
    with pytest.raises(FedmoteError, match="micropython, circuitpython"):
        list(image.sources("espruino"))
