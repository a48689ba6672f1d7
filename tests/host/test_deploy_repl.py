"""The raw REPL reaches a board whatever it is doing, and says why where it cannot. All of it on real
MicroPython."""

import contextlib
import os
import pty
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import serial
from serial_board import SerialBoard, serial_board

from fedmote.boards import repl
from fedmote.boards.repl import BoardError, Identity, Repl
from fedmote.errors import FedmoteError


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_running_program_is_interrupted_and_goes_on_when_told_to(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import time\nopen('started', 'a').write('x')\nwhile True: time.sleep_ms(1)\n"
    )
    started = tmp_path / "started"
    with serial_board(tmp_path) as port:
        until(started.exists)
        with Repl.open(port) as board:
            assert board.execute("print(6 * 7)") == "42\n"
            assert board.evaluate("(1, 'two', b'3')") == (1, "two", b"3")
            board.resume()
        until(lambda: started.read_text() == "xx")


def test_a_board_says_what_it_is(tmp_path: Path) -> None:
    with serial_board(tmp_path) as port, Repl.open(port) as board:
        assert board.identify() == Identity(
            "micropython",
            board.evaluate("'.'.join(str(n) for n in __import__('sys').implementation.version[:3])"),
            "Raspberry Pi Pico W with RP2040",
            "rp2040",
            "RPI_PICO_W",
            "e66112",
        )


def test_an_error_on_the_board_comes_back_with_its_traceback(tmp_path: Path) -> None:
    with serial_board(tmp_path) as port, Repl.open(port) as board:
        with pytest.raises(BoardError, match="ZeroDivisionError") as caught:
            board.execute("1 / 0")
        assert "Traceback" in caught.value.traceback
        assert board.evaluate("2") == 2


def test_code_that_does_not_end_is_given_up_and_the_next_to_open_the_port_interrupts_it(
    tmp_path: Path,
) -> None:
    with serial_board(tmp_path) as port:
        with Repl.open(port) as board, pytest.raises(FedmoteError, match="stopped answering"):
            board.execute("while True: pass", timeout_s=0.3)
        with Repl.open(port) as board:
            assert board.evaluate("1") == 1


def test_refresh_empties_the_heap_and_runs_no_program(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("open('started', 'a').write('x')\n")
    with serial_board(tmp_path) as port:
        until((tmp_path / "started").exists)
        with Repl.open(port) as board:
            board.execute("left = 1")
            board.refresh()
            assert board.evaluate("'left' in globals()") is False
    assert (tmp_path / "started").read_text() == "x"


def test_reset_and_boot_loader(tmp_path: Path) -> None:
    with SerialBoard(tmp_path) as running:
        with Repl.open(running.port) as board:
            board.reset()
        until(lambda: running.starts == 2)
        with Repl.open(running.port) as board:
            board.enter_bootloader()
        until(lambda: running.state == "bootloader")


def test_a_busy_port_and_a_missing_one_are_told_apart(tmp_path: Path) -> None:
    busy = pytest.raises(FedmoteError, match="another program is using it")
    with serial_board(tmp_path) as port, serial.Serial(port, exclusive=True), busy:
        Repl.open(port)
    with pytest.raises(FedmoteError, match="no such port"):
        Repl.open("/dev/ttyNONE")


@pytest.mark.parametrize(
    ("heard", "hint"),
    [
        (b"", "`fedmote flash` puts it there"),
        (b"rst:0x1\r\nwaiting for download\r\n", "boot loader: press its reset button"),
        (b"invalid header: 0xffffffff\r\n", "flash is empty: put an interpreter on it"),
    ],
)
def test_a_board_without_interpreter_is_told_from_what_it_prints(
    heard: bytes, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repl, "_ANSWER_S", 0.05)
    monkeypatch.setattr(repl, "_SILENCE_S", 0.05)
    board, port = pty.openpty()
    ended = threading.Event()

    def speak() -> None:
        while not ended.wait(0.01):
            with contextlib.suppress(BlockingIOError):
                os.write(board, heard)

    os.set_blocking(board, False)
    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        with pytest.raises(FedmoteError, match=hint):
            Repl.open(os.ttyname(port))
    finally:
        ended.set()
        speaker.join()
        os.close(board)
        os.close(port)
