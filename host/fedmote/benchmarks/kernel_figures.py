"""What ``fedmote bench kernels`` has counted: figures for people and machines, and what falls short."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Column, Table

#: so much more than pinned is a regression
TOLERANCE = 0.03
#: so many times a native kernel has to be faster than viper on the same core
LEAST_GAIN = 3
CLOCK_HZ = 125_000_000


@dataclass(frozen=True)
class Step:
    """An op that has run. cycles: None where it has no machine code. differing: values that are not the
    reference's."""

    op: str
    macs: int
    cycles: int | None
    differing: int


@dataclass(frozen=True)
class Measured:
    """A layer, or a model where ``is_model``, on a kernel.

    unit: what its core counts, cycles or instructions. bar, cmsis: cycles per MAC, for a model milliseconds
    at CLOCK_HZ; None where there is none. pinned: cycles. viper: the same layer by the viper kernel on the
    same core. both: the same model on two cores.
    """

    kernel: str
    unit: str
    name: str
    is_model: bool
    steps: tuple[Step, ...]
    bar: float | None = None
    cmsis: float | None = None
    pinned: int | None = None
    viper: "Measured | None" = None
    both: "Measured | None" = None

    @property
    def macs(self) -> int:
        """Multiplications."""
        return sum(step.macs for step in self.steps)

    @property
    def cycles(self) -> int:
        """All that were counted: instructions, for a core without a table."""
        return sum(step.cycles or 0 for step in self.steps)

    @property
    def per_mac(self) -> float:
        """Cycles per multiplication."""
        return self.cycles / self.macs

    @property
    def ms(self) -> float:
        """Time at CLOCK_HZ, of a core whose cycles are counted."""
        return 1000 * self.cycles / CLOCK_HZ

    @property
    def gain(self) -> float | None:
        """How many times faster it is than viper."""
        return self.viper.cycles / self.cycles if self.viper else None

    @property
    def uncounted(self) -> list[str]:
        """Ops that took no cycles, as they have no machine code."""
        return sorted({step.op for step in self.steps if step.cycles is None})

    @property
    def differing(self) -> int:
        """Values that are not the reference's."""
        return sum(step.differing for step in self.steps)

    def summary(self) -> dict[str, Any]:
        """Return all figures."""
        unit = "ms" if self.is_model else "per_mac"
        figures: dict[str, Any] = {
            "kernel": self.kernel,
            "name": self.name,
            "macs": self.macs,
            self.unit: self.cycles,
            "per_mac": round(self.per_mac, 3),
            "ms": round(self.ms, 3) if self._has_cycles else None,
            f"cmsis_{unit}": self.cmsis and round(self.cmsis, 2),
            f"bar_{unit}": self.bar,
            "pinned": self.pinned,
            "differing": self.differing,
        }
        if self.viper:
            figures |= {"viper_per_mac": round(self.viper.per_mac, 3)}
        if self.both:
            figures |= {"both_cores_ms": round(self.both.ms, 3), "both_cores_bar_ms": self.both.bar}
        if self.is_model:
            figures |= {"uncounted": self.uncounted, "ops": [asdict(step) for step in self.steps]}
        return figures

    def row(self) -> tuple[str, ...]:
        """Return the figures for people."""
        unit = " ms" if self.is_model else ""
        demands = [
            "" if one is None else f"{one:.{0 if unit else 2}f}{unit}" for one in (self.cmsis, self.bar)
        ]
        viper = f"{self.viper.per_mac:.2f}" if self.viper else ""
        gain = f"{self.gain:.1f}" if self.gain else ""
        both = f"{self.both.ms:.1f}" if self.both else ""
        ms = f"{self.ms:.1f}" if self._has_cycles else ""
        counted = f"{self.cycles:,}", f"{self.per_mac:.2f}", viper, gain, *demands, ms, both
        return self.kernel, self.unit, self.name, *counted, str(self.differing)

    @property
    def _has_cycles(self) -> bool:
        return self.unit == "cycles"

    def missed(self) -> Iterator[str]:
        """Yield what is wrong."""
        value, unit = (self.ms, "ms") if self.is_model else (self.per_mac, "cycles per MAC")
        if self.differing:
            yield f"{self.differing} values differ from the reference"
        slow = {step.op for step in self.steps if step.macs and step.cycles is None}
        if slow:
            yield f"no machine code for {', '.join(sorted(slow))}"
        if self.bar is not None and value > self.bar:
            yield f"{value:.2f} {unit}, the bar is {self.bar:g}"
        if self.pinned is not None and self.cycles > self.pinned * (1 + TOLERANCE):
            yield f"{self.cycles} {self.unit}, more than {TOLERANCE:.0%} above {self.pinned}"
        if self.gain is not None and self.gain < LEAST_GAIN:
            yield f"only {self.gain:.1f} times faster than viper, the bar is {LEAST_GAIN:g}"
        for other in (self.viper, self.both):
            if other:
                yield from (f"{other.kernel}: {what}" for what in other.missed())


@dataclass(frozen=True)
class Kernels:
    """What was measured."""

    measured: tuple[Measured, ...]
    seconds: float

    def summary(self) -> dict[str, Any]:
        """Return all figures: cycles, cycles per MAC, milliseconds at 125 MHz, CMSIS-NN's and the bars."""
        return {
            "layers": [one.summary() for one in self.measured if not one.is_model],
            "models": [one.summary() for one in self.measured if one.is_model],
            "missed": self.missed(),
            "seconds": self.seconds,
        }

    def table(self) -> Table:
        """Return a row per layer and model."""
        names = (
            "count", "a MAC", "viper", "times", "CMSIS-NN", "bar", "ms", "2 cores", "differing",
        )  # fmt: skip
        columns = (Column(name, justify="right", no_wrap=True) for name in names)
        table = Table("kernel", "of", Column("", no_wrap=True), *columns, box=None)
        for one in self.measured:
            table.add_row(*one.row(), style="bold red" if any(one.missed()) else "")
        return table

    def missed(self) -> list[str]:
        """Return a sentence where values differ, a bar is missed, or cycles have grown by more than 3%."""
        return [f"{one.kernel}, {one.name}: {what}" for one in self.measured for what in one.missed()]
