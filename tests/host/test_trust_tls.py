"""What a user can rely on: boards and host speak with the broker that a CA of theirs has signed, under its
own name, and with no other; an error says which of that failed. Boards are real MicroPython."""

import asyncio
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from trusted_brokers import House, free_port, tls_broker

from fedmote.boards import image
from fedmote.boards.virtual import interpreter
from fedmote.cli.options import broker_address
from fedmote.errors import FedmoteError
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.link import Link

PATIENCE_S = 30
LONG_AGO, PAST, FUTURE, FAR = (datetime(year, 1, 1) for year in (1990, 2000, 2040, 2050))

# Opens a link as a board does, and prints what it comes to.
BOARD = """
import json, sys
from mote import port
from mote.links.mqtt import MqttLink

port._HANDSHAKE_S = 1

for text in sys.argv[1:]:
    outcome = []
    try:
        link = MqttLink(json.loads(text), "gone", b"")
        link.on_connected = lambda: outcome.append("connected")
        link.on_lost = lambda: None
        for _ in range(2000):
            link.poll(port.ticks_ms())
            if outcome or link.error:
                break
            port.sleep_ms(5)
        print(outcome[0] if outcome else link.error)
    except ValueError as error:
        print("refused: %s" % error)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("house"))


@pytest.fixture(scope="module")
def address(house: House) -> Iterator[BrokerAddress]:
    with tls_broker(house.signed("broker", "localhost", "127.0.0.1")) as address:
        yield address


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Return what opens a link on MicroPython with each of some settings, and returns what came of it."""
    folder = tmp_path_factory.mktemp("board")
    image.write(folder)
    (folder / "link.py").write_text(BOARD)

    def run(*settings: dict[str, Any]) -> list[str]:
        done = subprocess.run(
            [*interpreter(), "link.py", *(json.dumps({"DEVICE": "attic"} | one) for one in settings)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env={"MICROPYPATH": f"{folder / 'lib'}:{folder}:.frozen"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    return run


def enter(address: BrokerAddress) -> None:
    """Connect as the aggregator does, and leave."""

    async def play() -> None:
        link = Link(address, "tests", [[("fedmote/#", 1)]])
        await link.open()
        await link.close()

    asyncio.run(play())


def test_a_board_tells_why_it_does_not_trust_a_broker(
    house: House, address: BrokerAddress, boards: Callable[..., list[str]]
) -> None:
    stranger = House(house.folder / "stranger").ca_file
    both = house.folder / "both.pem"
    both.write_bytes(stranger.read_bytes() + house.ca_file.read_bytes())
    (house.folder / "empty.pem").write_text("-----BEGIN nothing")
    with (
        tls_broker(house.signed("other", "elsewhere.example")) as elsewhere,
        tls_broker(house.signed_otherwise("old", LONG_AGO, PAST)) as old,
        tls_broker(house.signed_otherwise("new", FUTURE, FAR)) as new,
    ):
        told = boards(
            {"BROKER": address.url, "CA": str(house.ca_file)},
            {"BROKER": address.url, "CA": str(both)},
            {"BROKER": f"mqtts://localhost:{address.port}", "CA": str(house.ca_file)},
            {"BROKER": address.url, "CA": str(stranger)},
            {"BROKER": address.url},
            {"BROKER": elsewhere.url, "CA": str(house.ca_file)},
            {"BROKER": old.url, "CA": str(house.ca_file)},
            {"BROKER": new.url, "CA": str(house.ca_file)},
            {"BROKER": address.url, "CA": "nowhere.pem"},
            {"BROKER": address.url, "CA": str(house.folder / "empty.pem")},
        )
    assert told[:3] == ["connected"] * 3
    for line in told[3:5]:
        assert line.endswith("is not signed by a CA that this board trusts: let CA name the file of its CA")
    assert told[5].endswith("is for another host than BROKER: name the broker as its certificate does")
    assert "expired by this board's clock" in told[6] and "not valid yet by this board's clock" in told[7]
    assert told[8] == "refused: nowhere.pem is missing on this board: copy the file to it"
    assert told[9].endswith("empty.pem is no PEM file with a certificate or a key in it")


def test_a_broker_that_wants_client_certificates_gets_one_from_boards_and_host(
    house: House, boards: Callable[..., list[str]]
) -> None:
    certificate, key = house.signed_otherwise("attic", PAST, FUTURE)
    with tls_broker(house.signed("strict", "127.0.0.1"), clients_from=house.ca_file) as address:
        trust = {"BROKER": address.url, "CA": str(house.ca_file)}
        told = boards(
            trust,
            trust | {"CERT": str(certificate), "KEY_FILE": str(key)},
            trust | {"CERT": str(certificate)},
        )
        assert told[0] != "connected" and told[1] == "connected"
        assert told[2] == "refused: CERT and KEY_FILE go together: set both or none"
        enter(broker_address(address.url, house.ca_file, certificate, key))


def test_a_board_with_a_wrong_password_says_so_and_shows_none(boards: Callable[..., list[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                packet = connection.recv(1000)
                assert b"attic.home" in packet and b"geheim" in packet
                connection.sendall(bytes([0x20, 2, 0, 5]))

        threading.Thread(target=refuse, daemon=True).start()
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        (told,) = boards({"BROKER": url, "BROKER_USER": "attic.home", "BROKER_PASSWORD": "geheim"})
    assert told == "the broker does not let this board in: check BROKER_USER and BROKER_PASSWORD"
    told, *_ = boards({"BROKER": "mqtt//me:geheim@host"})
    assert told.startswith("refused: BROKER") and "geheim" not in told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda one, house: replace(one, ca=None),
            r"cannot be trusted \(.*\): name the file of its CA with --ca",
        ),
        (
            lambda one, house: replace(one, ca=House(house.folder / "wrong").ca_file),
            r"cannot be trusted \(.*\): name the file of its CA with --ca",
        ),
        (lambda one, house: replace(one, ca=house.folder / "none.pem"), "--ca .*none.pem: No such file"),
        (
            lambda one, house: replace(one, ca=house.folder / "broker.key"),
            "--ca .*broker.key: no PEM file of this kind",
        ),
        (
            lambda one, house: replace(one, certificate=house.ca_file, key=house.folder / "broker.key"),
            "--cert .*ca.pem, --key .*broker.key: no PEM file",
        ),
        (lambda one, house: replace(one, tls=False), r"does not answer as an MQTT broker: .*mqtts://"),
        (lambda one, house: replace(one, host="127.0.0.2"), "cannot be trusted|no broker answers"),
    ],
)
def test_the_host_tells_why_it_does_not_trust_a_broker(
    house: House,
    address: BrokerAddress,
    change: Callable[[BrokerAddress, House], BrokerAddress],
    message: str,
) -> None:
    with pytest.raises(FedmoteError, match=message):
        enter(change(replace(address, ca=house.ca_file), house))


def test_a_stalled_handshake_does_not_hold_a_board(boards: Callable[..., list[str]], house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes the connection, says nothing
        began = time.monotonic()
        url = f"mqtts://127.0.0.1:{server.getsockname()[1]}"
        (told,) = boards({"BROKER": url, "CA": str(house.ca_file)})
    assert "ETIMEDOUT" in told and time.monotonic() - began < PATIENCE_S


def test_options_that_do_not_fit_are_named(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("geheim\n")
    known = broker_address("mqtts://me@host", password_file=secret)
    assert (known.username, known.password) == ("me", "geheim") and "geheim" not in f"{known} {known!r}"
    assert broker_address("mqtts://me:own@host", password_file=secret).password == "own"
    for arguments, message in (
        (("mqtt://host", secret), "--ca, --cert and --key are for TLS"),
        (("mqtts://host", None, secret), "--cert and --key go together"),
        (("mqtts://host", None, None, None, secret), "--password-file is for a user"),
        (("mqtts://me@host", None, None, None, tmp_path / "none"), "--password-file .*none: No such file"),
    ):
        with pytest.raises(FedmoteError, match=message):
            broker_address(*arguments)


def test_a_broker_behind_nothing_is_not_there(house: House) -> None:
    with pytest.raises(FedmoteError, match="no broker answers"):
        enter(BrokerAddress("127.0.0.1", free_port(), tls=True, ca=house.ca_file))
