"""The device's side of LoRaWAN: whatever is lost in the air, an update goes up whole, and the board keeps to
its airtime."""

import json
import os
from array import array
from struct import pack, unpack_from

import learning
import small_network

from mote import airtime, compact, erasure, frames, rounds, ternary, wire
from mote.links.lorawan import LorawanLink
from mote.links.rak3172 import Modem
from mote.local import Shuffle
from mote.memory import Memory
from mote.port import sha256
from mote.rest import Rest

_KEY = bytes(range(32))
_PATH = "lorawan-test.model"


def _raises(function, *arguments):
    try:
        function(*arguments)
    except ValueError:
        return True
    return False


def _bytes(count, seed=7):
    random = small_network.Random(seed)
    return bytes(random.below(256) for _ in range(count))


# Erasure code


def test_any_fragments_that_are_enough_give_the_message_back():
    random = small_network.Random(5)
    for count, size, length in ((1, 20, 13), (2, 48, 90), (20, 47, 934), (60, 5, 300)):
        message = _bytes(length)
        gathering = erasure.Gathering(count, size)
        fragment = bytearray(size)
        taken, index = set(), 0
        while len(taken) < count:
            index = random.below(erasure.FRAGMENTS)
            taken.add(index)
            erasure.fragment_into(fragment, message, count, index)
            out = gathering.add(index, fragment)
        assert bytes(out) == message + bytes(count * size - length)


def test_the_first_fragments_are_the_message_itself():
    fragment = bytearray(4)
    erasure.fragment_into(fragment, b"abcdef", 2, 1)
    assert fragment == b"ef\0\0"


def test_fragments_that_cannot_be_are_refused():
    gathering = erasure.Gathering(3, 4)
    assert _raises(gathering.add, 256, bytes(4)) and _raises(gathering.add, 0, bytes(5))
    assert _raises(erasure.Gathering, 0, 4) and _raises(erasure.Gathering, 171, 4)


# Airtime


def test_airtime_is_that_of_the_data_sheet():
    # The Things Network's calculator gives 2793.5, 61.7 and 368.9 ms for these, with 13 bytes around them.
    for length, spreading, expected in ((51, 12, 2793472), (10, 7, 61696), (222, 7, 368896)):
        assert airtime.airtime_us(length, spreading, 125000) == expected


def test_pace_keeps_the_duty_cycle():
    pace = airtime.Pace(0, 1.0)
    sent = 0
    for now in range(0, 3600000, 1000):
        if pace.allows(now, 2794):
            pace.spend(now, 2794)
            sent += 2794
    assert 0.009 * 3600000 < sent <= 0.01 * 3600000 + 2794


def test_pace_keeps_the_airtime_of_a_day_and_begins_anew_the_next():
    pace = airtime.Pace(0, 1.0, 30000)
    for day in (0, 1):
        sent = 0
        for now in range(day * 86400000, (day + 1) * 86400000, 60000):
            if pace.allows(now, 2794):
                pace.spend(now, 2794)
                sent += 1
        assert sent == 10


# Frames


def test_a_message_survives_a_third_of_its_frames():
    random = small_network.Random(2)
    payload = _bytes(900)
    sending, receiving = frames.Sending(wire.UPDATE, payload, 51), frames.Receiving()
    message = None
    while message is None:
        frame = sending.frame()
        assert len(frame) == sending.frame_bytes <= 51
        if random.below(3) == 0:
            message = receiving.take(frame)
    assert message[0] == wire.UPDATE and message[1] == payload
    again = receiving.take(sending.frame())
    assert again == (None, None)


def test_frames_of_two_messages_are_never_mixed_into_one():
    receiving = frames.Receiving()
    one, other = (frames.Sending(wire.UPDATE, _bytes(100, seed), 51) for seed in (1, 2))
    ones, others = [one.frame() for _ in range(3)], [other.frame() for _ in range(3)]
    assert ones[0][:2] != others[0][:2]
    assert receiving.take(ones[0]) is None and receiving.take(ones[0][:2] + others[1][2:]) is None
    assert _raises(receiving.take, ones[2])  # they were alike by chance
    assert receiving.take(others[0]) is None and receiving.take(others[1]) is None
    assert receiving.take(others[2]) == (wire.UPDATE, _bytes(100, 2))


def test_what_is_no_frame_is_refused():
    for frame in (b"", b"\x01", b"\x41\0\0\1abc", b"\0\0\0\0abc"):
        assert _raises(frames.Receiving().take, frame)


def test_compact_json_comes_back_byte_for_byte():
    data = bytes(
        [2 << 3 | compact.NUMBER, 0x84, 0x02, 4 << 3 | compact.WORD, 1, 5 << 3 | compact.HEXADECIMAL, 2]
    )
    data += b"\xab\xcd" + bytes([11 << 3 | compact.JSON, 4]) + b"0.05" + bytes([31 << 3 | compact.TEXT, 3])
    data += b"new" + b"\4text"
    assert compact.read(data) == b'{"round":260,"phase":"train","layout":"abcd","rate":0.05,"new":"text"}'
    assert _raises(compact.read, data[:-1]) and _raises(compact.read, b"\xf0\0")


def test_steps_move_a_model_by_one_magnitude():
    body = array("f", [0.5, -1.25, 3.0, 0.1])
    magnitude = unpack_from("<I", pack("<f", 0.3))[0]
    step = pack("<HI", 2, magnitude) + ternary.pack([0, 3], [False, True], 4)
    moved = bytearray(bytes(body))
    frames.apply_steps(moved, step + step)
    expected = array("f", body)
    for _ in range(2):
        expected[0] += array("f", [0.3])[0]
        expected[3] -= array("f", [0.3])[0]
    assert bytes(moved) == bytes(expected)
    assert _raises(frames.apply_steps, moved, step[:-1])
    assert _raises(frames.apply_steps, moved, b"\5\0" + step[2:])


# Link


class _Radio:
    """A radio that keeps what is sent, and hears what it is told to."""

    region = "EU868"

    def __init__(self, rate=5):
        self.rate, self.joined, self.ready, self.error = rate, True, True, None
        self.sent, self.inbox = [], []

    def poll(self, now):
        pass

    def send(self, port, payload):
        assert port == frames.PORT and len(payload) <= airtime.REGIONS[self.region][self.rate][2]
        self.sent.append(bytes(payload))

    def receive(self):
        return (frames.PORT, self.inbox.pop(0)) if self.inbox else None


class _Board:
    """A participant on a LoRaWAN link, driven as firmware drives it."""

    def __init__(self, model=None, **options):
        if model is not None:
            with open(_PATH, "wb") as file:
                file.write(model)
        self.radio = _Radio(options.pop("rate", 5))
        self.link = LorawanLink(self.radio, 0, path=_PATH, **options)
        _forget()
        self.participant = rounds.Participant("ward", "board-1", _KEY, learning.local(), lambda n: Shuffle(n))
        self.link.on_message = lambda topic, payload: self.participant.received(topic, payload, self.now)
        self.link.on_connected = self._connected
        self.link.subscribe(self.participant.round_topic)
        self.link.subscribe(self.participant.command_topic)
        self.filter = None
        self.now = 0

    def _connected(self):
        layout = self.participant.local.learner.layout
        status = {"state": "online", "role": "learn", "layout": layout}
        self.link.publish("fedmote/ward/status/board-1", json.dumps(status).encode(), 1, True)

    def turn(self):
        self.link.poll(self.now)
        wanted = self.participant.model_filter
        if wanted != self.filter:
            if self.filter is not None:
                self.link.unsubscribe(self.filter)
            self.filter = wanted
            if wanted is not None:
                self.link.subscribe(wanted)
        while self.participant.step(self.now):
            pass
        message = self.participant.next_message()
        while message is not None:
            assert self.link.publish(
                message[0], message[1], 1, False, lambda topic: self.participant.delivered(topic, self.now)
            )
            message = self.participant.next_message()

    def run(self, seconds):
        for _ in range(seconds):
            self.now += 1000
            self.turn()

    def hear(self, kind, payload):
        sending = frames.Sending(kind, payload, 222)
        for _ in range(sending.count):
            self.radio.inbox.append(sending.frame())
            self.run(1)

    def manifest(self, model, steps=b"", **changes):
        digest = sha256()
        digest.update(model)
        # One entry each, in a form that leaves the JSON as it stands.
        values = {
            "protocol": wire.PROTOCOL, "run": "0011aabb", "round": 4, "edition": 7, "version": 3,
            "phase": "train",
            "layout": self.participant.local.learner.layout, "size": len(model),
            "sha256": "".join("%02x" % byte for byte in digest.digest()), "codec": "int8", "epochs": 1,
            "batch": 8, "rate": 0.1, "decay": 0.0, "deadline_ms": 60000,
            "counter": 0, "time": 0, "pause_ms": 0,
        }  # fmt: skip
        values.update(changes)
        self.hear(frames.MANIFEST, _compact(values, wire.MANIFEST_SEAL) + steps)

    def receipt(self, counter, result="accepted"):
        values = {"receipt": 4, "counter": counter, "result": result}
        self.hear(frames.RECEIPT, _compact(values, wire.RECEIPT_SEAL)[2:])

    def uploaded(self):
        """Return (kind, round, counter, body) of the update in what was sent, None while it is not whole."""
        receiving = frames.Receiving()
        for frame in self.radio.sent:
            if frames.look_of(frame) is None:
                message = receiving.take(frame)
                if message is not None and message[0] is not None:
                    number, counter = unpack_from(frames.UPLOAD, message[1])
                    return message[0], number, counter, message[1][frames.UPLOAD_BYTES :]
        return None

    def looks(self):
        return [look for look in map(frames.look_of, self.radio.sent) if look is not None]


def _forget():
    try:
        os.remove(_PATH)
    except OSError:
        pass


def _compact(values, purpose):
    """Return the sealed JSON of these values as it goes down, its length before it."""
    entries = [(key, json.dumps(value)) for key, value in values.items()]
    payload = "{" + ",".join('"%s":%s' % entry for entry in entries) + "}"
    sealed = wire.seal(_KEY, purpose, "ward", "board-1", payload.encode())
    entries.append(("tag", json.dumps(json.loads(sealed)["tag"])))
    data = b""
    for key, text in entries:
        text = text.encode()
        data += (
            bytes([compact.OTHER_KEY << 3 | compact.JSON, len(key)])
            + key.encode()
            + bytes([len(text)])
            + text
        )
    return pack("<H", len(data)) + data


def _model(board_seed=3):
    local = learning.local()
    learning.start_values(local, board_seed)
    return bytes(local.base)


def test_a_board_goes_through_a_round_over_lorawan():
    model = _model()
    board = _Board(model)
    board.run(2)
    assert len(board.looks()) == 1 and board.looks()[0].model == frames.sum_of(model)
    assert board.looks()[0].layout == int(board.participant.local.learner.layout, 16)
    board.manifest(model)
    board.run(150)
    kind, number, counter, body = board.uploaded()
    assert (kind, number) == (wire.UPDATE, 4) and board.participant.state == rounds.WAITING
    tag = wire.Tag(_KEY, "ward", "0011aabb", "board-1", kind, number, counter)
    tag.update(body[: -wire.TAG_BYTES])
    assert tag.digest() == body[-wire.TAG_BYTES :]
    board.receipt(counter)
    assert board.participant.state == rounds.IDLE and board.participant.error is None
    board.radio.sent.clear()
    board.run(300)
    assert len(board.looks()) == len(board.radio.sent)  # no more of the update


def test_a_board_leaves_its_network_in_quiet_hours():
    board = _Board(_model())
    board.run(2)
    topic = "fedmote/ward/status/board-1"
    rest = Rest({"QUIET": "22-6"}, board.participant, board.link, topic, Memory(), board.now)
    board.participant.time, board.participant.time_at = 23 * 3600, board.now
    board.run(10)
    for _ in range(2):
        away = rest.poll(board.now, True)
    assert away and len(board.looks()) == 1
    board.run(20)
    board.now += 7 * 3600 * 1000
    assert not rest.poll(board.now, True)


def test_frames_go_on_until_the_receipt_comes():
    board = _Board(_model())
    board.manifest(_model())
    board.run(3600)
    update = [frame for frame in board.radio.sent if frames.look_of(frame) is None]
    assert len(update) > 2 * update[0][3] and len(set(update)) == len(update)
    before = len(board.radio.sent)
    board.run(3600)
    assert len(board.radio.sent) - before < 10  # ever more rarely


def test_a_receipt_for_something_else_does_not_lose_the_update():
    board = _Board(_model())
    board.manifest(_model())
    board.run(150)
    counter = board.uploaded()[2]
    board.receipt(counter + 1)
    board.radio.sent.clear()
    board.run(200)
    assert board.uploaded()[2] == counter


def test_an_update_is_cut_anew_when_the_data_rate_falls():
    board = _Board(_model(), rate=5)
    board.manifest(_model())
    while not any(frames.look_of(frame) is None for frame in board.radio.sent):
        board.run(1)
    board.radio.rate = 0
    board.run(4000)
    assert board.uploaded() is not None


def test_a_model_comes_in_steps_with_the_manifest():
    old = _model()
    step = pack("<HI", 1, 0x3E800000) + ternary.pack([2], [False], len(old) // 4)
    new = bytearray(old)
    frames.apply_steps(new, step)
    board = _Board(old)
    board.manifest(bytes(new), pack("<I", frames.sum_of(old)) + step)
    board.run(150)
    assert board.uploaded() is not None and bytes(board.participant.local.base) == bytes(new)
    with open(_PATH, "rb") as file:
        assert file.read() == bytes(new)
    _forget()


def test_a_board_without_the_model_asks_until_it_has_it():
    model = _model()
    board = _Board()
    board.manifest(model)
    board.run(200)
    assert board.participant.state == rounds.FETCHING and board.uploaded() is None
    assert len(board.looks()) > 3 and board.looks()[-1].model == 0
    board.hear(frames.BODY, model)
    _forget()
    board.run(150)
    assert board.uploaded() is not None


def test_messages_that_no_bridge_sends_change_nothing():
    board = _Board(_model())
    board.run(1)
    for kind in (frames.MANIFEST, frames.RECEIPT, frames.STEPS, 99):
        for payload in (b"", b"\0", b"\xff\xff\x10", b"\2\0\xfa\1"):
            board.hear(kind, payload)
    assert board.participant.state == rounds.IDLE and bytes(board.link._model) == _model()


def test_a_damaged_model_is_never_trained_on():
    model = bytearray(_model())
    board = _Board()
    board.manifest(model)
    model[5] ^= 1
    board.hear(frames.BODY, model)
    _forget()
    board.run(150)
    assert board.participant.state == rounds.FETCHING and board.uploaded() is None


def test_the_board_keeps_to_its_airtime_of_a_day():
    board = _Board(_model(), rate=0, day_ms=30000)
    board.manifest(_model())
    for _ in range(23 * 60):
        board.now += 60000
        board.turn()
    assert 20000 < board.link.pace.total_ms <= 30000


# Modem


class _Uart:
    def __init__(self):
        self.written, self.coming = [], b""

    def write(self, data):
        self.written.append(data.decode().strip())

    def read(self, count):
        data, self.coming = self.coming[:count], self.coming[count:]
        return data or None


def _joined():
    uart = _Uart()
    modem = Modem(uart, "EU868", ("0102030405060708", "00" * 8, "ab" * 16))
    now = 0
    while "AT+JOIN=1:0:10:0" not in uart.written:
        now += 10
        modem.poll(now)
        uart.coming = b"\r\nOK\r\n"
    modem.poll(now)
    uart.coming = b"+EVT:JOINED\r\n"
    modem.poll(now)
    uart.coming = b"AT+DR=3\r\n\r\nOK\r\n"
    modem.poll(now)
    return uart, modem


def test_modem_is_set_up_and_joins():
    uart, modem = _joined()
    assert uart.written[0] == "AT+NJM=1" and "AT+BAND=4" in uart.written
    assert "AT+APPKEY=" + "ab" * 16 in uart.written
    assert modem.joined and modem.ready and modem.rate == 3 and modem.error is None


def test_modem_sends_and_receives():
    uart, modem = _joined()
    modem.send(70, b"\1\xff")
    assert uart.written[-1] == "AT+SEND=70:01ff" and not modem.ready
    uart.coming = b"OK\r\n+EVT:RX_1:-28:8:UNICAST:70:00000710\r\n+EVT:TX_DONE\r\n"
    modem.poll(5000)
    assert modem.receive() == (70, b"\0\0\7\x10") and modem.receive() is None
    uart.coming = b"AT+DR=5\r\nOK\r\n"
    modem.poll(5010)
    assert modem.ready and modem.rate == 5


def test_modem_that_babbles_changes_nothing_but_the_error():
    uart, modem = _joined()
    uart.coming = b"\xff\xfe\r\nAT+DR=?\r\n+EVT:RX_1:-28\r\n+EVT:RX_1:-28:8:UNICAST:70:0\r\n"
    modem.poll(1000)
    assert "not understood" in modem.error and modem.ready and modem.rate == 3 and modem.receive() is None


def test_modem_that_falls_silent_is_told_and_goes_on():
    uart, modem = _joined()
    modem.send(70, b"\1")
    modem.poll(1000)
    modem.poll(30000)
    assert "does not answer" in modem.error
    uart.coming = b"AT+DR=5\r\nOK\r\n"
    modem.poll(30010)
    assert modem.ready


def test_modem_that_lost_its_network_joins_again():
    uart, modem = _joined()
    modem.send(70, b"\1")
    uart.coming = b"AT_NO_NETWORK_JOINED\r\n"
    modem.poll(100000)
    assert not modem.joined
    for now in range(100010, 100050, 10):
        uart.coming = b"OK\r\n"
        modem.poll(now)
    assert uart.written.count("AT+JOIN=1:0:10:0") == 2
