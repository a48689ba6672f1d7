"""What a deploy brings: the board's own id and key, settings that stay, the newest model, and nothing for
another board. Into folders and CIRCUITPY drives, where the files can be looked at."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedmote.boards import catalogue
from fedmote.boards.deploying import Deployment, Order, adafruit, copying, prepare, settings, updates
from fedmote.boards.deploying.folder import FolderTarget
from fedmote.errors import FedmoteError
from fedmote.federation.session import Overrides, Session
from fedmote.federation.store import STORE_NAME, Store
from fedmote.models.application import Application
from mote.model import Model

WATCH = Application.load("watch")
BROKER = "mqtt://10.0.0.1"
BOOT_OUT = (
    "Adafruit CircuitPython 9.2.8 on 2025-05-28; Raspberry Pi Pico W with rp2040\r\n"
    "Board ID:raspberry_pi_pico_w\r\nUID:DE6185B1F3A25C2B\r\n"
)


def deploy(folder: Path, board: str = "rpi_pico_w", provision: bool = True, **wanted: Any) -> Deployment:
    target = FolderTarget(folder)
    order = Order(**{"board": catalogue.find(board), "application": WATCH, **wanted})
    deployment = prepare(order, target, provision)
    copying.carry_out(target, deployment.plan, lambda count: None)
    return deployment


def settings_in(folder: Path) -> dict[str, Any]:
    return settings.read((folder / "settings.toml").read_text(), "here")


def test_a_board_gets_an_id_and_a_key_of_its_own_once(tmp_path: Path) -> None:
    folder, state = tmp_path / "board", tmp_path / "state"
    joining = {"federation": "home", "broker": BROKER, "state": state}
    first = deploy(folder, **joining)
    found = settings_in(folder)
    assert found["DEVICE"] == first.contents.device
    assert found["DEVICE"].startswith("rpi-pico-w-")
    with Store(state / STORE_NAME) as store:
        assert store.key(found["DEVICE"]) == bytes.fromhex(found["KEY"])
    second = deploy(folder, **joining)
    assert not list(second.plan.changes)
    assert settings_in(folder) == found
    assert not list(deploy(folder, state=state).plan.changes)  # it stays where it is
    deploy(folder, federation="other", broker=BROKER, state=tmp_path / "other")
    assert settings_in(folder)["DEVICE"] == found["DEVICE"]
    assert settings_in(folder)["KEY"] != found["KEY"]


def test_a_store_that_does_not_know_the_board_takes_its_key_in(tmp_path: Path) -> None:
    folder = tmp_path / "board"
    deploy(folder, federation="home", broker=BROKER, state=tmp_path / "state")
    key = settings_in(folder)["KEY"]
    deploy(folder, federation="home", broker=BROKER, state=tmp_path / "new")
    assert settings_in(folder)["KEY"] == key
    with Store(tmp_path / "new" / STORE_NAME) as store:
        assert store.key(settings_in(folder)["DEVICE"]) == bytes.fromhex(key)


def test_without_a_federation_the_board_is_on_its_own_and_no_store_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    deploy(tmp_path / "board")
    assert not {"FEDERATION", "BROKER", "KEY"} & set(settings_in(tmp_path / "board"))
    assert [path.name for path in tmp_path.iterdir()] == ["board"]


def test_settings_of_the_user_stay_and_given_ones_change(tmp_path: Path) -> None:
    theirs = '# mine\nCIRCUITPY_WEB_API_PASSWORD = "secret"\nRING = 7\nSEED = 4 # of mine\n'
    (tmp_path / "settings.toml").write_text(theirs)
    deploy(tmp_path, extra=settings.parse(["RING=100", "REPLAY_SPEED=2.5", "SEED="]))
    text = (tmp_path / "settings.toml").read_text()
    assert text.startswith('# mine\nCIRCUITPY_WEB_API_PASSWORD = "secret"\nRING = 100\n')
    found = settings_in(tmp_path)
    assert found["REPLAY_SPEED"] == 2.5 and "SEED" not in found


def test_later_deploys_keep_sensor_and_recording(tmp_path: Path) -> None:
    deploy(tmp_path, client=WATCH.recordings()[1].client)
    recording = (tmp_path / "recording.rec").read_bytes()
    assert not list(deploy(tmp_path).plan.changes)
    assert (tmp_path / "recording.rec").read_bytes() == recording
    deploy(tmp_path, sensor="lsm6ds")
    found = settings_in(tmp_path)
    assert (found["SENSOR"], found["SDA"], found["SCL"]) == ("lsm6ds", 4, 5)
    assert "RECORDING" not in found and not (tmp_path / "recording.rec").exists()
    assert not list(deploy(tmp_path).plan.changes)
    assert settings_in(tmp_path)["SENSOR"] == "lsm6ds"


def test_the_newest_model_of_the_federation_is_deployed_and_an_untrained_one_replaces_none(
    tmp_path: Path,
) -> None:
    folder, state = tmp_path / "board", tmp_path / "state"
    assert deploy(folder, state=state).contents.version is None
    untrained = (folder / "model.mote").read_bytes()
    with Session(WATCH, "watch", state, Overrides()) as session:
        values = session.store.model().values
        session.store.add_model(3, np.full_like(values, 0.5))
        session.store.set_ranges(3, np.array([4.0, 8.0]))
    assert deploy(folder, state=state).contents.version == 3
    trained = (folder / "model.mote").read_bytes()
    assert trained != untrained
    assert Model(bytearray(trained), "plain").labels == list(WATCH.labels)
    deploy(folder, state=tmp_path / "elsewhere")
    assert (folder / "model.mote").read_bytes() == trained


def test_a_dry_run_changes_neither_board_nor_store(tmp_path: Path) -> None:
    order = Order(
        board=catalogue.find("rpi_pico_w"),
        application=WATCH,
        federation="home",
        broker=BROKER,
        state=tmp_path / "state",
    )
    deployment = prepare(order, FolderTarget(tmp_path / "board"), provision=False)
    assert deployment.plan.size > 100_000
    assert not list((tmp_path / "board").iterdir()) and not (tmp_path / "state").exists()


def test_a_circuitpy_drive_tells_its_runtime_and_gets_sources(tmp_path: Path) -> None:
    (tmp_path / "boot_out.txt").write_text(BOOT_OUT)
    (tmp_path / "code.py").write_text("print('Hello')\n")
    assert deploy(tmp_path).runtime == "circuitpython"
    assert (tmp_path / "lib/mote/kernels/ulab/dense.py").exists()
    assert (tmp_path / "code.py.before").read_text() == "print('Hello')\n"
    assert settings_in(tmp_path)["DEVICE"] == "rpi-pico-w-a25c2b"  # of the chip's serial number


@pytest.mark.parametrize(
    ("board", "runtime", "problem"),
    [
        ("rpi_pico", None, "deploy with --board rpi_pico_w, or flash rpi_pico's image"),
        ("esp32_s3", None, "esp32_s3 has an esp32s3: deploy with --board rpi_pico_w"),
        ("rpi_pico_w", "micropython", "--runtime circuitpython, or put the other one on it: fedmote flash"),
        ("rpi_pico_w", "espruino", "choose one of: micropython, circuitpython"),
    ],
)
def test_another_board_or_interpreter_is_refused_with_what_to_do(
    tmp_path: Path, board: str, runtime: str | None, problem: str
) -> None:
    (tmp_path / "boot_out.txt").write_text(BOOT_OUT)
    with pytest.raises(FedmoteError, match=problem):
        deploy(tmp_path, board, runtime=runtime)
    assert [path.name for path in tmp_path.iterdir()] == ["boot_out.txt"]


def test_a_boot_drive_is_told_from_a_file_system(tmp_path: Path) -> None:
    (tmp_path / "INFO_UF2.TXT").write_text("Board-ID: RPI-RP2\n")
    with pytest.raises(FedmoteError, match="the board is in its boot loader"):
        deploy(tmp_path)


@pytest.mark.parametrize("state", ["FETCHING", "STAGED", "SWAPPING", "TRIAL", "CONFIRMED"])
def test_files_by_hand_win_over_an_update_over_the_air_and_old_offers_stay_old(
    tmp_path: Path, state: str
) -> None:
    journal_at = updates._starter().Journal
    journal = journal_at(f"{tmp_path}/")
    journal.save(journal.CONFIRMED, counter=4, release="r1", installed="r1")
    journal.save(getattr(journal, state), counter=5, release="r2")
    deploy(tmp_path)
    after = journal_at(f"{tmp_path}/")
    assert (after.state, after.counter, after.installed) == (after.NONE, 5, "-")
    assert not list(deploy(tmp_path).plan.changes)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"client": "nobody"}, "no recording of 'nobody', choose one of: subject-"),
        ({"sensor": "nose"}, "sensor 'nose' is unknown, choose one of: adc"),
        ({"sensor": "lsm6ds", "client": "subject-01"}, "choose one"),
        ({"role": "rest"}, "role 'rest' is unknown, choose one of: learn, evaluate"),
        ({"federation": "home"}, "--broker mqtt://HOST"),
        ({"board": "rpi_pico", "broker": BROKER}, "rpi_pico has no Wi-Fi"),
    ],
)
def test_what_does_not_fit_together_is_named(tmp_path: Path, wanted: dict[str, Any], problem: str) -> None:
    with pytest.raises(FedmoteError, match=problem):
        deploy(tmp_path, state=tmp_path / "state", **wanted)


def test_settings_that_a_board_cannot_read_are_named_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('A = 1\nB = "x\n')
    with pytest.raises(FedmoteError, match=r"on the board .* line 2"):
        deploy(tmp_path)


def test_a_sensor_on_circuitpython_brings_its_driver_or_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "boot_out.txt").write_text(BOOT_OUT)

    class Installed:
        def __init__(self, name: str) -> None:
            driver = Path("adafruit_" + name.removeprefix("adafruit-circuitpython-"), "__init__.py")
            path = tmp_path.parent / driver
            path.parent.mkdir(exist_ok=True)
            path.write_text("x = 1\n")
            self.files = [type("File", (type(driver),), {"read_binary": lambda _: path.read_bytes()})(driver)]

    monkeypatch.setattr(adafruit, "distribution", Installed)
    deploy(tmp_path, sensor="bme280")
    assert (tmp_path / "lib/adafruit_bme280/__init__.py").exists()
    assert (tmp_path / "lib/adafruit_busdevice/__init__.py").exists()

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(adafruit, "distribution", missing)
    with pytest.raises(FedmoteError, match="pip install --no-deps adafruit-circuitpython-sht4x adafruit-c"):
        deploy(tmp_path, sensor="sht4x")
