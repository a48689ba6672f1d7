"""Runs compiled networks on values from files, under MicroPython: `micropython verify_board.py LIST`.

Each line of LIST is a job, a JSON object: the names of the files ``model``, ``inputs`` and ``outputs``, the
``kernel`` (null: the fastest), ``resident`` (false: weights stay in the file), ``count`` of inputs, ``watch``
and ``repeats``. Each is answered by a line of JSON on standard output. The host imports ``run`` from here, so
the file suits CPython, too. It compares nothing.
"""

import gc
import json
import sys

from mote import model, port

if sys.implementation.name != "micropython":
    from collections.abc import Callable
    from typing import Any


def run(
    network: "model.Model",
    read: "Callable[[memoryview], Any]",
    write: "Callable[[memoryview], Any]",
    first: int,
    count: int,
    watch: "list[list[int]]",
) -> None:
    """Read ``count`` inputs; after each, write every watched tensor, then the output.

    first: number of set-up ops. watch: [last, tensor] in order; the tensor is written as soon as op number
    ``last`` is done, which may be first - 1.
    """
    for _ in range(count):
        read(network.input)
        step = first
        for last, tensor in watch:
            while step <= last:
                network.steps[step]()
                step += 1
            write(network.tensor(tensor).data)
        network.invoke_from(step)
        write(network.output)


def measure(network: "model.Model", repeats: int) -> "dict[str, int]":
    """Return the shortest time of one call in microseconds, and the bytes of heap that a call takes."""
    network.invoke()  # the first one may allocate
    times = []
    for _ in range(repeats):
        gc.collect()
        start = port.ticks_us()
        network.invoke()
        times.append(port.ticks_diff(port.ticks_us(), start))
    gc.collect()
    before = gc.mem_alloc()  # type: ignore[attr-defined] # MicroPython's
    network.invoke()
    after = gc.mem_alloc()  # type: ignore[attr-defined]
    return {"microseconds": min(times), "allocated": after - before}


def answer(job: "dict[str, Any]") -> "dict[str, Any]":
    """Do one job and return its figures: bytes of heap that are ``free`` beside the network, and times."""
    network = model.load(job["model"], job["kernel"], job["resident"])
    gc.collect()
    figures = {"free": gc.mem_free(), "kernel": network.kernel.NAME}  # type: ignore[attr-defined]
    if job["count"]:
        with open(job["inputs"], "rb") as inputs, open(job["outputs"], "wb") as outputs:
            run(network, inputs.readinto, outputs.write, job["first"], job["count"], job["watch"])
    if job["repeats"]:
        figures.update(measure(network, job["repeats"]))
    return figures


def main(path: str) -> None:
    """Answer every job of the list; an error is an answer, too."""
    with open(path) as jobs:
        for line in jobs:
            gc.collect()
            try:
                print(json.dumps(answer(json.loads(line))))
            except Exception as error:
                print(json.dumps({"error": repr(error)}))


if __name__ == "__main__":
    main(sys.argv[1])
