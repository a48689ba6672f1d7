"""Where the MQTT broker is, and the embedded one for a first run. It speaks no MQTT itself; link.py does."""

import socket
import ssl
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote, urlsplit

import iotcore

from fedmote.errors import FedmoteError

if TYPE_CHECKING:
    import paho.mqtt.client as mqtt

LOOPBACK = "127.0.0.1"

_EVERYWHERE = "0.0.0.0"

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_PAYLOAD_BYTES = 1 << 16  # ours never exceed 1 KiB; other users of the broker may send more
_ATTEMPTS = 5


@dataclass(frozen=True)
class BrokerAddress:
    """A broker and how to enter it. ``str()`` leaves the password out, ``url`` has it.

    ca: PEM file of the CAs that may have signed the broker's certificate, the system's where None.
    certificate, key: PEM files by which we prove who we are, or None.
    """

    host: str
    port: int = 1883
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``mqtt://host``, ``mqtts://user:password@host:port`` and
        the like; bare ``host:port`` means mqtt.

        Raises FedmoteError for anything else.
        """
        expected = "expected mqtt://host:port or mqtts://user:password@host:port"
        try:
            parts = urlsplit(text if "://" in text else f"mqtt://{text}")
            host, port = parts.hostname, parts.port
        except ValueError:  # not quoted: what was meant may hold a password
            raise FedmoteError(f"the broker's address cannot be read: {expected}") from None
        if parts.scheme not in _PORTS:
            raise FedmoteError(f"the broker's address begins with {parts.scheme}://: {expected}")
        if not host or parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
            raise FedmoteError(
                f"the broker's address names no host, or more than a host and a port: {expected}"
            )
        return cls(
            host,
            port or _PORTS[parts.scheme],
            parts.scheme == "mqtts",
            None if parts.username is None else unquote(parts.username),
            None if parts.password is None else unquote(parts.password),
        )

    def context(self) -> ssl.SSLContext:
        """Return what checks the broker's certificate and its name, and shows ours.

        Raises FedmoteError naming a file that cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise FedmoteError(
                f"--ca {self.ca}: {_why(error)}; name the PEM file of the broker's CA"
            ) from None
        if self.certificate is not None:
            try:
                # Without the function OpenSSL would ask for the password of an encrypted key.
                context.load_cert_chain(self.certificate, self.key, password=lambda: b"")
            except OSError as error:
                raise FedmoteError(
                    f"--cert {self.certificate}, --key {self.key}: {_why(error)}; name the PEM files of a "
                    "certificate and of its key, which must not be encrypted"
                ) from None
        return context

    def prepare(self, client: "mqtt.Client") -> None:
        """Give a client that has not connected yet what lets it in. Raises FedmoteError as ``context``."""
        client.username_pw_set(self.username, self.password)
        if self.tls:
            client.tls_set_context(self.context())

    def unreachable(self, error: OSError) -> FedmoteError:
        """Return what to tell of an attempt to connect that failed."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return FedmoteError(
                f"{self} cannot be trusted ({error.verify_message}): name the file of its CA with --ca, "
                "and the broker as its certificate does"
            )
        if isinstance(error, ssl.SSLError):
            return FedmoteError(
                f"{self} does not speak TLS as we do ({error.reason}): is it mqtt://, not mqtts://?"
            )
        return FedmoteError(
            f"no broker answers at {self} ({error.strerror or error}): start one there, check --broker"
        )

    def refused(self, reason: object) -> FedmoteError:
        """Return what to tell of a broker that turns us away."""
        return FedmoteError(
            f"{self} does not let us in ({reason}): check the user in --broker and its password"
        )

    def silent(self) -> FedmoteError:
        """Return what to tell of something that takes connections and says nothing."""
        hint = (
            "; perhaps it wants a client certificate (--cert, --key)" if self.tls else " (mqtts:// for TLS?)"
        )
        return FedmoteError(
            f"{self} takes connections but does not answer as an MQTT broker: check --broker{hint}"
        )

    @property
    def url(self) -> str:
        """The whole address, password included: for settings of boards, never for logs."""
        secret = "" if self.password is None else f":{quote(self.password, safe='')}"
        user = "" if self.username is None else f"{quote(self.username, safe='')}{secret}@"
        return self._url(user)

    def __str__(self) -> str:
        return self._url("" if self.username is None else f"{quote(self.username, safe='')}@")

    def _url(self, user: str) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{user}{host}:{self.port}"


class EmbeddedBroker:
    """A broker on this machine, as a context manager; it ends with the process that started it.

    port: where it listens, any free port when None. listen: the IPv4 address of this machine that it listens
    on; it asks nobody for a password, so on another one than the loopback address it is open to that network.
    Retained messages and sessions live in its memory only. Raises FedmoteError on entry where ``listen`` is
    no such address, the port is taken or the broker does not start.
    """

    def __init__(self, port: int | None = None, listen: str = LOOPBACK) -> None:
        self._wanted, self._listen = port, listen
        self._broker: iotcore.Broker | None = None

    @property
    def address(self) -> BrokerAddress:
        """Where this machine reaches it. Only while it runs."""
        if self._broker is None:
            raise RuntimeError("the embedded broker does not run")
        return BrokerAddress(self._host, self._broker.port)

    @property
    def _host(self) -> str:
        return LOOPBACK if self._listen == _EVERYWHERE else self._listen

    def __enter__(self) -> Self:
        _check_own(self._listen)
        for _ in range(1 if self._wanted else _ATTEMPTS):
            port = self._wanted or _free_port()
            # Run in a child process that ends when its standard input closes, so it cannot survive this one.
            broker = iotcore.Broker(port=port, listen=self._listen, max_payload_size=_PAYLOAD_BYTES)
            try:
                broker.start()
            except OSError as error:
                reason = error
                continue
            except RuntimeError as error:
                raise FedmoteError(f"the embedded broker did not start on port {port}: {error}") from None
            self._broker = broker
            return self
        raise FedmoteError(
            f"port {port} is taken ({reason}): stop what listens there, choose another one with --port, "
            f"or use that broker with --broker mqtt://{self._host}:{port}"
        ) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._broker is not None:
            self._broker.stop()
            self._broker = None


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):  # which has a file name of OpenSSL's own
        return "no PEM file of this kind"
    return error.strerror or str(error)


def _check_own(listen: str) -> None:
    try:
        with socket.socket() as probe:
            probe.bind((str(IPv4Address(listen)), 0))
    except (ValueError, OSError):
        raise FedmoteError(
            f"--listen {listen!r} is no IPv4 address of this machine: "
            f"use {_EVERYWHERE} for all that it has, {LOOPBACK} where nobody else is to come in"
        ) from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
