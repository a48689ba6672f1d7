"""Flashing boards of the ESP32 family: esptool's Python interface writes the image over the serial port."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any

from fedmote.boards import catalogue, images
from fedmote.boards.catalogue import Board
from fedmote.boards.flashing import common, esp_image, usb
from fedmote.boards.flashing.entering import enter
from fedmote.boards.flashing.plan import Job, Order, Step, Watcher
from fedmote.errors import FedmoteError

_log = logging.getLogger(__name__)

# USB ids of the boot loaders in ROM, by chip.
_ROM_IDS = {
    "esp32": (),
    "esp32s2": ("303a:0002",),
    "esp32s3": ("303a:1001", "303a:0009"),
    "esp32c3": ("303a:1001",),
    "esp32c6": ("303a:1001",),
}
_BRIDGES = ("10c4", "1a86", "0403", "067b")  # vendors of serial bridges, whose lines reset the chip


def steps(order: Order, image: images.Image) -> tuple[Step, ...]:
    """Return the steps that flash the board."""
    board = order.board
    where = order.port or f"the serial port of a {board.title}"
    erase = Step("erase", "erase the whole flash, with all files on the board", _erase, True)
    return (
        Step("find", f"look for the board: {where}", _find),
        common.fetch(order, image),
        common.check(order),
        Step("connect", f"start the boot loader, check that the chip is an {board.chip}", _connect, True),
        *((erase,) if order.erase else ()),
        Step(
            "write",
            f"write the image at {_offset(order):#x} with {order.baud} baud, compare it",
            _write,
            True,
        ),
        Step("start", "reset the board", _start, True),
        common.greet(order),
    )


def _find(job: Job) -> None:
    if find_spec("esptool") is None:
        raise FedmoteError("esptool, which writes to the ESP32 family, is missing: pip install fedmote[esp]")
    board = job.order.board
    found = [(port.device, port.description) for port in usb.with_ids((*board.usb, *_ROM_IDS[board.chip]))]
    nothing = f"no {board.title} found on USB: connect it, or name its serial port with --port. {_BY_HAND}"
    job.port = usb.named(job.order.port) if job.order.port else common.choose(found, nothing)
    job.target = job.port
    job.watcher.note(job.target)


def _connect(job: Job) -> None:
    from esptool import cmds
    from esptool.util import flash_size_bytes

    board = job.order.board
    assert job.port is not None
    _reach_rom(job)
    with _explained(job):
        loader = cmds.detect_chip(job.port, connect_attempts=_ATTEMPTS)
        job.resources.callback(loader._port.close)
        found = loader.CHIP_NAME.lower().replace("-", "")
        if found != board.chip:
            loader.hard_reset()
            raise FedmoteError(_wrong_chip(job.port, loader.CHIP_NAME, found, board))
        loader = cmds.run_stub(loader)
        loader.change_baud(job.order.baud)
        cmds.attach_flash(loader)
        size = cmds.detect_flash_size(loader)
    job.loader = loader
    job.watcher.note(f"{loader.CHIP_NAME} with {size or 'unknown'} flash")
    if size:  # boards are sold with other sizes than the usual one
        esp_image.check(job.data, board.chip, _offset(job.order), flash_size_bytes(size))
    common.remember_others(job)


def _reach_rom(job: Job) -> None:
    """Have a board whose own USB is the serial port start its boot loader, which comes up as another port.
    Others are reset by esptool over the port's lines."""
    board, port = job.order.board, job.port
    assert port is not None
    rom = _ROM_IDS[board.chip]
    now = usb.id_of(port)
    if now is None or now in rom or now.startswith(_BRIDGES):
        return
    before = usb.ports()
    trouble = enter(port, board)
    found = usb.await_first(
        lambda: (each for each in usb.with_ids(rom) if each not in before), common.PATIENCE_S
    )
    if found is None:
        raise FedmoteError(f"{trouble or 'its boot loader has not come up'}. {_BY_HAND}")
    job.port = found.device


def _erase(job: Job) -> None:
    from esptool import cmds

    with _explained(job, _AGAIN):
        cmds.erase_flash(job.loader)


def _write(job: Job) -> None:
    from esptool import cmds

    with _explained(job, _AGAIN):
        cmds.write_flash(job.loader, [(_offset(job.order), job.data)])


def _start(job: Job) -> None:
    with _explained(job):
        job.loader.hard_reset()
    job.loader._port.close()


@contextmanager
def _explained(job: Job, advice: str = "Run this again") -> Iterator[None]:
    """Pass esptool's progress on, and turn what it raises into messages for the user that end with advice."""
    from esptool import FatalError

    _listener().watcher = job.watcher
    try:
        yield
    except FatalError as error:
        text = str(error).partition("\n")[0].rstrip(". ")  # what follows is on esptool's own options
        hint = next((f" {hint}." for sign, hint in _HINTS if sign in text), "")
        raise FedmoteError(f"{job.port}: {text}.{hint} {advice}") from None
    except OSError as error:
        raise FedmoteError(f"{job.port}: the connection was lost ({error}). {advice}") from None
    finally:
        _listener().watcher = None


def _offset(order: Order) -> int:
    offset = order.board.runtimes[order.runtime].offset
    assert offset is not None
    return offset


def _wrong_chip(port: str, name: str, chip: str, board: Board) -> str:
    boards = [other.name for other in catalogue.load().values() if other.chip == chip]
    hint = f"choose --board {' or '.join(boards)}" if boards else "it is not supported"
    return (
        f"the chip at {port} is an {name}, but {board.name} has an {board.chip}: {hint}; the board was not "
        "changed"
    )


class _Listener:
    """What esptool reports to: its words go to the log, its progress to the watcher of the job under way."""

    def __init__(self) -> None:
        self.watcher: Watcher | None = None

    def print(self, *words: Any, **_: Any) -> None:
        if text := " ".join(map(str, words)).strip(" ."):
            _log.debug("esptool: %s", text)

    def note(self, message: str) -> None:
        _log.debug("esptool: %s", message)

    def warning(self, message: str) -> None:
        _log.info("esptool: %s", message)

    error = warning

    def stage(self, finish: bool = False) -> None:
        pass

    def progress_bar(self, cur_iter: int, total_iters: int, **_: Any) -> None:
        if self.watcher:
            self.watcher.progress(cur_iter, total_iters)

    def set_verbosity(self, verbosity: str) -> None:
        pass


@cache
def _listener() -> _Listener:
    """Return the listener, which esptool knows from the first call on: it has one for the whole process."""
    from esptool.logger import TemplateLogger, log

    listener = type("Listener", (_Listener, TemplateLogger), {})()
    log.set_logger(listener)
    return listener


_ATTEMPTS = 3  # at reaching the boot loader; each tries two ways
_BY_HAND = (
    "If it does not start its boot loader by itself: hold BOOT, press and release RESET (EN), release BOOT"
)
_AGAIN = "The image is not whole on the board: run this again, if need be with --baud 115200"
_HINTS = (
    ("Failed to connect", _BY_HAND),
    ("doesn't exist", "Close other programs that use it, or choose another port"),
    ("ecur", "fedmote does not force its way into a board whose owner has locked it"),
)
