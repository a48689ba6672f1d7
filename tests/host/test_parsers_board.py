"""What a user can rely on: whatever reaches a board's parsers is understood as it was meant, or refused; no
bytes stop a board or mean something else than what was sent."""

import io
import json
import math
import struct
from array import array
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fedmote.boards.image import settings_text
from fedmote.bridges import compact as compact_writer
from fedmote.errors import FedmoteError
from fedmote.federation.bodies import Form
from mote import codec, compact, erasure, frames, kept, memory, ternary, wire
from mote import settings as settings_file
from mote.links import mqtt, serial
from mote.memory import Memory
from mote.rounds import Participant
from mote.update import Updater

KEY, FEDERATION, DEVICE = bytes(range(32)), "home", "attic"

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=5), some, max_size=3),
    max_leaves=5,
)
BITS = st.integers(0, 2**32 - 1)
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)
FLOATS = st.floats(-1000, 1000, width=32)


# Updates


@st.composite
def deltas(draw: Any) -> tuple[list[int], Any]:
    """Return the sizes of some tensors and as many values, float32."""
    sizes = draw(SIZES)
    values = draw(st.lists(FLOATS, min_size=sum(sizes), max_size=sum(sizes)))
    return sizes, np.array(values, np.float32)


def encoder(name: str, sizes: list[int], delta: Any, residual: Any = None) -> Any:
    report = codec.Report(4, 10, 5, 0.5, 0.5, 0.5, (1.0, 2.0))
    local = array("f", delta.tobytes())
    base = array("f", bytes(4 * len(local)))
    return codec.Encoder(report, codec.CODECS[name], local, base, sizes, residual)


@given(deltas(), st.sampled_from(list(codec.CODECS)), st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_a_body_is_the_same_however_it_is_cut_and_has_the_length_that_the_host_expects(
    delta: tuple[list[int], Any], name: str, cuts: list[int]
) -> None:
    one = encoder(name, *delta)
    whole = bytearray(one.total)
    assert one.read_into(whole, 0) == one.total
    assert one.total + wire.TAG_BYTES == Form(name, tuple(delta[0]), 2).length(wire.UPDATE)
    pieces, at, turn = b"", 0, 0
    while at < one.total:
        piece = bytearray(cuts[turn % len(cuts)])
        count = one.read_into(piece, at)
        pieces, at, turn = pieces + bytes(piece[:count]), at + count, turn + 1
    assert pieces == whole and one.read_into(bytearray(5), one.total) == 0


@given(deltas())
def test_what_a_ternary_update_does_not_carry_stays_on_the_board(some: tuple[list[int], Any]) -> None:
    sizes, delta = some
    residual = array("f", bytes(4 * len(delta)))
    body = bytearray((one := encoder("ternary", sizes, delta, residual)).total)
    one.read_into(body, 0)
    _, sent = Form("ternary", tuple(sizes), 2).decode(wire.UPDATE, bytes(body), 4)
    np.testing.assert_allclose(sent + np.array(residual), delta, atol=1e-3)
    assert np.count_nonzero(sent) <= ternary.places_of(len(delta))


@st.composite
def places(draw: Any) -> tuple[list[int], list[bool], int]:
    """Return some positions, their signs, and the number of values that they are among."""
    count = draw(st.integers(1, 400))
    positions = sorted(draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=40)))
    signs = draw(st.lists(st.booleans(), min_size=len(positions), max_size=len(positions)))
    return positions, signs, count


@given(places())
def test_ternary_places_come_back(some: tuple[list[int], list[bool], int]) -> None:
    positions, signs, count = some
    data = ternary.pack(positions, signs, count)
    assert len(data) == ternary.packed_bytes(count, len(positions))
    assert ternary.unpack(data, len(positions), count) == (positions, signs)


@given(st.integers(1, 300), st.integers(1, 20), st.binary(min_size=1, max_size=60))
def test_ternary_bits_are_what_somebody_packed_or_refused(count: int, wanted: int, data: bytes) -> None:
    assume(wanted <= count)
    length = ternary.packed_bytes(count, wanted)
    data = (data * length)[:length]
    try:
        positions, signs = ternary.unpack(data, wanted, count)
    except ValueError:
        return
    assert positions == sorted(set(positions)) and ternary.pack(positions, signs, count) == data


@given(BITS, BITS)
def test_sums_in_integers_are_those_of_float32(a: int, b: int) -> None:
    x, y = (struct.unpack("<f", struct.pack("<I", bits))[0] for bits in (a, b))
    assume(math.isfinite(x) and math.isfinite(y))
    with np.errstate(over="ignore"):
        expected = float(np.float32(x) + np.float32(y))
    try:
        found = struct.unpack("<f", struct.pack("<I", ternary.add_bits(a, b)))[0]
    except ValueError:
        found = math.copysign(math.inf, x)
    assert found == expected


# Chunks and seals


@given(
    st.integers(0, 255), BITS, BITS, st.integers(0, 65534), st.binary(min_size=1, max_size=wire.PIECE_BYTES),
    st.integers(0, wire.MESSAGE_BYTES - 1), st.integers(1, 255),
)  # fmt: skip
def test_a_chunk_comes_back_and_no_byte_of_it_can_be_changed(
    kind: int, number: int, counter: int, index: int, piece: bytes, at: int, change: int
) -> None:
    total = index * wire.PIECE_BYTES + len(piece)
    message = bytearray(wire.HEADER_BYTES) + piece
    wire.write_header(message, len(piece), kind, number, counter, index, total)
    chunk = wire.Chunk(bytes(message))
    found = (chunk.kind, chunk.number, chunk.counter, chunk.index, chunk.total, bytes(chunk.piece))
    assert found == (kind, number, counter, index, total, piece)
    message[at % len(message)] ^= change
    with pytest.raises(wire.WireError):
        wire.Chunk(bytes(message))


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), st.integers(0, 10_000), st.integers(1, 255))
def test_no_byte_of_a_sealed_message_can_be_changed(fields: dict[str, Any], at: int, change: int) -> None:
    sealed = bytearray(wire.seal(KEY, wire.RECEIPT_SEAL, FEDERATION, DEVICE, json.dumps(fields).encode()))
    assert wire.is_sealed(KEY, wire.RECEIPT_SEAL, FEDERATION, DEVICE, bytes(sealed))
    sealed[at % len(sealed)] ^= change
    assert not wire.is_sealed(KEY, wire.RECEIPT_SEAL, FEDERATION, DEVICE, bytes(sealed))


# LoRaWAN


@given(st.binary(min_size=1, max_size=300), st.integers(1, 20), st.randoms(use_true_random=False))
def test_any_fragments_that_are_enough_give_the_message_back(message: bytes, count: int, chance: Any) -> None:
    size = -(-len(message) // count)
    gathering = erasure.Gathering(count, size)
    indices = chance.sample(range(erasure.FRAGMENTS), count)
    found = None
    for index in [*indices[:-1], *indices[:-1], indices[-1]]:  # again is nothing new
        assert found is None
        fragment = bytearray(size)
        erasure.fragment_into(fragment, message, count, index)
        found = gathering.add(index, fragment)
    assert found is not None and bytes(found).rstrip(b"\0") == message.rstrip(b"\0")


@given(
    st.integers(0, 255), st.binary(max_size=400), st.integers(20, 222), st.lists(st.binary(max_size=60)),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_message_comes_through_losses_repetitions_and_noise_or_not_at_all(
    kind: int, payload: bytes, limit: int, noise: list[bytes], chance: Any
) -> None:
    sending = frames.Sending(kind, payload, limit)
    sent = [sending.frame() for _ in range(min(255, 2 * sending.count + 2))]
    came = [one for one in sent if chance.random() < 0.7] + noise
    chance.shuffle(came)
    receiving = frames.Receiving()
    for frame in came:
        try:
            found = receiving.take(frame)
        except ValueError:
            continue
        assert found in (None, (None, None), (kind, payload)) or frame in noise


@given(st.lists(st.binary(max_size=40), max_size=30))
@example([b"\0\0\0\1\0"])  # one byte that claims to be a message
def test_no_frames_whatever_break_a_receiver(some: list[bytes]) -> None:
    receiving = frames.Receiving()
    for frame in some:
        frames.look_of(frame)
        with suppress(ValueError):
            receiving.take(frame)
        assert receiving.progress[1] <= erasure.LARGEST_COUNT


@given(st.binary(max_size=80), st.integers(1, 40))
def test_no_steps_whatever_break_a_model(steps: bytes, count: int) -> None:
    body = bytearray(4 * count)
    try:
        frames.apply_steps(body, steps)
    except ValueError:
        return
    assert len(body) == 4 * count


@given(st.integers(0, 2**14 - 1), st.integers(0, 255), st.integers(0, 255), BITS, BITS, BITS)
def test_a_look_comes_back(a: int, b: int, c: int, d: int, e: int, f: int) -> None:
    look = frames.look_of(frames.Look(a, b, c, d, e, f).frame())
    found = (look.identity, look.received, look.role, look.manifest, look.model, look.layout)
    assert found == (a, b, c, d, e, f)


@given(st.dictionaries(st.sampled_from(compact.KEYS) | st.text(max_size=8), VALUES, max_size=6))
def test_json_has_a_compact_form_that_gives_it_back_or_none(fields: dict[str, Any]) -> None:
    payload = json.dumps(fields, separators=(",", ":")).encode()
    try:
        short = compact_writer.write(payload)
    except FedmoteError:
        return
    assert compact.read(short) == payload


@given(st.binary(max_size=120))
def test_no_bytes_whatever_break_the_compact_reader(data: bytes) -> None:
    with suppress(ValueError):
        compact.read(data)


def test_a_compact_number_has_a_bound() -> None:
    for length in (11, 60_000):
        with pytest.raises(ValueError, match="later version"):
            compact.read(bytes([compact.NUMBER]) + b"\xff" * length + b"\0")


# Manifests, receipts, offers


def participant() -> Participant:
    learner = SimpleNamespace(layout="0123abcd")
    local = SimpleNamespace(
        learner=learner, base=array("f", bytes(4 * 500)), version=None, ready=False, abandon=lambda: None
    )
    return Participant(FEDERATION, DEVICE, KEY, local, lambda number: None)


MANIFEST: dict[str, Any] = {
    "protocol": 2, "run": "0011aabb", "round": 4, "edition": 7, "version": 3, "phase": "train",
    "layout": "0123abcd", "size": 2000, "sha256": "0" * 64, "codec": "int8", "epochs": 1, "batch": 8,
    "rate": 0.1, "decay": 0.0, "deadline_ms": 60000, "counter": 40, "time": 3600, "pause_ms": 0,
}  # fmt: skip
RECEIPT: dict[str, Any] = {"receipt": 4, "counter": 41, "result": "refused", "reason": "tag"}


@given(st.lists(st.tuples(st.sampled_from(["round", "command", "model"]), st.binary(max_size=200))))
def test_nothing_that_is_not_sealed_changes_a_board(messages: list[tuple[str, bytes]]) -> None:
    board = participant()
    topics = {"round": board.round_topic, "command": board.command_topic, "model": "fedmote/home/model/3/0"}
    for name, payload in messages:
        board.received(topics[name], payload, 0)
        board.step(0)
    assert (board.state, board.round, board.model_filter) == ("idle", 0, None)


def changed(fields: dict[str, Any]) -> Any:
    """Return a strategy for an object with some values replaced or left out."""
    changes = st.dictionaries(st.sampled_from(list(fields)), VALUES, max_size=3)
    gone = st.sets(st.sampled_from(list(fields)), max_size=2)
    return st.builds(
        lambda new, out: {k: v for k, v in {**fields, **new}.items() if k not in out}, changes, gone
    )


@given(st.lists(changed(MANIFEST) | changed(RECEIPT), max_size=4))
def test_no_sealed_json_whatever_stops_a_board(objects: list[dict[str, Any]]) -> None:
    board = participant()
    for fields in objects:
        manifest = "receipt" not in fields
        topic = board.round_topic if manifest else board.command_topic
        purpose = wire.MANIFEST_SEAL if manifest else wire.RECEIPT_SEAL
        text = json.dumps(fields).encode()
        board.received(topic, wire.seal(KEY, purpose, FEDERATION, DEVICE, text), 0)
    assert board.state in ("idle", "fetching")


class Journal:
    """Of updates over the air, in memory."""

    NONE, FETCHING, STAGED, TRIAL, CONFIRMED, ROLLED_BACK, FAILED = "nfstcrx"
    root = ""

    def __init__(self) -> None:
        self.state, self.counter, self.release, self.installed, self.note = self.NONE, 5, "-", "-", ""

    def save(self, state: str, note: str = "", **changes: Any) -> None:
        self.state, self.note = state, note
        vars(self).update(changes)

    def clean(self) -> None:
        pass


OFFER: dict[str, Any] = {
    "release": "00112233aabb", "bytes": 5000, "manifest": 200, "sha256": "0" * 64, "counter": 6,
}  # fmt: skip


@given(st.binary(max_size=200) | changed(OFFER), st.booleans())
def test_only_a_sealed_offer_of_the_right_form_begins_an_update(offer: Any, own: bool) -> None:
    journal = Journal()
    updater = Updater(FEDERATION, DEVICE, KEY, journal)
    text = offer if isinstance(offer, bytes) else json.dumps(offer).encode()
    key = KEY if own else bytes(32)
    updater.received(updater.offer_topic, bytes(wire.seal(key, wire.OFFER_SEAL, FEDERATION, DEVICE, text)), 0)
    if journal.state == journal.FETCHING:
        assert own and isinstance(offer, dict) and 5 < journal.counter < 2**32
        assert 0 < offer["manifest"] <= offer["bytes"] <= 8_000_000
    else:
        assert journal.counter == 5 and updater.error


# Files and settings


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["0", "1", "body", "model"]), st.binary(max_size=200)))
def test_no_files_whatever_keep_a_board_from_its_rounds(files: dict[str, bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        board = Memory(patched(patch, files))
        assert board.newest is None and board.body("what was asked") is None
        body = bytearray(20_000)
        assert not any(board.pieces("0" * 64, body)) and not any(body)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 10_000))
def test_a_kept_body_that_is_damaged_or_cut_is_none(at: int, change: int, end: int) -> None:
    content = bytes(range(200)) * 3
    with pytest.MonkeyPatch.context() as patch:
        files: dict[str, bytes] = {}
        root = patched(patch, files)
        board = Memory(root)
        board.begin_body("what was asked", wire.UPDATE, 7, len(content))
        board.add(content)
        board.end_body(bytes(32))
        good = files["body"]
        bad = bytearray(good)
        bad[at % len(bad)] ^= change
        files["body"] = bytes(bad[: max(1, end % (2 * len(bad)))])
        found = Memory(root).body("what was asked")
        assert (found is not None) == (files["body"] == good)


def patched(patch: pytest.MonkeyPatch, files: dict[str, bytes]) -> str:
    """Let a board's memory read and write ``files`` for its files of the drive, without their ``round.``."""

    class File(io.BytesIO):
        name: str

        def close(self) -> None:
            if not self.closed and self.writes:
                files[self.name] = self.getvalue()
            super().close()

    def opened(path: str, mode: str) -> File:
        name = path.rpartition("round.")[2]
        if mode != "wb" and name not in files:
            raise OSError(2, path)
        file = File(b"" if mode == "wb" else files[name])
        file.name, file.writes = name, mode != "rb"  # type: ignore[attr-defined]
        return file

    for module in (memory, kept):
        patch.setattr(module, "open", opened, raising=False)
    return "drive/"


NUMBERS = st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(deadline=None)
@given(fields=st.dictionaries(st.sampled_from(["KEY", "RING", "PIN"]), TEXTS | NUMBERS | st.booleans()))
@example(fields={"KEY": "a\rb"})
def test_settings_that_are_written_are_read_alike(tmp_path_factory: Any, fields: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "settings.toml"
    try:
        text = settings_text(fields)
    except FedmoteError:
        return
    path.write_text(text, newline="")
    assert settings_file.read(str(path)) == fields


SECRET = "c0ffee" * 4


@settings(deadline=None)
@given(st.binary(max_size=20), st.binary(max_size=20))
def test_no_settings_whatever_break_the_reader_or_show_a_secret(
    tmp_path_factory: Any, before: bytes, after: bytes
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "settings.toml"
    path.write_bytes(before + f'KEY = "{SECRET}"'.encode() + after)
    try:
        settings_file.read(str(path))
    except ValueError as error:
        assert SECRET not in str(error)


PLACES = st.text(max_size=30) | st.text(":/@%[]0123456789.abc", max_size=30)


@given(st.sampled_from(["mqtt://", "mqtts://", ""]), PLACES, PLACES)
def test_no_broker_url_whatever_breaks_a_board_s_reader_or_shows_a_password(
    scheme: str, login: str, place: str
) -> None:
    try:
        address = mqtt.Address(f"{scheme}{login}:{SECRET}@{place.replace('@', '')}")
    except ValueError as error:
        assert SECRET not in str(error)
        return
    assert address.host and isinstance(address.port, int) and address.tls == (scheme == "mqtts://")
    assert address.password.endswith(SECRET)


@given(st.text(max_size=300) | st.text('{}":,labe\n\r[]0', max_size=300))
def test_no_line_on_the_console_is_a_command_but_a_json_object(text: str) -> None:
    commands = serial.Commands.__new__(serial.Commands)
    characters = iter(text)
    commands._console, commands._line = SimpleNamespace(read=lambda: next(characters, "")), ""
    for _ in range(len(text) + 2):
        command = commands.read()
        assert command is None or isinstance(command, dict)
