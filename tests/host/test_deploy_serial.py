"""Deploying over a serial port: only what differs is copied, and whatever interrupts it, the board starts
again and can be deployed to again. All of it on real MicroPython with a real littlefs."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serial_board import PICO_W, SerialBoard

from fedmote.boards.deploying import copying, first_line, places, updates
from fedmote.boards.deploying import plan as planning
from fedmote.boards.deploying.contents import MANIFEST, Contents
from fedmote.boards.deploying.plan import Plan
from fedmote.boards.deploying.target import DRAFT, Room, Target
from fedmote.boards.flashing import drives
from fedmote.errors import FedmoteError
from fedmote.monitor.telemetry import Telemetry

FLASH_BYTES = 128 * 4096
MAIN = b"import node\nnode.run()\n"
NODE = b"""
import time
from parts import one, two, three
def run():
    versions = {one.VERSION, two.VERSION, three.VERSION}
    while True:
        print('{"device":"a","time_ms":1,"state":"%s"}' % " ".join(sorted(versions)))
        time.sleep_ms(20)
"""

REPEATING = b"""
import time
def run():
    while True:
        print('%s')
        time.sleep_ms(20)
"""


def contents(version: str, extra: dict[str, bytes] | None = None, padding: int = 5000) -> Contents:
    """Return a small program that tells which versions its parts have; they all differ between versions."""
    parts = {
        f"lib/parts/{name}.py": f"VERSION = '{version}'\n#{version * padding}\n".encode()
        for name in ("one", "two", "three")
    }
    files = {"main.py": MAIN, "node.py": NODE, "lib/parts/__init__.py": b"", **parts, **(extra or {})}
    return Contents({**files, "settings.toml": b'DEVICE = "a"\n'}, frozenset(), {}, None)


def target_at(port: str) -> Target:
    return places.open_target(port, 115200, lambda address: "")


def deploy(port: str, wanted: Contents) -> Plan:
    """Deploy and return what the plan was."""
    target = target_at(port)
    try:
        plan = planning.make(target, wanted, "watch")
        copying.carry_out(target, plan, lambda count: None)
    finally:
        target.close()
    return plan


def told(port: str, timeout_s: float = 20) -> Telemetry:
    """Return the first telemetry after a start."""
    target = target_at(port)
    target.restart()
    return first_line.wait(target.listen(), timeout_s)


def held(port: str, paths: list[str]) -> dict[str, bytes | None]:
    """Return what the board's files hold."""
    target = target_at(port)
    try:
        return {path: target.read(path) for path in paths}
    finally:
        target.close()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[SerialBoard]:
    with SerialBoard(tmp_path, flash_bytes=FLASH_BYTES) as running:
        yield running


def test_the_first_deploy_copies_all_and_the_second_nothing(board: SerialBoard) -> None:
    wanted = contents("1")
    first = deploy(board.port, wanted)
    assert {change.path for change in first.changes} == set(wanted.files)
    assert [change.path for change in first.changes][-1] == "main.py"
    assert told(board.port).state == "1"
    assert held(board.port, list(wanted.files)) == wanted.files
    second = deploy(board.port, wanted)
    assert not list(second.changes) and not second.obsolete
    assert second.unchanged == len(wanted.files)


def test_only_the_changed_file_is_copied(board: SerialBoard) -> None:
    deploy(board.port, contents("1"))
    again = deploy(board.port, contents("1", {"node.py": NODE + b"# changed\n"}))
    assert [change.path for change in again.changes] == ["node.py"]


def test_what_is_no_longer_part_goes_and_what_is_not_ours_stays(board: SerialBoard) -> None:
    target = target_at(board.port)
    theirs = {"diary.txt": b"mine", "lib/parts/mine.py": b"x = 1\n", "lib/other/mine.py": b"y = 1\n"}
    for path, content in theirs.items():
        target.write(path + DRAFT, content, lambda count: None)
        target.accept([path])
    target.close()
    deploy(board.port, contents("1", {"lib/parts/old/four.py": b"", "lib/parts/five.mpy": b"M"}))
    plan = deploy(board.port, contents("1", {"lib/parts/five.py": b""}))
    assert sorted(plan.obsolete) == ["lib/parts/five.mpy", "lib/parts/old/four.py"]
    assert held(board.port, list(theirs)) == theirs
    target = target_at(board.port)
    assert set(target.find(["lib/parts/five.mpy", "lib/parts/old/four.py", "lib/parts/five.py"])) == {
        "lib/parts/five.py"
    }
    target.close()


def test_a_program_that_was_there_before_is_set_aside_once(board: SerialBoard) -> None:
    target = target_at(board.port)
    target.write("main.py" + DRAFT, b"print('mine')\n", lambda count: None)
    target.accept(["main.py"])
    target.close()
    deploy(board.port, contents("1"))
    deploy(board.port, contents("2"))
    assert held(board.port, ["main.py", "main.py.before"]) == {
        "main.py": MAIN,
        "main.py.before": b"print('mine')\n",
    }


def test_a_cable_pulled_at_any_point_leaves_a_board_that_runs_one_version_and_takes_the_next(
    tmp_path: Path,
) -> None:
    with SerialBoard(tmp_path, flash_bytes=FLASH_BYTES) as running:
        deploy(running.port, contents("1"))
    with SerialBoard(tmp_path / "measured", flash_bytes=FLASH_BYTES) as running:
        deploy(running.port, contents("1"))
        begun = running.received
        deploy(running.port, contents("2"))
        needed = running.received - begun
    ended = 0
    versions = set()
    for percent in (30, 70, 90, 97, 99):
        with SerialBoard(tmp_path, flash_bytes=FLASH_BYTES, unplug_after=needed * percent // 100) as running:
            try:
                deploy(running.port, contents("2"))
            except FedmoteError:
                ended += 1
        with SerialBoard(tmp_path, flash_bytes=FLASH_BYTES) as running:
            versions.add(told(running.port).state)
    assert ended >= 3
    assert versions <= {"1", "2"}  # and never both at once
    with SerialBoard(tmp_path, flash_bytes=FLASH_BYTES) as running:
        wanted = contents("2")
        deploy(running.port, wanted)
        assert told(running.port).state == "2"
        drafts = [path + DRAFT for path in (*wanted.files, MANIFEST)]
        assert held(running.port, [*wanted.files, *drafts]) == {**wanted.files, **dict.fromkeys(drafts)}


def test_where_old_and_new_do_not_fit_side_by_side_one_file_follows_the_other(tmp_path: Path) -> None:
    with SerialBoard(tmp_path, flash_bytes=36 * 4096) as running:
        deploy(running.port, contents("1", padding=20_000))
        plan = deploy(running.port, contents("2", padding=20_000))
        assert [len(group) for group in plan.groups] == [1, 1, 1]
        assert told(running.port).state == "2"


def test_a_disk_that_is_too_small_is_refused_before_anything_changes(tmp_path: Path) -> None:
    with SerialBoard(tmp_path, flash_bytes=40 * 4096) as running:
        deploy(running.port, contents("1"))
        with pytest.raises(FedmoteError, match=r"too full: .* kB are missing.*nothing was changed"):
            deploy(running.port, contents("2", padding=60_000))
        assert told(running.port).state == "1"


def test_a_disk_that_fills_up_meanwhile_leaves_the_old_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SerialBoard(tmp_path, flash_bytes=40 * 4096) as running:
        deploy(running.port, contents("1"))
        target = target_at(running.port)
        monkeypatch.setattr(type(target), "room", lambda self: Room(1 << 30, 4096))
        plan = planning.make(target, contents("2", padding=60_000), "watch")
        with pytest.raises(FedmoteError, match="file system is full"):
            copying.carry_out(target, plan, lambda count: None)
        drafts = target.find(change.path + DRAFT for change in plan.changes)
        target.close()
        assert not drafts
        assert told(running.port).state == "1"


def test_a_release_on_trial_is_ended_by_a_restart_before_anything_is_copied(
    board: SerialBoard, tmp_path: Path
) -> None:
    deploy(board.port, contents("1"))
    target = target_at(board.port)
    journal = updates._starter().Journal(f"{tmp_path}/")
    journal.save(journal.TRIAL, counter=5, release="r2", installed="r1")
    target.write("ota/journal.1" + DRAFT, (tmp_path / "ota" / "journal.1").read_bytes(), lambda count: None)
    target.accept(["ota/journal.1"])
    starts = board.starts
    copying.carry_out(target, planning.make(target, contents("2"), "watch"), lambda count: None)
    assert board.starts > starts  # its watchdog is off
    assert b" none 5 - - 0 " in (target.read("ota/journal.0") or b"")
    target.close()
    assert told(board.port).state == "2"


def test_the_port_of_a_circuitpython_board_leads_to_its_drive_and_to_its_telemetry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive, inside = tmp_path / "CIRCUITPY", tmp_path / "inside"
    drive.mkdir()
    inside.mkdir()
    (drive / "boot_out.txt").write_text(
        f"Adafruit CircuitPython 9.2.8 on 2025-05-28; {PICO_W}\nBoard ID:raspberry_pi_pico_w\nUID:E66112\n"
    )
    (inside / "main.py").write_bytes(REPEATING % b'{"device":"a","time_ms":1,"state":"1"}' + b"run()\n")
    with SerialBoard(inside, runtime="circuitpython", build="raspberry_pi_pico_w") as running:
        with pytest.raises(FedmoteError, match="its drive CIRCUITPY, which is not mounted here"):
            target_at(running.port)
        monkeypatch.setattr(drives, "mounted", lambda: [tmp_path, drive])
        target = target_at(running.port)
        assert target.name == str(drive)
        starts = running.starts
        assert target.restart()
        assert first_line.wait(target.listen(), 20).state == "1"
        assert running.starts > starts


def test_bytes_that_do_not_arrive_as_sent_are_noticed(
    board: SerialBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(board.port, contents("1"))
    target = target_at(board.port)
    plan = planning.make(target, contents("2"), "watch")
    write = target.write
    monkeypatch.setattr(target, "write", lambda path, content, advance: write(path, content[:-1], advance))
    with pytest.raises(FedmoteError, match="did not arrive as it was sent: deploy again"):
        copying.carry_out(target, plan, lambda count: None)
    target.close()
    assert told(board.port).state == "1"


def test_a_program_that_fails_on_the_board_is_told_with_its_reason(board: SerialBoard) -> None:
    error = b'{"error":"ValueError: the sensor has 1 channel"}'
    deploy(board.port, contents("1", {"node.py": REPEATING % error}))
    with pytest.raises(FedmoteError, match="fails on the board: ValueError: the sensor has 1 channel"):
        told(board.port)


def test_a_board_that_prints_no_telemetry_is_told_with_what_it_printed(board: SerialBoard) -> None:
    deploy(board.port, contents("1", {"node.py": REPEATING % b"hello"}))
    with pytest.raises(FedmoteError, match=r"no telemetry came within 0 s. The board printed:(?s:.*)hello"):
        told(board.port, 0.5)


def test_a_board_that_is_only_looked_at_goes_on_with_its_program(board: SerialBoard) -> None:
    deploy(board.port, contents("1"))
    target = target_at(board.port)
    planning.make(target, contents("2"), "watch")
    target.close()
    end = time.monotonic() + 20
    for line in places.SerialTarget.listen(target):  # type: ignore[arg-type]
        assert time.monotonic() < end
        if line and b'"state":"1"' in line:
            break
