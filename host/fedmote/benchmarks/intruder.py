"""What an intruder achieves: with a great many hostile messages to an aggregator in one process, and with an
attack on a federation of real processes."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from fedmote.benchmarks.barrage import HONEST, Barrage
from fedmote.benchmarks.siege import ROUNDS, Siege, besiege
from fedmote.errors import FedmoteError

#: how much more memory an aggregator may have at the end than after a tenth of the messages
AIM_GROWTH_BYTES = 8 << 20
_FEWEST_BOARDS = 3
_MIB = 1 << 20
_RUN = "from fedmote.benchmarks.barrage import main; main()"


@dataclass(frozen=True)
class Intrusion:
    """What came of both attacks."""

    seed: int
    barrage: Barrage
    siege: Siege

    def missed(self) -> list[str]:
        """Return a sentence for every demand that was not met."""
        barrage, siege = self.barrage, self.siege
        growth = barrage.end_rss_bytes - barrage.tenth_rss_bytes
        demands = (
            (not barrage.accepted, f"{barrage.accepted} bodies of the intruder count"),
            (not siege.accepted, f"{siege.accepted} bodies of the intruder count among real processes"),
            (
                barrage.honest == len(HONEST),
                f"{barrage.honest} of {len(HONEST)} honest boards could finish their round",
            ),
            (barrage.exact, "the model is not made of the honest boards' updates alone, to the bit"),
            (
                siege.rounds >= ROUNDS and siege.updates >= ROUNDS * siege.learners,
                f"{siege.rounds} rounds, {siege.updates} updates of {siege.learners} boards were finished",
            ),
            (
                growth <= AIM_GROWTH_BYTES,
                f"memory grew by {growth / _MIB:.1f} MiB, at most {AIM_GROWTH_BYTES / _MIB:.0f}",
            ),
        )
        return [sentence for met, sentence in demands if not met]

    def summary(self) -> dict[str, Any]:
        """Return all figures."""
        return {
            "seed": self.seed,
            "messages": self.barrage.messages + self.siege.messages,
            "accepted": self.barrage.accepted + self.siege.accepted,
            "barrage": asdict(self.barrage),
            "siege": asdict(self.siege),
            "missed": self.missed(),
        }

    def table(self) -> Table:
        """Return the figures for a person."""
        barrage, siege = self.barrage, self.siege
        title = f"{barrage.messages + siege.messages} hostile messages, seed {self.seed}"
        table = Table("", "", box=None, show_header=False, title=title, title_justify="left")
        for kind, count in barrage.sent.items():
            table.add_row(f"sent: {kind}", str(count))
        for reason, count in barrage.refused.items():
            table.add_row(f"refused: {reason}", str(count))
        table.add_row("neither refused nor counted", str(barrage.taken))
        table.add_row(
            "bodies of the intruder that count", str(barrage.accepted + siege.accepted), style="bold"
        )
        table.add_row("messages a second", f"{barrage.messages / barrage.seconds:.0f}")
        sizes = (barrage.start_rss_bytes, barrage.tenth_rss_bytes, barrage.end_rss_bytes)
        memory = ", ".join(f"{size / _MIB:.1f}" for size in sizes)
        table.add_row("memory at start, after a tenth, at the end", f"{memory} MiB")
        table.add_row("honest boards that finish their round", f"{barrage.honest} of {len(HONEST)}")
        table.add_row("model of their updates alone, to the bit", "yes" if barrage.exact else "no")
        live = f"{siege.rounds} rounds, {siege.updates} updates of {siege.learners} learners"
        table.add_row(f"real processes, {siege.messages} messages", f"{live}, {siege.seconds:.0f} s")
        return table


def run(
    seed: int, progress: Callable[[int, int], None], messages: int = 1_000_000, boards: int = 5
) -> Intrusion:
    """Attack both ways. messages: of the barrage. boards: virtual ones under siege.

    Raises FedmoteError where a process fails, or for fewer than 3 boards.
    """
    if boards < _FEWEST_BOARDS:
        raise FedmoteError(f"--boards {boards}: a siege takes at least {_FEWEST_BOARDS}")
    siege = besiege(boards, seed)
    return Intrusion(seed, _barrage(messages, seed, progress), siege)


def _barrage(messages: int, seed: int, progress: Callable[[int, int], None]) -> Barrage:
    """Run it in a process of its own, so that its memory is nobody else's."""
    command = [sys.executable, "-c", _RUN, str(messages), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        last = ""
        for last in process.stdout:
            if last.strip().isdigit():
                progress(int(last), messages)
        errors = process.stderr.read()
    if process.returncode:
        raise FedmoteError(f"the barrage failed:\n{errors}")
    return Barrage(**json.loads(last))
