"""Flashing RP2040 and RP2350 boards: a UF2 file is copied to the drive that their boot loader shows."""

import contextlib
import errno
import os
import time
from pathlib import Path

from fedmote.boards import images
from fedmote.boards.catalogue import Board
from fedmote.boards.flashing import common, drives, usb
from fedmote.boards.flashing.entering import enter
from fedmote.boards.flashing.plan import Job, Order, Step
from fedmote.errors import FedmoteError

_PIECE = 64 << 10  # bytes between looks at the progress; each is on the board before the next
_RESTART_S = 10.0  # how long a board takes to leave its boot loader, at most
_PAUSE_S = 0.1


def steps(order: Order, image: images.Image) -> tuple[Step, ...]:
    """Return the steps; raises FedmoteError for what cannot be had on these boards."""
    board = order.board
    if order.erase:
        raise FedmoteError(
            f"{board.name} cannot be erased with --erase: write Raspberry Pi's flash_nuke.uf2 first"
        )
    drive = f"the drive {board.flash.drive}"
    where = order.port or f"{drive}, else a {board.title} on USB"
    return (
        Step("find", f"look for the board: {where}", _find),
        common.fetch(order, image),
        common.check(order),
        Step("enter", f"put the board into its boot loader and wait for {drive}", _enter, True),
        Step(
            "write", f"copy the image to {drive}, wait until the board leaves its boot loader", _write, True
        ),
        common.greet(order),
    )


def _find(job: Job) -> None:
    board, port = job.order.board, job.order.port
    if port and Path(port).is_dir():
        job.drive = drives.named(Path(port), board).path
    elif port:
        job.port = usb.named(port)
    elif found := drives.find(board):
        job.drive = Path(common.choose([(str(drive.path), drive.description) for drive in found], ""))
    else:
        running = [(port.device, port.description) for port in usb.with_ids(board.usb)]
        job.port = common.choose(running, f"no {board.title} found: {_by_hand(board)}")
    job.target = str(job.drive or job.port)
    job.watcher.note(job.target)


def _enter(job: Job) -> None:
    board = job.order.board
    if job.drive is None:
        assert job.port is not None
        before = {drive.path for drive in drives.find(board)}
        trouble = enter(job.port, board)
        found = usb.await_first(
            lambda: (drive for drive in drives.find(board) if drive.path not in before), common.PATIENCE_S
        )
        if found is None:
            raise FedmoteError(f"{trouble or 'its boot drive has not come up'}: {_by_hand(board)}")
        job.drive, job.port = found.path, None
        job.watcher.note(str(job.drive))
    common.remember_others(job)


def _write(job: Job) -> None:
    assert job.drive is not None
    drives.named(job.drive, job.order.board)
    _copy(job, job.drive, job.drive / job.file)
    deadline = time.monotonic() + _RESTART_S
    while drives.read(job.drive) is not None:
        if time.monotonic() > deadline:
            raise FedmoteError(
                f"{job.drive} has taken the whole image, but the board stays in its boot loader: the image "
                "is not accepted; connect the board again and try once more"
            )
        time.sleep(_PAUSE_S)


def _copy(job: Job, drive: Path, target: Path) -> None:
    """Copy the image so that each piece has reached the board. The drive may go away after the last one."""
    done = 0
    try:
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            while done < len(job.data):
                done += os.write(file, job.data[done : done + _PIECE])
                if done < len(job.data):
                    _flush(file)
                job.watcher.progress(done, len(job.data))
            with contextlib.suppress(OSError):  # the board may be gone with the last block
                _flush(file)
        finally:
            with contextlib.suppress(OSError):
                os.close(file)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise FedmoteError(
                f"{drive} is full after {done} of {len(job.data)} bytes, as no boot drive is: is it one?"
            ) from None
        raise FedmoteError(
            f"{drive} was lost after {done} of {len(job.data)} bytes ({error.strerror}): hold BOOTSEL while "
            "connecting the board, then run this again; its boot loader cannot be damaged"
        ) from None


def _flush(file: int) -> None:
    """Have all that is written reach the drive; files that cannot be flushed have no delay."""
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def _by_hand(board: Board) -> str:
    return drives.unmounted(board) or (
        f"hold its BOOTSEL (BOOT) button while connecting it, wait for the drive {board.flash.drive}, then "
        "run this again"
    )
