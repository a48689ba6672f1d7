"""Texts of mosquitto's files: configuration, access rules, passwords. It writes none, and runs no broker."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from fedmote.federation import access
from fedmote.federation.access import Topics
from mote import wire

BOARDS, HOST = "boards", "host"
CERTIFICATE, KEY = "broker.pem", "broker.key"
DATA = "data"

# What waits for each session of the aggregator, of which there are up to 8: a round of 10,000 devices with 51
# pieces each. What is more is dropped, and boards send it again.
_QUEUED_MESSAGES = 100_000
_QUEUED_BYTES = 128 << 20
# On their way to a session: what a commit of the aggregator can take at once, 800 messages of 8 sessions.
# With more of them a slow board that fetches a large model would get the answers to its pings too late.
_INFLIGHT_MESSAGES = 100

# Passwords are random, of 128 bits: more rounds would only cost the broker time at each connection.
_ROUNDS = 101
_SALT_BYTES = 12
_HASH_BYTES = 64


@dataclass(frozen=True)
class Listeners:
    """What the configuration is to say. where: the folder of the files on the broker's machine. certificate,
    key: PEM files there. user: whom a broker that root starts becomes, None for mosquitto's own choice."""

    federation: str
    where: PurePath
    certificate: PurePath
    key: PurePath
    port: int
    aggregator_port: int
    user: str | None


def configuration(listeners: Listeners) -> str:
    """Return mosquitto.conf: TLS on two ports, one for boards and one for the aggregator and its like.

    They are apart so that a board, whose client id is its user there, can end no session but its own.
    """
    one = listeners
    user = "" if one.user is None else f"user {one.user}\n"
    return (
        f"# Written by `fedmote broker-config` for the federation {one.federation}: run it again instead of\n"
        "# editing this file.\n"
        f"per_listener_settings true\n{user}"
        "\n# What waits for the aggregator survives a restart of the broker.\n"
        "persistence true\n"
        f"persistence_location {one.where / DATA}/\n"
        "autosave_interval 60\n"
        "persistent_client_expiration 30d\n"
        f"max_queued_messages {_QUEUED_MESSAGES}\n"
        f"max_queued_bytes {_QUEUED_BYTES}\n"
        "\n# Messages of a federation are small.\n"
        f"message_size_limit {wire.MESSAGE_BYTES}\n"
        f"max_packet_size {2 * wire.MESSAGE_BYTES}\n"
        f"max_inflight_messages {_INFLIGHT_MESSAGES}\n"
        "max_keepalive 600\n"
        "\nlog_dest stderr\n"
        + _listener(one, one.port, BOARDS, "\n# Boards", "use_username_as_clientid true\n")
        + _listener(one, one.aggregator_port, HOST, "\n# The aggregator, monitor and bridge", "")
    )


def rules(users: Mapping[str, Topics]) -> str:
    """Return an access file: for each user the topics that are allowed, all others are not."""
    sections = []
    for user, topics in users.items():
        lines = [f"user {user}"]
        lines += [f"topic write {topic}" for topic in topics.publish]
        lines += [f"topic read {topic}" for topic in topics.read]
        sections.append("\n".join(lines) + "\n")
    return "\n".join(sections)


def board_rules(federation: str, devices: Iterable[str]) -> str:
    """Return the access file of boards."""
    return rules({access.board_user(federation, one): access.BOARD.of(federation, one) for one in devices})


def role_rules(federation: str) -> str:
    """Return the access file of those that are no boards."""
    return rules(
        {access.role_user(federation, role): topics.of(federation) for role, topics in access.ROLES.items()}
    )


def passwords(users: Mapping[str, str], existing: str = "") -> str:
    """Return a password file for user -> password. existing: the one before; lines that hold stay as they
    are, so that nothing changes where nothing has to."""
    known = dict(line.split(":", 1) for line in existing.splitlines() if ":" in line)
    lines = []
    for user, password in users.items():
        hashed = known.get(user, "")
        if not _fits(hashed, password):
            hashed = hash_password(password, secrets.token_bytes(_SALT_BYTES))
        lines.append(f"{user}:{hashed}\n")
    return "".join(lines)


def hash_password(password: str, salt: bytes, rounds: int = _ROUNDS) -> str:
    """Return mosquitto's $7$: PBKDF2 with HMAC-SHA-512."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds, _HASH_BYTES)
    return f"$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _fits(hashed: str, password: str) -> bool:
    try:
        _, kind, rounds, salt, _ = hashed.split("$")
        if (kind, rounds) != ("7", str(_ROUNDS)):
            return False
        own = hash_password(password, base64.b64decode(salt, validate=True))
    except ValueError:
        return False
    return hmac.compare_digest(own.encode(), hashed.encode())


def _listener(one: Listeners, port: int, name: str, title: str, more: str) -> str:
    return (
        f"{title}\n"
        f"listener {port}\n"
        f"certfile {one.certificate}\n"
        f"keyfile {one.key}\n"
        "tls_version tlsv1.2\n"
        "allow_anonymous false\n"
        "max_qos 1\n"
        f"{more}"
        f"password_file {one.where / name}.passwords\n"
        f"acl_file {one.where / name}.acl\n"
    )
