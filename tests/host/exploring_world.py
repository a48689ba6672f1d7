"""For the exploration: one state of boards, broker and aggregator together, and all that may come next."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from exploring_aggregator import Service
from exploring_board import FEDERATION, LAYOUT, Board
from exploring_mail import Mail, added, matches, taken

from fedmote.federation.plan import Plan
from fedmote.federation.protocol import Outgoing
from mote import memory, wire

NAMES = ("attic", "cellar")

#: what happens, and to whom or which message
Label = tuple[Any, ...]


class World(NamedTuple):
    """One state of everything. boards, aggregator: numbers of their states. up: updates on their way to the
    aggregator. statuses: those of each board, in their order. down: what is on its way to each board.
    retained: number of what the broker retains. Messages are told by numbers."""

    aggregator: int
    boards: tuple[int, ...]
    up: tuple[int, ...]
    statuses: tuple[tuple[int, ...], ...]
    down: tuple[tuple[int, ...], ...]
    retained: int


class Moves:
    """What may happen to boards under a plan.

    boards: how many. troubled: how many of them faults can befall, all when None. operator: whether a pause
    is among the faults. prompt: whether PUBACKs and statuses are there at once, for fewer states.
    keeps: bytes from which on boards keep the pieces of a model.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        boards: int = 1,
        troubled: int | None = None,
        operator: bool = False,
        prompt: bool = False,
        keeps: int = memory.MODEL_BYTES,
    ) -> None:
        self._operator, self._prompt = operator, prompt
        self._troubled = boards if troubled is None else troubled
        names = NAMES[:boards]
        self.service = Service(folder, plan, names)
        self.boards = [
            Board(number, name, self.service.keys[name], plan.sizes, keeps)
            for number, name in enumerate(names)
        ]
        self.mail = Mail()
        self._slices: dict[tuple[int, int], int] = {}
        self._over: dict[tuple[int, int, int], bool] = {}
        self._online = [self.mail.number(_topic("status", name), _ONLINE) for name in names]
        self._offline = [self.mail.number(_topic("status", name), _OFFLINE) for name in names]
        self._resting = [self.mail.number(_topic("status", name), _RESTING) for name in names]
        self._round_topics = [_topic("round", name) for name in names]
        self._command_topics = [_topic("command", name) for name in names]

    def first(self) -> World:
        outcome = self.service.started(self.service.empty)
        boards = tuple(board.first() for board in self.boards)
        nothing: tuple[tuple[int, ...], ...] = tuple(() for _ in boards)
        world = World(outcome.state, boards, (), tuple((one,) for one in self._online), nothing, 0)
        return self._publish(world, outcome.published)

    def moves(self, world: World, left: int) -> Iterator[tuple[Label, World, int]]:
        """Yield (label, what comes after, faults that it costs) of all that may happen."""
        quiet = True
        for label, after in self._steps(world):
            quiet = False
            yield label, after, 0
        if self.service.states[world.aggregator].finished:
            return
        if self.service.states[world.aggregator].paused:  # it will not be for ever
            yield ("resume",), self._wished(world, "resume"), 0
        if quiet or left:
            for label, after in self._timers(world):
                yield label, after, 0 if quiet else 1
        if left:
            for label, after in self._breaks(world):
                yield label, after, 1

    def _steps(self, world: World) -> Iterator[tuple[Label, World]]:
        """Yield what happens without any fault, but for timers."""
        for message in sorted(set(world.up)):
            yield ("take", message), self._taken(world, (message,))
        for number, statuses in enumerate(world.statuses):
            if statuses:
                yield ("take", statuses[0]), self._taken(world, (statuses[0],), number)
        if len(world.up) > 1:
            yield ("take", *world.up), self._taken(world, world.up)
        for number, board in enumerate(self.boards):
            state = board.states[world.boards[number]]
            for message in sorted(set(world.down[number])):
                yield ("receive", message), self._moved(world, number, *self._event(message), drop=message)
            if state.works:
                yield ("work", number), self._moved(world, number, "work")
                for message in sorted(set(world.down[number])):
                    if self.mail[message][0] == self._round_topics[number]:
                        for slices in range(1, self._slices_of(number, world.boards[number])):
                            event = "interrupted", slices, *self.mail[message]
                            after = self._moved(world, number, *event, drop=message)
                            yield ("interrupt", number, slices, message), after
            if state.sends:
                yield ("send", number), self._moved(world, number, "send")

    def _timers(self, world: World) -> Iterator[tuple[Label, World]]:
        for number, board in enumerate(self.boards):
            if board.states[world.boards[number]].waits:
                later = self.service.after(world.aggregator, "later")  # boards' pauses are of seconds
                moved = self._moved(world, number, "timer")
                yield ("timer", number), moved._replace(aggregator=later.state)
        state = self.service.states[world.aggregator]
        if state.open:
            outcome = self.service.after(world.aggregator, "deadline")
            yield ("deadline",), self._publish(world._replace(aggregator=outcome.state), outcome.published)

    def _breaks(self, world: World) -> Iterator[tuple[Label, World]]:
        """Yield what may go wrong."""
        for number in range(self._troubled):
            yield from self._losses(world, number)
            yield from self._breaks_of_board(world, number)
        yield from self._breaks_of_aggregator(world)
        yield ("new broker",), self._new_broker(world)
        if self._operator and not self.service.states[world.aggregator].paused:
            yield ("pause",), self._wished(world, "pause")

    def _losses(self, world: World, number: int) -> Iterator[tuple[Label, World]]:
        """Yield what may become of messages from and to a board."""
        for message in sorted(set(world.up)):
            if self.mail[message][0].split("/")[3] == self.boards[number].name:
                yield ("lose", message), world._replace(up=taken(world.up, message))
                yield ("repeat", message), world._replace(up=added(world.up, message))
        for message in sorted(set(world.down[number])):
            topic, payload = self.mail[message]
            if topic == self._command_topics[number]:
                yield ("lose", message), self._down(world, number, taken(world.down[number], message))
            if payload is not None:
                yield ("repeat", message), self._down(world, number, added(world.down[number], message))

    def _breaks_of_board(self, world: World, number: int) -> Iterator[tuple[Label, World]]:
        board, at = self.boards[number], world.boards[number]
        for message in sorted(set(world.down[number])):
            for cut in board.after(at, *self._event(message)).cuts():
                yield ("cut", number, "receive", message), self._back(world, number, cut)
        if board.states[at].works:
            for cut in board.after(at, "work").cuts():
                yield ("cut", number, "work"), self._back(world, number, cut)
        yield ("power", number), self._back(world, number, board.after(at, "power").state)
        slept = board.after(at, "sleep").state
        yield ("sleep", number), self._back(world, number, slept, self._resting[number])
        yield ("disconnect", number), self._disconnected(world, number)
        if board.states[at].sends:  # the broker never had it
            gone = world._replace(boards=_put(world.boards, number, board.after(at, "send").state))
            yield ("disconnect amid", number), self._disconnected(gone, number)

    def _breaks_of_aggregator(self, world: World) -> Iterator[tuple[Label, World]]:
        state = self.service.states[world.aggregator]
        yield ("kill",), self._restarted(world, state.rows)
        for kill in self.service.after(world.aggregator, "deadline").kills if state.open else ():
            after = self._publish(world, kill.published)
            yield ("kill amid deadline",), self._restarted(after, kill.rows)
        renewed = self.service.after(world.aggregator, "renewed")
        yield ("reconnect",), self._again(world, renewed.state, renewed.published)
        batches = [(message,) for message in sorted(set(world.up))]
        batches += [(statuses[0],) for statuses in world.statuses if statuses]
        for batch in batches:
            status = next((n for n, one in enumerate(world.statuses) if one[:1] == batch), None)
            outcome = self.service.after(world.aggregator, "take", self.mail.batch(batch))
            for kill in outcome.kills:
                after = self._publish(
                    self._removed(world, batch, status) if kill.acknowledged else world, kill.published
                )
                label = "acknowledged" if kill.acknowledged else "not acknowledged"
                yield ("kill amid", *batch, label), self._restarted(after, kill.rows)
            lost = self.service.after(outcome.state, "renewed")
            after = self._removed(world, batch, status)
            yield ("reconnect amid", *batch), self._again(after, lost.state, lost.published)

    # Moves

    def _taken(self, world: World, batch: tuple[int, ...], status: int | None = None) -> World:
        outcome = self.service.after(world.aggregator, "take", self.mail.batch(batch))
        after = self._removed(world, batch, status)._replace(aggregator=outcome.state)
        return self._publish(after, outcome.published)

    def _wished(self, world: World, wish: str) -> World:
        outcome = self.service.after(world.aggregator, "wish", wish=wish)
        return self._publish(world._replace(aggregator=outcome.state), outcome.published)

    def _restarted(self, world: World, rows: Any) -> World:
        outcome = self.service.started(rows)
        return self._again(world, outcome.state, outcome.published)

    def _again(self, world: World, aggregator: int, published: tuple[Outgoing, ...]) -> World:
        """The aggregator has a new connection: it is told what the broker retains of boards."""
        statuses = tuple((*one, self._online[number]) for number, one in enumerate(world.statuses))
        return self._publish(world._replace(aggregator=aggregator, statuses=statuses), published)

    def _moved(self, world: World, number: int, *event: Any, drop: int | None = None) -> World:
        board = self.boards[number]
        before = board.states[world.boards[number]]
        outcome = board.after(world.boards[number], *event)
        down = world.down[number] if drop is None else taken(world.down[number], drop)
        wanted = board.states[outcome.state].filter
        if wanted is not None and wanted != before.filter:
            down = added(down, *self.mail.retained(world.retained, wanted))
        up = world.up
        if outcome.sent is not None:
            up = added(up, self.mail.number(*outcome.sent))
            if not self._prompt:
                down = added(down, self.mail.number(outcome.sent[0], None))
        after = world._replace(
            boards=_put(world.boards, number, outcome.state), up=up, down=_put(world.down, number, down)
        )
        if outcome.sent is not None and self._prompt:
            return self._moved(after, number, "delivered", outcome.sent[0])
        return after

    def _disconnected(self, world: World, number: int) -> World:
        return self._back(
            world, number, self.boards[number].after(world.boards[number], "disconnected").state
        )

    def _back(self, world: World, number: int, state: int, left: int | None = None) -> World:
        """A board has a new connection: what was on its way to it is lost, but for what is retained.

        left: the status with which it left, its last will when None.
        """
        down: tuple[int, ...] = ()
        for topic in (self._round_topics[number], self.boards[number].states[state].filter):
            if topic is not None:
                down = added(down, *self.mail.retained(world.retained, topic))
        statuses = (*world.statuses[number], left or self._offline[number], self._online[number])
        return world._replace(
            boards=_put(world.boards, number, state),
            statuses=_put(world.statuses, number, statuses),
            down=_put(world.down, number, down),
        )

    def _new_broker(self, world: World) -> World:
        """The broker has forgotten everything, and everybody connects to it."""
        nothing: tuple[tuple[int, ...], ...] = tuple(() for _ in world.boards)
        world = world._replace(up=(), statuses=nothing, down=nothing, retained=0)
        renewed = self.service.after(world.aggregator, "renewed")
        world = self._publish(world._replace(aggregator=renewed.state), renewed.published)
        for number in range(len(world.boards)):
            world = self._disconnected(world, number)
        return world._replace(statuses=tuple((one,) for one in self._online))

    def _removed(self, world: World, batch: tuple[int, ...], status: int | None) -> World:
        if status is not None:
            return world._replace(statuses=_put(world.statuses, status, world.statuses[status][1:]))
        up = world.up
        for message in batch:
            up = taken(up, message)
        return world._replace(up=up)

    def _down(self, world: World, number: int, down: tuple[int, ...]) -> World:
        return world._replace(down=_put(world.down, number, down))

    def _publish(self, world: World, outgoing: tuple[Outgoing, ...]) -> World:
        """The broker takes what the aggregator publishes."""
        if not outgoing:
            return world
        retained, live = self.mail.publish(world.retained, outgoing)
        down = list(world.down)
        for message in live:
            topic = self.mail[message][0]
            for number, board in enumerate(self.boards):
                wanted = board.states[world.boards[number]].filter
                if topic in (self._round_topics[number], self._command_topics[number]) or (
                    wanted is not None and matches(wanted, topic)
                ):
                    down[number] = added(down[number], message)
        return world._replace(retained=retained, down=tuple(down))

    def settled(self, world: World) -> World:
        """Return a state without the messages that can do nothing any more."""
        while self._prompt and any(world.statuses) and not self.service.states[world.aggregator].finished:
            number = next(number for number, one in enumerate(world.statuses) if one)
            world = self._taken(world, (world.statuses[number][0],), number)
        if self.service.states[world.aggregator].finished:
            world = world._replace(up=(), statuses=tuple(() for _ in world.boards))
        if not any(world.down):
            return world
        down = tuple(
            tuple(one for one in messages if not self._is_over(number, world.boards[number], one))
            for number, messages in enumerate(world.down)
        )
        return world if down == world.down else world._replace(down=down)

    def _is_over(self, number: int, state: int, message: int) -> bool:
        key = number, state, message
        if key not in self._over:
            self._over[key] = self.boards[number].ignores(state, *self.mail[message])
        return self._over[key]

    def _event(self, message: int) -> tuple[Any, ...]:
        topic, payload = self.mail[message]
        return ("delivered", topic) if payload is None else ("received", topic, payload)

    def _slices_of(self, number: int, state: int) -> int:
        if (number, state) not in self._slices:
            self._slices[number, state] = self.boards[number].slices(state)
        return self._slices[number, state]


_ONLINE = b'{"state":"online","role":"learn","protocol":%d,"layout":"%s"}' % (wire.PROTOCOL, LAYOUT.encode())
_OFFLINE = b'{"state":"offline"}'
_RESTING = b'{"state":"offline","back_s":20}'


def _topic(branch: str, name: str) -> str:
    return str(wire.topic(FEDERATION, branch, name))


def _put(values: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return *values[:at], value, *values[at + 1 :]
