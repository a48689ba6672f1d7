"""For the exploration: one board as a component whose states can be numbered, kept and gone on from.

It runs lib/mote's own Participant and Memory; only the learning is made up, so that no two trainings give the
same body. Time does not pass in it: a timer is let run out by whoever explores.
"""

import json
import pickle
import sys
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from struct import unpack_from
from typing import Any

from picturing import picture

from mote import codec, memory, rounds, wire
from mote.local import Shuffle
from mote.port import crc32, ticks_diff

sys.path.append(str(Path(__file__).parents[1] / "device"))
import remembering

FEDERATION = "home"
LAYOUT = "0123abcd"
STEP = 1 / 64  # by which two trainings differ; sums of it are exact in float32

#: what does not change what a board will do: figures for display, buffers, and times, for none passes
_HIDDEN = {
    rounds.Participant: {
        "error", "pause_ms", "time", "time_at", "_key", "_message", "_deadline", "_pause_ms",
    },
    memory.Memory: {"error", "_manifests", "_bodies", "_models", "_sum", "_sequence"},
}  # fmt: skip


class ViolationError(AssertionError):
    """Something that must never happen."""


class Learner:
    """What rounds.Participant needs of train.Learner."""

    part = 0

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.layout, self.part_sizes = LAYOUT, list(sizes)
        self.values = array("f", bytes(4 * sum(sizes)))

    def trained(self, values: Any) -> Any:
        return values


class Local:
    """What rounds.Participant needs of local.Local: each training, told by its number, adds something else to
    every value."""

    ready = True
    learns = True

    def __init__(self, sizes: tuple[int, ...], trainings: int, board: int) -> None:
        self.learner = Learner(sizes)
        self.base = array("f", bytes(4 * sum(sizes)))
        self.version: int | None = None
        self.report: Any = None
        self.trainings, self._board = trainings, board

    def work(self, version: int, train: bool, *_: Any) -> Iterator[None]:
        yield
        self.version = version
        self.report = codec.Report(version, 0, 20, 0.5, 0.75, 0.0, (1.0,))
        if train:
            self.trainings += 1
            self.report.samples = 3 + 2 * self._board
            change = STEP * (self.trainings + 16 * self._board)
            self.learner.values[:] = array("f", [value + change for value in self.base])

    def abandon(self) -> None:
        pass


@dataclass(frozen=True)
class Body:
    """A body that has left a board, at least in part. change: of each value, 0 in an evaluation."""

    counter: int
    round: int
    kind: int
    version: int
    samples: int
    change: float


@dataclass(frozen=True)
class State:
    """A state of a board.

    flash: of remembering.Drive. trainings: in its life. bodies, pieces: what it has sent in its life, the
    latter as ((counter, index), check sum). name: of the state in docs/protocol.md. filter: what it wants of
    the model. sends, works, waits: whether it has a message to send, work to do, a timer running. round,
    counter: what it is at. told: (round, whether its body counts) as it believes once it was answered.
    """

    ram: bytes
    flash: Any
    trainings: int
    bodies: tuple[Body, ...]
    pieces: tuple[tuple[tuple[int, int], int], ...]
    name: str = ""
    filter: str | None = None
    sends: bool = False
    works: bool = False
    waits: bool = False
    round: int = 0
    counter: int = 0
    told: tuple[int, bool] | None = None


@dataclass(frozen=True)
class Outcome:
    """What an event leads to. state: number of one. sent: (topic, payload) or None. cuts: numbers of the
    states in which the board is when it lost its power meanwhile and has started again."""

    state: int
    sent: tuple[str, bytes] | None
    cuts: Callable[[], tuple[int, ...]]


class Board:
    """The states of one board and what leads from one to another.

    number: of the board. sizes: values of each tensor. keeps: bytes from which on it keeps the pieces of a
    model. Events: ``received`` (topic, payload), ``delivered`` (topic of a PUBACK), ``send``, ``work``,
    ``interrupted`` (slices of work, topic and payload of what comes then), ``timer``, ``disconnected``,
    ``sleep`` (it saves, and its power goes), ``power`` (it just goes). Raises ViolationError where the board
    breaks what it promises.
    """

    def __init__(self, number: int, name: str, key: bytes, sizes: tuple[int, ...], keeps: int) -> None:
        self.number, self.name, self._key, self._sizes, self._keeps = number, name, key, sizes, keeps
        self.states: list[State] = []
        self._numbers: dict[Any, int] = {}
        self._known: dict[tuple[int, tuple[Any, ...]], Outcome] = {}

    def first(self) -> int:
        """Return the state of a board that is switched on for the first time."""
        return self._started(State(b"", remembering.NOTHING, 0, (), ()))

    def after(self, state: int, *event: Any) -> Outcome:
        """Return what an event leads to."""
        outcome = self._known.get((state, event))
        if outcome is None:
            outcome = self._known[state, event] = self._play(state, event)
        return outcome

    def slices(self, state: int) -> int:
        """Return how many slices the work takes that a board has to do."""
        with self._woken(self.states[state], remembering.Drive(self.states[state].flash)) as participant:
            count = 0
            while participant.step(0):
                count += 1
            return count

    def ignores(self, state: int, topic: str, payload: bytes | None) -> bool:
        """Tell whether a message does nothing to a board now nor later, while its connection lasts.

        payload: None for a PUBACK.
        """
        one = self.states[state]
        branch = topic.split("/")[2]
        told = one.told is not None and one.told[0] == one.round
        if branch == "update":
            number = int(topic.split("/")[4])
            return number < one.round or (told and number == one.round)
        assert payload is not None
        if branch == "command":
            counter = json.loads(payload)["counter"]
            return counter < one.counter or (told and counter == one.counter)
        return branch == "round" and self.after(state, "received", topic, payload).state == state

    def _play(self, number: int, event: tuple[Any, ...]) -> Outcome:
        before = self.states[number]
        if event[0] == "power":
            started = self._started(before)
            return Outcome(started, None, tuple)
        drive = remembering.Drive(before.flash)
        with self._woken(before, drive) as participant:
            sent = _EVENTS[event[0]](participant, *event[1:])
            if event[0] == "sleep":
                return Outcome(self._started(replace(before, flash=drive.state())), None, tuple)
            after = self._seen(before, participant, drive)
            if sent is not None:
                after = _noted(after, *sent)
            refused = event[0] == "received" and b'"result":"refused"' in event[2]
            if participant._told:
                answered = int(participant._asked.split()[1])
                known = before.told if before.told and before.told[0] == answered else None
                after = replace(after, told=known or (answered, not refused))
            else:
                after = replace(after, told=None)
            state = self._number(after, participant)
        return Outcome(state, sent, self._cutter(before, event) if drive.writes else tuple)

    def _cutter(self, before: State, event: tuple[Any, ...]) -> Callable[[], tuple[int, ...]]:
        """Return what finds where a cut of the power during an event leads to, once it is asked."""
        found: list[tuple[int, ...]] = []

        def cuts() -> tuple[int, ...]:
            if not found:
                found.append(tuple(sorted(set(self._cuts(before, event)))))
            return found[0]

        return cuts

    def _cuts(self, before: State, event: tuple[Any, ...]) -> Iterator[int]:
        for through in (True, False):
            last, cut = 0, True
            while cut:
                drive = remembering.Drive(before.flash, through, last, torn=lambda length: (length // 2,))
                with self._woken(before, drive) as participant:
                    try:
                        _EVENTS[event[0]](participant, *event[1:])
                        cut = False
                    except remembering.CutError:
                        trainings = participant.local.trainings
                        yield self._started(replace(before, flash=drive.state(), trainings=trainings))
                last += 1

    def _started(self, before: State) -> int:
        drive = remembering.Drive(before.flash)
        with self._mounted(drive):
            local = Local(self._sizes, before.trainings, self.number)
            participant = rounds.Participant(
                FEDERATION, self.name, self._key, local, Shuffle, memory.Memory("")
            )
            return self._number(replace(self._seen(before, participant, drive), told=None), participant)

    def _seen(self, before: State, participant: Any, drive: Any) -> State:
        """Return the state that a board is in, but for what it has sent."""
        _settle(participant)
        fetching = participant.state == rounds.FETCHING
        return replace(
            before,
            ram=pickle.dumps(participant),
            flash=drive.state(),
            trainings=participant.local.trainings,
            name=participant.state,
            filter=participant.model_filter,
            sends=_may_send(participant),
            works=participant.state == rounds.COLLECTING
            or (fetching and participant.model_filter is None and participant._body is not None),
            waits=participant.state == rounds.WAITING or fetching,
            round=participant.round,
            counter=participant._counter,
        )

    def _number(self, state: State, participant: Any) -> int:
        identity = (
            picture(participant, _HIDDEN), _ages(state.flash, participant._memory._sequence),
            state.trainings, state.bodies, state.pieces, state.told,
        )  # fmt: skip
        if identity not in self._numbers:
            self._numbers[identity] = len(self.states)
            self.states.append(state)
        return self._numbers[identity]

    @contextmanager
    def _woken(self, state: State, drive: Any) -> Iterator[Any]:
        with self._mounted(drive):
            yield pickle.loads(state.ram)

    @contextmanager
    def _mounted(self, drive: Any) -> Iterator[None]:
        """A context in which a board's files are on a drive, its clock stands, its random numbers are one."""
        with ExitStack() as stack:
            stack.enter_context(remembering.Mounted(drive, self._keeps, block=1))
            for module, name, value in (
                (memory, "ticks_ms", lambda: 0),
                (memory, "random_bytes", lambda count: bytes([7] * count)),
                (rounds, "gc", _NoCollector),  # with a test runner's heap it takes longer than all the rest
            ):
                stack.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, value)
            yield


def _ages(flash: Any, sequence: int) -> tuple[Any, ...]:
    """Return a drive's files with how old records are in place of the numbers that only rise, and which of
    the two files is written next."""
    files = []
    for path, content in flash[0]:
        fields = content.split(b" ", 2)
        if path in ("round.0", "round.1") and b"%08x" % crc32(content[9:].rstrip()) == fields[0]:
            content = int(fields[1]) - sequence, fields[2]
        files.append((path, content))
    return sequence & 1, tuple(files)


def _received(participant: Any, topic: str, payload: bytes) -> None:
    participant.received(topic, payload, 0)


def _delivered(participant: Any, topic: str) -> None:
    participant.delivered(topic, 0)


def _send(participant: Any) -> tuple[str, bytes]:
    topic, payload = participant.next_message()
    return topic, bytes(payload)


def _work(participant: Any) -> None:
    while participant.step(0):
        pass


def _interrupted(participant: Any, slices: int, topic: str, payload: bytes) -> None:
    for _ in range(slices):
        participant.step(0)
    participant.received(topic, payload, 0)
    _work(participant)


def _timer(participant: Any) -> None:
    now = participant._deadline
    while participant.step(now):
        pass
    participant._deadline = ticks_diff(participant._deadline, now)


_EVENTS: dict[str, Callable[..., Any]] = {
    "received": _received,
    "delivered": _delivered,
    "send": _send,
    "work": _work,
    "interrupted": _interrupted,
    "timer": _timer,
    "disconnected": lambda participant: participant.disconnected(),
    "sleep": lambda participant: participant._memory.save(),
}


def _settle(participant: Any) -> None:
    """Let so much time pass that limits on how often something may be written or sent are full again."""
    participant._message = bytearray(wire.MESSAGE_BYTES)
    participant._pause_ms = rounds._RESEND_MS
    kept = participant._memory
    for allowance in (kept._manifests, kept._bodies, kept._models):
        allowance._left = memory._WRITES


def _may_send(participant: Any) -> bool:
    if participant.state != rounds.SENDING:
        return False
    offered = list(participant._offered)
    return 0 in offered and sum(offered) - sum(participant._acknowledged) < rounds._IN_FLIGHT


def _noted(state: State, topic: str, payload: bytes) -> State:
    """Return the state with a message among what the board has sent. Raises ViolationError where a counter
    goes back or stands for two bodies."""
    chunk = wire.Chunk(payload)
    place, total = (chunk.counter, chunk.index), crc32(payload)
    pieces = dict(state.pieces)
    if pieces.setdefault(place, total) != total:
        raise ViolationError(f"{topic}: counter {chunk.counter} stands for two bodies")
    bodies = {body.counter: body for body in state.bodies}
    if chunk.counter not in bodies:
        if bodies and chunk.counter < max(bodies):
            raise ViolationError(f"{topic}: counter {chunk.counter} after {max(bodies)}")
        if chunk.index:
            raise ViolationError(f"{topic}: a body begins with piece {chunk.index}")
        piece = bytes(chunk.piece)
        report, _, tensors, start = codec.unpack_report(piece)
        change = unpack_from("<f", piece, start)[0] if tensors else 0.0
        bodies[chunk.counter] = Body(
            chunk.counter, chunk.number, chunk.kind, report.version, report.samples, change
        )
    elif (bodies[chunk.counter].round, bodies[chunk.counter].kind) != (chunk.number, chunk.kind):
        raise ViolationError(f"{topic}: counter {chunk.counter} stands for two bodies")
    return replace(state, pieces=tuple(sorted(pieces.items())), bodies=tuple(bodies.values()))


class _NoCollector:
    collect = staticmethod(lambda: None)
