"""The boards that a monitor has heard of, by name, and which of them is selected. It draws nothing."""

from collections import deque

from fedmote.monitor.board import WatchedBoard
from fedmote.monitor.events import ALONE, Event, Lost, Opened, Output, Received, Reported

OUTPUT_LINES = 100


class Boards:
    """All boards so far; the first by name is selected until somebody selects another one.

    source: what is watched, for people. link: how that is. now: the host's time of the last event.
    """

    def __init__(self, wanted: str | None = None) -> None:
        self._boards: dict[str, WatchedBoard] = {}
        self._wanted = wanted
        self.source = ""
        self.link = "opening"
        self.now = 0.0
        self.output: deque[str] = deque(maxlen=OUTPUT_LINES)

    def __len__(self) -> int:
        return len(self._boards)

    def __getitem__(self, board: str) -> WatchedBoard:
        return self._boards[board]

    @property
    def order(self) -> list[str]:
        """The boards as they are listed."""
        return sorted(self._boards)

    @property
    def selected(self) -> str | None:
        """The board that is shown in full; None where there is none."""
        order = self.order
        wanted = [board for board in order if self._wanted in (board, board.rpartition("/")[2])]
        return next(iter(wanted or order), None)

    def select(self, position: int) -> None:
        """Select the board at a position of the order; one beyond an end is that at the end."""
        order = self.order
        if order:
            self._wanted = order[max(0, min(position, len(order) - 1))]

    def name(self, board: str) -> str:
        """Return what to call a board: its device, after its federation where there are several of these."""
        known = self._boards[board].known
        if board == ALONE:
            return known.device if known else ""
        federation, _, device = board.partition("/")
        several = any(other.partition("/")[0] != federation for other in self._boards)
        return board if several else device

    def take(self, event: Event) -> list[str]:
        """Take an event in; return the events that it brought to a board, for people."""
        self.now = event.at
        match event:
            case Received(at, board, telemetry):
                return self._boards.setdefault(board, WatchedBoard()).update(telemetry, at)
            case Reported(_, board, status):
                return self._boards.setdefault(board, WatchedBoard()).report(status)
            case Output(_, board, text):
                self.output.append(text if board == ALONE else f"{board}: {text}")
            case Lost(_, reason):
                self.link = "lost, waiting for it"
                self._note(f"lost: {reason}")
            case Opened(_, source):
                if self.source:
                    self._note(f"open again: {source}")
                self.source, self.link = source, "open"
        return []

    def _note(self, text: str) -> None:
        for board in self._boards.values():
            board.note(text)
