"""Compares learning together with learning alone and on pooled data, for clients nobody has learned from."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from statistics import fmean, pstdev
from time import perf_counter
from typing import Any

from rich.table import Table

from fedmote.models.application import Application
from fedmote.simulation import Result, simulate, uplink_bytes
from mote import codec as codecs

PROCESSES = 2
#: field of simulation.Result -> what it is called in the table
MEASURES = {
    "before": "untrained",
    "local": "each board alone",
    "federated": "federated",
    "centralised": "all data in one place",
    "own_local": "each board alone, its own client",
    "own_federated": "federated, the boards' own clients",
}


@dataclass(frozen=True)
class Learning:
    """The results of one simulation per group of unseen clients. uplink_bytes: of one update, by codec."""

    application: Application
    seed: int
    results: tuple[Result, ...]
    uplink_bytes: dict[str, int]
    seconds: float

    @property
    def ratio(self) -> float:
        """Bytes of an int8 update to those of a float32 one."""
        return self.uplink_bytes["int8"] / self.uplink_bytes["float32"]

    def mean(self, measure: str) -> float:
        """Return the mean accuracy over the groups. measure: a key of MEASURES."""
        return fmean(self._values(measure))

    def missed(self) -> list[str]:
        """Return a sentence for every demand of the application's ``[bar]`` that was not met."""
        bar, federated = self.application.bar, self.mean("federated")
        gap = self.mean("centralised") - federated
        checks = (
            (federated >= bar.federated, f"federated accuracy {federated:.3f} is below {bar.federated:g}"),
            (gap <= bar.gap, f"federated accuracy is {gap:.3f} below centralised, more than {bar.gap:g}"),
            (
                self.ratio <= bar.ratio,
                f"int8 updates take {self.ratio:.3f} of float32, more than {bar.ratio:g}",
            ),
        )
        return [sentence for met, sentence in checks if not met]

    def summary(self) -> dict[str, Any]:
        """Return all figures; accuracies are 0 to 1, bytes count MQTT payloads and topics."""
        return {
            "application": self.application.name,
            "seed": self.seed,
            "rounds": self.application.training.rounds,
            "accuracy": {measure: self._spread(measure) for measure in MEASURES},
            "accuracy_by_round": [
                fmean(values) for values in zip(*(r.rounds for r in self.results), strict=True)
            ],
            "groups": [
                {"unseen": result.unseen, **{measure: getattr(result, measure) for measure in MEASURES}}
                for result in self.results
            ],
            "uplink_bytes_per_update": {**self.uplink_bytes, "ratio": self.ratio},
            "bar": asdict(self.application.bar),
            "missed": self.missed(),
            "seconds": self.seconds,
        }

    def table(self) -> Table:
        """Return accuracies and bytes for a person."""
        groups, size = len(self.results), len(self.results[0].unseen)
        title = f"{self.application.name}: {groups} groups of {size} unseen clients, seed {self.seed}"
        table = Table("", "accuracy", "lowest", "highest", box=None, title=title, title_justify="left")
        for measure, words in MEASURES.items():
            spread = self._spread(measure)
            style = "bold" if measure == "federated" else ""
            table.add_row(
                words, *(f"{spread[key]:.3f}" for key in ("mean", "lowest", "highest")), style=style
            )
        table.add_section()
        for codec, count in self.uplink_bytes.items():
            table.add_row(f"bytes per update, {codec}", str(count))
        table.add_row("int8 to float32", f"{self.ratio:.3f}")
        return table

    def _values(self, measure: str) -> list[float]:
        return [getattr(result, measure) for result in self.results]

    def _spread(self, measure: str) -> dict[str, float]:
        values = self._values(measure)
        return {
            "mean": fmean(values),
            "deviation": pstdev(values),
            "lowest": min(values),
            "highest": max(values),
        }


def run(application: Application, seed: int, progress: Callable[[int, int], None]) -> Learning:
    """Simulate one federation per group of unseen clients, two at a time; every client is unseen once.

    progress: called with (groups done, groups in all). Raises FedmoteError where the data is missing.
    """
    start = perf_counter()
    clients = [recording.client for recording in application.recordings()]
    groups = groups_of(clients, application.data.unseen)
    progress(0, len(groups))
    with ProcessPoolExecutor(PROCESSES) as pool:
        futures = [pool.submit(simulate, application, group, seed=seed) for group in groups]
        for done, future in enumerate(as_completed(futures), 1):
            future.result()  # an error ends the benchmark now, not after the last group
            progress(done, len(groups))
    rounds = application.training.rounds
    sizes = {codec: uplink_bytes(application, codec, clients[-1], rounds) for codec in codecs.CODECS}
    results = tuple(future.result() for future in futures)
    return Learning(application, seed, results, sizes, round(perf_counter() - start, 1))


def groups_of(clients: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Return disjoint groups of ``size`` neighbours; clients that fill no group are left out."""
    return [tuple(clients[start : start + size]) for start in range(0, len(clients) - size + 1, size)]
