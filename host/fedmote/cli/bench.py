"""``fedmote bench``: runs a benchmark of an application, of .tflite models or of a federation, and tells what
it missed."""

import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from fedmote.benchmarks import BENCHMARKS, EMULATED_BENCHMARKS, FEDERATION_BENCHMARKS, MODEL_BENCHMARKS
from fedmote.errors import FedmoteError
from fedmote.models.application import Application

_OTHERS = tuple(dict.fromkeys((*MODEL_BENCHMARKS, *EMULATED_BENCHMARKS, *FEDERATION_BENCHMARKS)))
_EMULATED_ONLY = EMULATED_BENCHMARKS.keys() - MODEL_BENCHMARKS.keys()
_MOST_DEVICES = 100_000
_PIPED_COLUMNS = 120  # of a table that goes to a file or another program


def main(
    application: Annotated[
        str,
        typer.Argument(
            help="A folder of models/, such as watch or digits; or one of: " + ", ".join(_OTHERS) + "."
        ),
    ],
    benchmark: Annotated[
        str, typer.Option(help=f"What to measure: {', '.join(BENCHMARKS)}.", metavar="NAME")
    ] = "learning",
    models: Annotated[
        Path | None,
        typer.Option(
            help="For inference, kernels, ulab: a folder of .tflite files. (default: FEDMOTE_MODELS_DIR)"
        ),
    ] = None,
    board: Annotated[
        str | None, typer.Option(help="For inference, ulab --emulated: the board.", show_default=False)
    ] = None,
    emulated: Annotated[
        bool,
        typer.Option("--emulated", help="For inference, ulab: on an emulated board, see below.", metavar=""),
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Of initial weights, of the order of samples, of inputs.", min=0)
    ] = 1,
    boards: Annotated[
        int | None,
        typer.Option(help="For survival, intruder: virtual boards. (default: 20, 5)", min=1),
    ] = None,
    kills: Annotated[int | None, typer.Option(help="For survival: kill -9s. (default: 200)", min=1)] = None,
    rounds: Annotated[
        int | None, typer.Option(help="For survival: rounds to train, at least. (default: 5)", min=1)
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(metavar="N,N", help="For throughput: devices of each round. (default: 1000,10000)"),
    ] = None,
    messages: Annotated[
        int | None, typer.Option(help="For intruder: hostile messages. (default: 1000000)", min=100)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.", metavar="")] = False,
) -> None:
    """Compare local, federated and centralised learning on clients that nobody has learned from.

    No boards are needed: their own code runs here, without network. Exits with 1 where a demand that
    model.toml makes under bar is missed.

    inference times .tflite models under MicroPython, with TensorFlow Lite Micro in the same run, and
    demands equal bytes, no larger arena, and no heap taken by a call.

    With --board rpi_pico --emulated they run on an emulated Pico under the official MicroPython image in the
    folder FEDMOTE_UF2_DIR, where node and rp2040js are, too: cycles by SysTick, heap by gc. It demands equal
    bytes and the times of docs/kernels.md.

    ulab, with --board rpi_pico --emulated, times layers and models on an emulated Pico under the official
    CircuitPython image in that folder, beside the bare calls of ulab that they are made of. It demands equal
    bytes, and no more than 1.15 times the time of those calls.

    kernels counts the cycles of native kernels on emulated processors, for layers and, where a folder is
    named, for models, beside CMSIS-NN's. It demands equal bytes, the bars of docs/kernels.md, and no more
    than 3% above the cycles that were pinned.

    survival runs a federation through a network that cuts, delays, repeats and swaps, while its aggregator,
    its broker and its boards are killed at random, and demands that no update is lost or counted twice, and
    the same model, bit for bit, as without all that.

    throughput lets 1,000 and 10,000 devices send an update of 50,000 parameters at once, by a real broker,
    and demands that 10,000 take a minute at most and the memory of few. Flower averages the same updates
    beside it where the extra flower is installed.

    intruder sends a million hostile messages to an aggregator, and attacks a federation of virtual boards. It
    demands that nothing of it counts, that memory stays flat, and that the boards finish their rounds.

    Examples:
      fedmote bench watch
      fedmote bench digits --json | jq .accuracy.federated.mean
      fedmote bench inference --models my_models --json
      fedmote bench inference --board rpi_pico --emulated
      fedmote bench ulab --board rpi_pico --emulated
      fedmote bench kernels --json | jq '.layers[] | {name, per_mac}'
      fedmote bench survival --boards 6 --kills 20 --rounds 2
      fedmote bench throughput --devices 1000 --json
      fedmote bench intruder --messages 100000
    """
    if benchmark not in BENCHMARKS:
        raise FedmoteError(f"benchmark {benchmark!r} is unknown, choose one of: {', '.join(BENCHMARKS)}")
    given = {
        "boards": boards,
        "kills": kills,
        "rounds": rounds,
        "devices": None if devices is None else _counts(devices),
        "messages": messages,
    }
    options = {name: value for name, value in given.items() if value is not None}
    is_emulated = board and emulated and application in EMULATED_BENCHMARKS
    if (board or emulated or application in _EMULATED_ONLY) and not is_emulated:
        names = ", ".join(EMULATED_BENCHMARKS)
        raise FedmoteError(f"--board and --emulated go together, for {names}: --board rpi_pico --emulated")
    if application in FEDERATION_BENCHMARKS:
        logging.getLogger("fedmote").setLevel(min(logging.INFO, logging.getLogger().level))
        title = application
        run = _federation_benchmark(application, options)
    elif options:
        raise FedmoteError(f"--{next(iter(options))} is not for {application}")
    elif board:
        title = f"{application} on {board}"
        run = partial(EMULATED_BENCHMARKS[application], board, models)
    elif application in MODEL_BENCHMARKS:
        title, run = application, partial(MODEL_BENCHMARKS[application], models)
    else:
        title = f"{application}: {benchmark}"
        run = partial(BENCHMARKS[benchmark], Application.load(application))
    with Console(stderr=True).status(title) as status:
        outcome = run(seed, lambda done, total: status.update(f"{title}, {done} of {total} done"))
    if as_json:
        print(json.dumps(outcome.summary(), indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else _PIPED_COLUMNS).print(outcome.table())
    for sentence in outcome.missed():
        print(f"missed: {sentence}", file=sys.stderr)
    if outcome.missed():
        raise typer.Exit(1)


def _counts(text: str) -> tuple[int, ...]:
    counts = text.split(",")
    if not all(count.isdecimal() and 0 < int(count) <= _MOST_DEVICES for count in counts):
        raise FedmoteError(
            f"--devices {text}: numbers from 1 to {_MOST_DEVICES} with commas, such as 100,1000"
        )
    return tuple(map(int, counts))


def _federation_benchmark(name: str, options: dict[str, Any]) -> Any:
    """Return the benchmark with its options."""
    benchmark = FEDERATION_BENCHMARKS[name]
    for option in options:
        if option not in benchmark.options:
            known = ", ".join(f"--{one}" for one in benchmark.options)
            raise FedmoteError(f"--{option} is not for {name}, it takes {known}")
    return partial(benchmark.run, **options)
