"""What a user can rely on: ``fedmote broker-config`` writes rules that give each device its own topics and
no other, passwords that mosquitto checks, and a certificate that boards without a clock take; what holds
stays."""

import re
import stat
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from fedmote import cli
from fedmote.errors import FedmoteError
from fedmote.federation import access, certificates, mosquitto
from fedmote.federation.broker import BrokerAddress
from fedmote.federation.store import STORE_NAME, Store
from mote import settings

Command = Callable[..., str]
CONFIG = ("broker-config", "house", "--federation", "home")


@pytest.fixture
def fedmote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return the command line, in an empty folder, which returns what it prints on stdout."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str) -> str:
        cli.load(name).main(list(arguments), standalone_mode=False)
        return capsys.readouterr().out

    return run


def provision(*names: str) -> dict[str, bytes]:
    with Store(Path("fedmote-state/home") / STORE_NAME) as store:
        return {name: store.provision(name) for name in names}


def rules_of(text: str) -> dict[str, set[str]]:
    """Return user -> its rules."""
    users: dict[str, set[str]] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "user":
            rules = users[rest] = set()
        elif line:
            assert kind == "topic"
            rules.add(rest)
    return users


def test_each_device_has_its_own_topics_and_what_is_meant_for_all(fedmote: Command) -> None:
    provision("attic", "cellar")
    fedmote(*CONFIG, "--host", "192.168.1.5")
    rules = rules_of(Path("house/broker/boards.acl").read_text())
    assert set(rules) == {"attic.home", "cellar.home"}
    assert rules["attic.home"] == {
        "write fedmote/home/update/attic/#",
        "write fedmote/home/status/attic",
        "write fedmote/home/telemetry/attic",
        "read fedmote/home/round/attic",
        "read fedmote/home/model/#",
        "read fedmote/home/command/attic",
        "read fedmote/home/offer/attic",
        "read fedmote/home/release/#",
    }
    assert not any("cellar" in rule for rule in rules["attic.home"])


def test_those_that_are_no_boards_come_in_elsewhere_and_have_their_own_rules(fedmote: Command) -> None:
    provision("attic")
    fedmote(*CONFIG, "--host", "192.168.1.5")
    rules = rules_of(Path("house/broker/host.acl").read_text())
    assert set(rules) == {"aggregator-home", "monitor-home", "bridge-home"}
    assert not any(rule.startswith("write fedmote/home/update") for rule in rules["aggregator-home"])
    assert not any(rule.startswith("write") for rule in rules["monitor-home"])
    boards, host = re.split(
        r"\n# The aggregator, monitor and bridge\n", Path("house/broker/mosquitto.conf").read_text()
    )
    assert "listener 8883" in boards and "use_username_as_clientid true" in boards
    assert "listener 8884" in host and "use_username_as_clientid" not in host
    for part in (boards, host):
        assert "allow_anonymous false" in part and "certfile" in part and "tls_version tlsv1.2" in part
    assert "boards.passwords" in boards and "boards.passwords" not in host


def test_passwords_are_as_mosquitto_hashes_them() -> None:
    # made by mosquitto_passwd -b 2.0.11 with the password "k"
    line = (
        "$7$101$82/hwWsk6TR1+4AA$vspDqhMwNKZZM6rRQgSCRJHGXuqsUl651ZBuKHIR5RPSPQ5ay/WGJX0FvKq9NTGdcDz3"
        "biYbRsqMUqmN2Xm8qg=="
    )
    assert mosquitto.passwords({"kitchen.h": "k"}, f"kitchen.h:{line}\n") == f"kitchen.h:{line}\n"
    assert line not in mosquitto.passwords({"kitchen.h": "K"}, f"kitchen.h:{line}\n")


@pytest.mark.parametrize(
    "damaged", ["kitchen:", "kitchen", "kitchen:$7$x$y$z", "kitchen:$7$9$%$a", "::", "\n"]
)
def test_a_damaged_password_file_is_made_anew(damaged: str) -> None:
    text = mosquitto.passwords({"kitchen": "secret"}, damaged)
    assert re.fullmatch(r"kitchen:\$7\$101\$[^$]{16}\$[^$]{88}\n", text)
    assert mosquitto.passwords({"kitchen": "secret"}, text) == text


def test_a_board_gets_the_password_that_the_broker_knows(fedmote: Command) -> None:
    key = provision("attic")["attic"]
    fedmote(*CONFIG, "--host", "192.168.1.5")
    text = fedmote(
        "provision", "attic", "--federation", "home", "--broker", "mqtts://host", "--ca", "house/ca.pem"
    )
    Path("settings.toml").write_text(text)
    told = settings.read("settings.toml")
    assert told["BROKER"] == "mqtts://host:8883" and told["CA"] == "ca.pem"
    known = Path("house/broker/boards.passwords").read_text()
    assert mosquitto.passwords({told["BROKER_USER"]: told["BROKER_PASSWORD"]}, known) == known
    assert told["BROKER_PASSWORD"] not in known and key.hex() not in known
    assert told["BROKER_PASSWORD"] not in key.hex()


def test_passwords_differ_between_devices_federations_and_keys() -> None:
    key = bytes(32)
    ways = [
        ("home", "attic", key),
        ("home", "cellar", key),
        ("work", "attic", key),
        ("home", "attic", b"1" * 32),
    ]
    assert len({access.board_password(*way) for way in ways}) == len(ways)


def test_a_board_tells_no_password_in_the_clear_and_keeps_a_user_of_its_url() -> None:
    for url in ("mqtt://host", "mqtts://me:secret@host"):
        told = access.board_settings(BrokerAddress.parse(url), "home", "attic", bytes(32))
        assert set(told) == {"BROKER"}


def test_exported_devices_have_the_ca_beside_their_settings(fedmote: Command) -> None:
    provision("attic")
    fedmote(*CONFIG, "--host", "192.168.1.5")
    fedmote(
        "provision", "attic", "--federation", "home", "--broker", "mqtts://h", "--ca", "house/ca.pem",
        "--export", "fleet",
    )  # fmt: skip
    assert Path("fleet/attic/ca.pem").read_bytes() == Path("house/ca.pem").read_bytes()
    assert stat.S_IMODE(Path("fleet/attic/ca.pem").stat().st_mode) == 0o600


def test_run_again_it_changes_only_what_has_to_change(fedmote: Command) -> None:
    provision("attic")
    fedmote(*CONFIG, "--host", "192.168.1.5")
    before = {path: path.read_bytes() for path in Path("house").rglob("*") if path.is_file()}
    assert fedmote(*CONFIG) == "house was up to date: 1 device\n"
    assert {path: path.read_bytes() for path in before} == before

    provision("cellar")
    assert "written: broker/boards.acl, broker/boards.passwords\n" in fedmote(*CONFIG)
    after = Path("house/broker/boards.passwords").read_text()
    assert before[Path("house/broker/boards.passwords")].decode() in after

    with Store(Path("fedmote-state/home") / STORE_NAME) as store:
        store.revoke("attic")
    fedmote(*CONFIG)
    assert set(rules_of(Path("house/broker/boards.acl").read_text())) == {"cellar.home"}
    assert Path("house/broker/boards.passwords").read_text().startswith("cellar.home:")
    assert len(Path("house/broker/boards.passwords").read_text().splitlines()) == 1


def test_only_the_owner_can_read_what_was_written(fedmote: Command) -> None:
    provision("attic")
    fedmote(*CONFIG, "--host", "192.168.1.5")
    paths = [Path("house"), *Path("house").rglob("*")]
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    Path("house/ca.key").chmod(0o644)
    fedmote(*CONFIG)
    assert stat.S_IMODE(Path("house/ca.key").stat().st_mode) == 0o600


def test_the_certificate_is_for_the_hosts_and_begins_before_any_clock(fedmote: Command) -> None:
    provision("attic")
    fedmote(*CONFIG, "--host", "192.168.1.5", "--host", "broker.lan")
    ca, broker = (
        x509.load_pem_x509_certificate(Path("house", name).read_bytes())
        for name in ("ca.pem", "broker/broker.pem")
    )
    broker.verify_directly_issued_by(ca)
    for one in (ca, broker):
        assert one.not_valid_before_utc.replace(tzinfo=None) == datetime(1970, 1, 1)
        assert one.not_valid_after_utc.year >= datetime.now().year + 10
    content = Path("house/broker/broker.pem").read_bytes()
    assert certificates.hosts_of(content) == ["192.168.1.5", "broker.lan", "localhost", "127.0.0.1"]

    fedmote(*CONFIG, "--host", "10.0.0.1")  # moved: another certificate of the same CA
    moved = Path("house/broker/broker.pem").read_bytes()
    assert certificates.hosts_of(moved)[0] == "10.0.0.1"
    assert certificates.serves(Path("house/ca.pem").read_bytes(), moved, certificates.hosts_of(moved))
    x509.load_pem_x509_certificate(moved).verify_directly_issued_by(ca)


def test_a_certificate_of_another_ca_is_named_and_no_ca_is_made(fedmote: Command, tmp_path: Path) -> None:
    provision("attic")
    fedmote(*CONFIG, "--cert", "full.pem", "--key", "private.pem")
    text = Path("house/broker/mosquitto.conf").read_text()
    assert f"certfile {tmp_path}/full.pem\n" in text and f"keyfile {tmp_path}/private.pem\n" in text
    assert not list(Path("house").glob("ca.*"))


def test_a_broker_gets_a_certificate_of_the_ca_that_was_put_there(fedmote: Command, tmp_path: Path) -> None:
    provision("attic")
    fedmote(*CONFIG, "--host", "10.0.0.1")
    other = certificates.new_ca("the house")
    Path("house/ca.pem").write_bytes(other.certificate)
    Path("house/ca.key").write_bytes(other.key)
    fedmote(*CONFIG)
    broker = x509.load_pem_x509_certificate(Path("house/broker/broker.pem").read_bytes())
    broker.verify_directly_issued_by(x509.load_pem_x509_certificate(other.certificate))
    assert Path("house/ca.pem").read_bytes() == other.certificate


def test_a_key_of_the_ca_that_cannot_be_used_is_told(fedmote: Command) -> None:
    provision("attic")
    fedmote(*CONFIG, "--host", "10.0.0.1")
    key = serialization.load_pem_private_key(Path("house/ca.key").read_bytes(), None)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    before = Path("house/broker/broker.pem").read_bytes()
    for damaged in (
        b"damaged",
        key.private_bytes(*form, serialization.BestAvailableEncryption(b"geheim")),
        ed25519.Ed25519PrivateKey.generate().private_bytes(*form, serialization.NoEncryption()),
    ):
        Path("house/ca.key").write_bytes(damaged)
        fedmote(*CONFIG)  # it is not needed for a certificate that holds
        with pytest.raises(FedmoteError, match="the CA's key is damaged: put the right one back"):
            fedmote(*CONFIG, "--host", "10.0.0.2")
        assert Path("house/broker/broker.pem").read_bytes() == before


def test_without_the_extra_it_says_what_to_install(fedmote: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    provision("attic")
    monkeypatch.setitem(sys.modules, "cryptography", None)  # as where it is not installed
    with pytest.raises(FedmoteError, match=r"pip install 'fedmote\[tls\]', or .*--cert and --key"):
        fedmote(*CONFIG, "--host", "10.0.0.1")
    fedmote(*CONFIG, "--cert", "full.pem", "--key", "private.pem")


def test_a_folder_that_cannot_be_written_is_named(fedmote: Command) -> None:
    provision("attic")
    Path("house").write_text("Dear Sir")
    with pytest.raises(FedmoteError, match=r"house.* cannot be written: "):
        fedmote(*CONFIG, "--host", "10.0.0.1")
    assert Path("house").read_text() == "Dear Sir"


def test_files_for_another_machine_name_the_folder_there(fedmote: Command) -> None:
    provision("attic")
    told = fedmote(*CONFIG, "--host", "10.0.0.1", "--at", "/etc/mosquitto/home")
    text = Path("house/broker/mosquitto.conf").read_text()
    assert "acl_file /etc/mosquitto/home/boards.acl" in text and "house" not in text.split("\n", 2)[2]
    assert "\nuser " not in text and "mosquitto -c /etc/mosquitto/home/mosquitto.conf" in told


def test_what_cannot_be_is_named(fedmote: Command, tmp_path: Path) -> None:
    with pytest.raises(FedmoteError, match=r"no federation in .*provision devices first"):
        fedmote(*CONFIG, "--host", "10.0.0.1")
    provision("attic")
    for arguments, message in (
        (CONFIG, "say how boards reach the broker.*--host"),
        ((*CONFIG, "--host", "a b"), "--host 'a b' is neither a host name nor an IP address"),
        ((*CONFIG, "--cert", "one.pem"), "--cert and --key go together"),
        ((*CONFIG, "--host", "h", "--cert", "1", "--key", "2"), "--host is for a certificate of our own"),
        ((*CONFIG, "--host", "h", "--port", "8884"), "port 8884 cannot be both"),
        (("broker-config", "house", "--federation", "Home"), "federation name 'Home'"),
    ):
        with pytest.raises(FedmoteError, match=message):
            fedmote(*arguments)
    fedmote(*CONFIG, "--host", "10.0.0.1")
    state = ("--state", "fedmote-state/home")
    with pytest.raises(FedmoteError, match="folder of another federation's broker"):
        fedmote("broker-config", "house", "--federation", "work", *state)
    Path("house/broker/broker.pem").write_text("damaged")
    with pytest.raises(FedmoteError, match="a certificate in the folder is damaged"):
        fedmote(*CONFIG)
