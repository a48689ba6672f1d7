"""The folder of a federation's own mosquitto: its files, its passwords, its CA. What mosquitto's files say is
mosquitto.py's."""

import getpass
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from fedmote.errors import FedmoteError
from fedmote.federation import access, certificates, mosquitto, private
from fedmote.federation.certificates import Signed

#: the part of the folder that the broker needs; the rest is for nobody but the owner
BROKER = "broker"
CONFIGURATION = "mosquitto.conf"
CA, CA_KEY = access.CA_NAME, "ca.key"

_PASSWORD_BYTES = 16


@dataclass(frozen=True)
class Wanted:
    """What the broker is to be.

    keys: those of all devices that may enter. hosts: names and addresses by which the broker is reached,
    empty for those of the certificate that is there. port: for boards. certificate: of another CA, with its
    key, None for one of our own. at: the folder of the broker's files on its machine, None where that is this
    one.
    """

    federation: str
    keys: Mapping[str, bytes]
    hosts: Sequence[str] = ()
    port: int = 8883
    aggregator_port: int = 8884
    certificate: tuple[Path, Path] | None = None
    at: PurePath | None = None


@dataclass(frozen=True)
class Outcome:
    """changed: names of the files that were written. hosts: what the certificate is for, where it is ours."""

    changed: tuple[str, ...]
    hosts: tuple[str, ...]


def write(folder: Path, wanted: Wanted) -> Outcome:
    """Bring the folder up to date; what holds already stays as it is.

    Raises FedmoteError where the folder is another federation's or cannot be written, where no host was ever
    named, and as certificates.py.
    """
    try:
        return _write(folder.resolve(), wanted)
    except OSError as error:
        raise FedmoteError(f"{error.filename or folder} cannot be written: {error.strerror}") from None


def password_file(folder: Path, role: str) -> Path:
    """Return the file with the password of one of access.ROLES."""
    return folder / f"{role}.password"


def _write(folder: Path, wanted: Wanted) -> Outcome:
    broker = folder / BROKER
    rules = broker / f"{mosquitto.HOST}.acl"
    role_rules = mosquitto.role_rules(wanted.federation)
    if rules.exists() and role_rules.splitlines()[0] != rules.read_text().partition("\n")[0]:
        raise FedmoteError(f"{folder} is the folder of another federation's broker: choose another one")
    for path in (folder, broker, broker / mosquitto.DATA):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    roles = {role: _role_password(password_file(folder, role)) for role in access.ROLES}
    files: dict[Path, bytes] = {
        password_file(folder, role): f"{text}\n".encode() for role, text in roles.items()
    }
    hosts: Sequence[str] = ()
    where = wanted.at or broker
    certificate, key = where / mosquitto.CERTIFICATE, where / mosquitto.KEY
    if wanted.certificate is None:
        ca, own, hosts = _own_certificate(folder, wanted)
        files |= {folder / CA: ca.certificate, folder / CA_KEY: ca.key}
        files |= {broker / mosquitto.CERTIFICATE: own.certificate, broker / mosquitto.KEY: own.key}
    else:
        certificate, key = (path.absolute() for path in wanted.certificate)
    listeners = mosquitto.Listeners(
        wanted.federation, where, certificate, key, wanted.port, wanted.aggregator_port,
        getpass.getuser() if wanted.at is None else None,
    )  # fmt: skip
    boards = {
        access.board_user(wanted.federation, device): access.board_password(wanted.federation, device, key)
        for device, key in wanted.keys.items()
    }
    others = {access.role_user(wanted.federation, role): text for role, text in roles.items()}
    texts = {
        f"{mosquitto.BOARDS}.acl": mosquitto.board_rules(wanted.federation, wanted.keys),
        f"{mosquitto.HOST}.acl": role_rules,
        CONFIGURATION: mosquitto.configuration(listeners),
    }
    for name, users in ((mosquitto.BOARDS, boards), (mosquitto.HOST, others)):
        path = broker / f"{name}.passwords"
        texts[path.name] = mosquitto.passwords(users, path.read_text() if path.exists() else "")
    files |= {broker / name: text.encode() for name, text in texts.items()}
    changed = [path for path, content in files.items() if private.write(path, content)]
    return Outcome(tuple(str(path.relative_to(folder)) for path in changed), tuple(hosts))


def _role_password(path: Path) -> str:
    if path.exists():
        return path.read_text().strip()
    return secrets.token_hex(_PASSWORD_BYTES)


def _own_certificate(folder: Path, wanted: Wanted) -> tuple[Signed, Signed, Sequence[str]]:
    """Return CA, certificate and its hosts: those that are there, as far as they hold."""
    certificates.check_installed()
    broker = folder / BROKER
    ca = _read(folder / CA, folder / CA_KEY)
    own = _read(broker / mosquitto.CERTIFICATE, broker / mosquitto.KEY)
    hosts: Sequence[str] = list(dict.fromkeys((*wanted.hosts, "localhost", "127.0.0.1")))
    if not wanted.hosts:
        if own is None:
            raise FedmoteError(
                "say how boards reach the broker, for its certificate: --host 192.168.1.5, or a name; "
                "it may be repeated"
            )
        hosts = certificates.hosts_of(own.certificate)
    if ca is None:
        ca = certificates.new_ca(f"fedmote CA of {wanted.federation}")
    if own is None or not certificates.serves(ca.certificate, own.certificate, hosts):
        own = certificates.new_broker(ca, hosts)
    return ca, own, hosts


def _read(certificate: Path, key: Path) -> Signed | None:
    if not (certificate.exists() and key.exists()):
        return None
    return Signed(certificate.read_bytes(), key.read_bytes())
