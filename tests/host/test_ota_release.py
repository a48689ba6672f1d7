"""What a user can rely on: a release holds what boards take, goes to boards that can run it, and what became
of it is told as it is."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from scripted_broker import UNAUTHORISED, Answer, answering, connack, scripted_broker

from fedmote.boards import catalogue, image
from fedmote.errors import FedmoteError
from fedmote.federation import pushing
from fedmote.federation.broker import EmbeddedBroker
from fedmote.federation.offers import Offers
from fedmote.federation.release import Release, clearing_messages, updatable
from fedmote.monitor.events import Event, Received, Reported
from fedmote.monitor.rollout import Progress, follow
from fedmote.monitor.telemetry import Telemetry
from mote import wire

ID = "0123456789ab"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Offers]:
    with Offers(tmp_path / "store.db") as store:
        for device, board, runtime in (
            ("attic", "rpi_pico_w", "micropython 1.26.1"),
            ("barn", "rpi_pico_w", "circuitpython 10.0.3"),
            ("cellar", "esp32_s3", "micropython 1.26.1"),
            ("den", None, None),
        ):
            store.provision(device)
            store.note_status(device, True, {"board": board, "runtime": runtime})
        yield store


def release(content: bytes = b"node") -> Release:
    return Release({"node.py": content}, "tests", "1", "micropython")


def test_every_board_of_the_catalogue_gets_a_release_that_boards_take() -> None:
    seen = set()
    for board in catalogue.load().values():
        for runtime in board.runtimes:
            if (board.arch, runtime) in seen:
                continue
            seen.add((board.arch, runtime))
            files = updatable(image.program(board, runtime))
            made = Release(files, "watch", "1", runtime, board.arch)
            assert any(path.startswith("lib/mote/") for path in files)
            assert not {"main.py", "code.py", "boot.py", "starter.py", "starter.mpy"} & set(files)
            assert len(made.body) == len(made.manifest) + sum(map(len, files.values()))


def test_release_has_the_same_id_for_the_same_content_alone() -> None:
    assert release().id == release().id != release(b"other").id
    assert len(release().id) == len(ID)


def test_chunks_are_checked_by_the_board_and_cleared_by_as_many_messages() -> None:
    made = release(bytes(3500))
    messages = list(made.messages("home"))
    chunks = [wire.Chunk(message.payload) for message in messages]
    assert b"".join(bytes(chunk.piece) for chunk in chunks) == made.body
    assert {chunk.kind for chunk in chunks} == {wire.RELEASE} and all(one.retained for one in messages)
    cleared = list(clearing_messages("home", made.id, len(made.body)))
    assert [one.topic for one in cleared] == [one.topic for one in messages]
    assert all(one.retained and one.payload == b"" for one in cleared)


@pytest.mark.parametrize("path", ["settings.toml", "starter.py", "../x", "lib/Upper.py", "main.py"])
def test_file_that_boards_refuse_is_refused_here(path: str) -> None:
    with pytest.raises(FedmoteError, match="boards refuse this file"):
        Release({path: b""}, "tests", "1", "micropython")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "a release without files"),
        ({f"a{number}.py": b"" for number in range(251)}, "a release of 251 files: boards take 250"),
        ({f"{'a' * 90}{number}.py": b"" for number in range(110)}, r"list of files has \d+ bytes: .* 16000"),
    ],
)
def test_release_that_no_board_could_take_is_refused_here(files: dict[str, bytes], message: str) -> None:
    with pytest.raises(FedmoteError, match=message):
        Release(files, "tests", "1", "micropython")


def test_release_goes_to_all_boards_that_told_what_they_are(store: Offers) -> None:
    assert pushing.choose(store, [], "rpi_pico_w", "micropython") == ["attic"]
    assert pushing.choose(store, ["den", "attic"], "rpi_pico_w", "micropython") == ["attic", "den"]
    with pytest.raises(FedmoteError, match=r"no device .* esp32_c3"):
        pushing.choose(store, [], "esp32_c3", "micropython")


def test_release_for_another_board_is_not_offered(store: Offers) -> None:
    with pytest.raises(FedmoteError, match="cellar is a esp32_s3"):
        pushing.choose(store, ["cellar"], "rpi_pico_w", "micropython")
    with pytest.raises(FedmoteError, match=r"barn .* circuitpython"):
        pushing.choose(store, ["barn"], "rpi_pico_w", "micropython")
    with pytest.raises(FedmoteError, match="'nobody' is not known"):
        pushing.choose(store, ["nobody"], "rpi_pico_w", "micropython")
    store.revoke("attic")
    with pytest.raises(FedmoteError, match="'attic' is not known"):
        pushing.choose(store, ["attic"], "rpi_pico_w", "micropython")


def test_counters_of_offers_grow_even_where_the_clock_goes_back(
    store: Offers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1800000000.0)
    first = store.offer("attic", _published(store))
    monkeypatch.setattr("time.time", lambda: 1000000000.0)
    assert first == 1800000000 and store.offer("attic", ID) == first + 1
    store.withdraw("attic")
    assert store.offer("attic", ID) == first + 2


def _published(store: Offers) -> str:
    store.publish(ID, 3000, "watch")
    return ID


def test_broker_keeps_what_is_offered_and_forgets_the_rest(store: Offers) -> None:
    first, second = release(b"one"), release(b"two")
    told: list[int] = []
    with EmbeddedBroker() as broker:
        pushing.push(store, broker.address, "home", first, ["attic", "den"], told.append)
        assert sum(told) == 3
        pushing.push(store, broker.address, "home", second, ["attic"], told.append)
        assert {offer.device: offer.release for offer in store.offers()} == {
            "attic": second.id,
            "den": first.id,
        }
        retained = _retained(broker)
        assert retained.keys() == {
            f"fedmote/home/release/{first.id}/0",
            f"fedmote/home/release/{second.id}/0",
            "fedmote/home/offer/attic",
            "fedmote/home/offer/den",
        }
        offer = json.loads(retained["fedmote/home/offer/attic"])
        assert offer["release"] == second.id and len(retained["fedmote/home/offer/attic"]) <= 1000
        pushing.withdraw(store, broker.address, "home", ["den"])
        assert f"fedmote/home/release/{first.id}/0" not in _retained(broker)
        pushing.withdraw(store, broker.address, "home", ["attic"])
        assert _retained(broker) == {} and store.forgotten() == []


def _retained(broker: EmbeddedBroker) -> dict[str, bytes]:
    """Return what the broker retains: all that comes before a message of our own."""
    found: dict[str, bytes] = {}
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = lambda _, __, message: found.update({message.topic: message.payload})
    client.connect(broker.address.host, broker.address.port)
    client.loop_start()
    client.subscribe("fedmote/#", 1)
    client.publish("fedmote/end", b"end", 1).wait_for_publish(10)
    while "fedmote/end" not in found:
        time.sleep(0.01)
    client.disconnect()
    client.loop_stop()
    del found["fedmote/end"]
    return found


def test_broker_that_is_not_there_is_told(store: Offers) -> None:
    with EmbeddedBroker() as broker:
        address = broker.address
    with pytest.raises(FedmoteError, match="no broker answers"):
        pushing.push(store, address, "home", release(), ["attic"], lambda count: None)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda kind, packet: connack(UNAUTHORISED), r"does not let us in \(Not authorized\)"),
        (lambda kind, packet: b"", "does not answer as an MQTT broker"),
        (lambda kind, packet: None, "does not answer as an MQTT broker"),
        (answering, "does not take our messages: check its access rules"),
    ],
)
def test_broker_that_does_not_take_a_release_is_told_and_nothing_is_offered(
    store: Offers, monkeypatch: pytest.MonkeyPatch, answer: Answer, message: str
) -> None:
    monkeypatch.setattr(pushing, "_ANSWER_S", 1)
    monkeypatch.setattr(pushing, "_ACKNOWLEDGE_S", 0.1)
    with scripted_broker(answer) as address, pytest.raises(FedmoteError, match=message):
        pushing.push(store, address, "home", release(), ["attic"], lambda count: None)
    assert store.offers() == []


def said(update: str | None = None, error: str | None = None) -> Event:
    return Received(0, "home/attic", Telemetry("attic", 1, update=update, error=error))


def status(state: str, release: str | None = None) -> Event:
    return Reported(0, "home/attic", {"state": state, "release": release})


def last(*events: Event, settle_s: float = 0) -> Progress:
    return list(follow(events, "home", {"attic": ID}, 60, settle_s))[-1]["attic"]


@pytest.mark.parametrize(
    ("events", "text", "done", "failed"),
    [
        ([], "waiting", False, False),
        ([status("offline")], "offline", False, False),
        ([status("offline"), status("online")], "waiting", False, False),
        ([status("online"), status("offline")], "restarting", False, False),
        ([said(f"fetching {ID} 12/80")], "fetching 12/80", False, False),
        ([said(f"trial {ID} start 2")], "trial start 2", False, False),
        ([said(f"confirmed {ID}")], "confirmed", True, False),
        ([status("online", ID)], "confirmed", True, False),
        ([said(f"rolled back {ID}:NameError:lamp")], "rolled back NameError:lamp", True, True),
        ([said(f"failed {ID}: 3 kB free, 9 needed")], "failed 3 kB free, 9 needed", True, True),
        ([said(error="offer refused: its tag")], "refused offer refused: its tag", True, True),
        ([said("confirmed ba9876543210"), status("online", "ba9876543210")], "waiting", False, False),
        ([said("nonsense"), said(f"boiling {ID}")], "waiting", False, False),
    ],
)
def test_what_a_board_tells_is_understood(events: list[Event], text: str, done: bool, failed: bool) -> None:
    progress = last(*events)
    assert (str(progress), progress.done, progress.failed) == (text, done, failed)


def test_end_of_an_earlier_offer_is_not_taken_for_the_end_of_this_one() -> None:
    old = said(f"rolled back {ID}: NameError")
    assert str(last(old, settle_s=60)) == "waiting"
    assert str(last(old, said(f"trial {ID} start 1"), old, settle_s=60)) == "rolled back NameError"


def test_other_devices_and_federations_are_not_followed() -> None:
    telemetry = Telemetry("attic", 1, update=f"confirmed {ID}")
    assert str(last(Received(0, "home/den", telemetry), Received(0, "farm/attic", telemetry))) == "waiting"
