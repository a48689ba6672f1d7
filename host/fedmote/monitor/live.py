"""The live view: boards drawn over the whole terminal, and the keys that choose among them."""

import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live

from fedmote.monitor.board import WatchedBoard
from fedmote.monitor.boards import Boards
from fedmote.monitor.events import Event
from fedmote.monitor.keys import Keyboard
from fedmote.monitor.panel import panel
from fedmote.monitor.table import FRAME_LINES, table
from fedmote.monitor.watch import View

REDRAW_SECONDS = 0.2
_LOOK_SECONDS = 0.1
_TABLE_SHARE = 0.35  # of the lines, at most, as long as the board below it has not
_FULL_BOARD = 22  # lines
_LEAST_HEIGHT = 16  # lines below which table and board do not share a screen


class LiveView(View):
    """Boards on the whole terminal. wanted: the device that is shown in full at first, or None."""

    def __init__(self, console: Console, wanted: str | None = None) -> None:
        self._console = console
        self._boards = Boards(wanted)
        self._alone = False  # the selected board has the whole screen
        self._drawn, self._size = 0.0, console.size
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._keyboard = Keyboard()
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGHUP):  # leave the terminal as it was, however we are ended
            self._handlers[number] = signal.signal(number, lambda number, _: sys.exit(128 + number))
        self._keyboard.__enter__()
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._keyboard.__exit__()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def show(self, event: Event) -> bool:
        self._boards.take(event)
        return self._look()

    def stay(self) -> None:
        self._boards.link = "the recording has ended"
        self._drawn = 0.0
        while self._look():
            time.sleep(_LOOK_SECONDS)

    def _look(self) -> bool:
        """Obey the keys, and draw where it is time. Return False where the user wants to leave."""
        for key in self._keyboard.pressed():
            if key == "q":
                return False
            if key in _KEYS:
                _KEYS[key](self)
            elif key in "123456789":
                self._boards.select(int(key) - 1)
            self._drawn = 0.0
        if time.monotonic() - self._drawn >= REDRAW_SECONDS:
            if self._size != self._console.size:
                self._size = self._console.size
                self._console.clear()
            self._live.update(picture(self._boards, *self._size, self._alone), refresh=True)
            self._drawn = time.monotonic()
        return True

    def _step(self, by: int) -> None:
        if selected := self._boards.selected:
            self._boards.select(self._boards.order.index(selected) + by)

    def _turn(self) -> None:
        self._alone = not self._alone


_KEYS: dict[str, Callable[[LiveView], None]] = {
    "up": lambda view: view._step(-1),
    "down": lambda view: view._step(1),
    "k": lambda view: view._step(-1),
    "j": lambda view: view._step(1),
    "enter": lambda view: view._turn(),
}


def picture(boards: Boards, width: int, height: int, alone: bool = False) -> RenderableType:
    """Return all that is to be seen, exactly ``width`` columns and ``height`` lines.

    alone: only the selected board, though there are others.
    """
    selected = boards.selected
    style = "green" if boards.link == "open" else "yellow"
    where = f"{boards.source}: {boards.link}" if boards.source else boards.link
    if selected is None:
        return panel(
            WatchedBoard(), boards.output, "waiting for telemetry", f"{where} · q ends", style, width, height
        )
    board, name = boards[selected], boards.name(selected)
    if len(boards) == 1 or alone or height < _LEAST_HEIGHT:
        keys = "q ends" if len(boards) == 1 else "↑ ↓ choose · enter all boards · q ends"
        return panel(board, boards.output, name, f"{where} · {keys}", style, width, height)
    upper = min(
        len(boards) + FRAME_LINES, max(FRAME_LINES + 2, int(height * _TABLE_SHARE), height - _FULL_BOARD)
    )
    keys = "↑ ↓ or a number choose · enter shows one · q ends"
    return Group(
        table(boards, width, upper, f"{boards.link} · {keys}", style),
        panel(board, boards.output, name, "", style, width, height - upper),
    )
