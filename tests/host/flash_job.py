"""What tests of flashing share: an order carried out with a watcher that writes everything down."""

from pathlib import Path

from fedmote.boards import catalogue, flashing
from fedmote.boards.flashing import usb
from fedmote.boards.flashing.plan import Job, Step


class Notebook:
    """A watcher and a user: what was done, said and asked; ``answer`` is what the user says."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.actions: list[str] = []
        self.notes: list[str] = []
        self.questions: list[str] = []
        self.amounts: list[tuple[int, int | None]] = []

    def begins(self, step: Step) -> None:
        self.actions.append(step.action)

    def progress(self, done: int, total: int | None) -> None:
        self.amounts.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer


def flash(notebook: Notebook, board: str, firmware: Path, **options: object) -> Job:
    """Carry out an order for an image of the user's own."""
    order = flashing.Order(
        **{"board": catalogue.find(board), "runtime": "micropython", "firmware": firmware, **options}  # type: ignore[arg-type]
    )
    return flashing.plan(order).run(notebook, notebook.confirm)


def on_usb(monkeypatch, see) -> None:
    """Have ``see()``, a list of (port, vendor:product), be what is on USB."""
    monkeypatch.setattr(usb, "ports", lambda: [usb.UsbPort(*port) for port in see()])
