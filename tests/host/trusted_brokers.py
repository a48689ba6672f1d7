"""Brokers with TLS for the tests: one that is always there (TLS in front of the embedded broker), and the
real mosquitto, where it is installed, with the files that fedmote writes for it."""

import asyncio
import contextlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fedmote.federation import access, broker_folder
from fedmote.federation.broker import BrokerAddress, EmbeddedBroker
from fedmote.federation.certificates import Signed, new_broker, new_ca

PATIENCE_S = 15
MOSQUITTO = shutil.which(
    "mosquitto", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/opt/homebrew/sbin"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class House:
    """A CA with files of it below ``folder``."""

    folder: Path
    ca: Signed = field(default_factory=lambda: new_ca("tests"))

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.ca_file = self.folder / "ca.pem"
        self.ca_file.write_bytes(self.ca.certificate)

    def signed(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """Return files of a new certificate for hosts, and its key."""
        return self._write(name, new_broker(self.ca, hosts))

    def signed_otherwise(self, name: str, begin: datetime, end: datetime) -> tuple[Path, Path]:
        """Return files of a certificate that fedmote would not make: for 127.0.0.1 and for clients, with any
        dates."""
        key = ec.generate_private_key(ec.SECP256R1())
        ca_key = serialization.load_pem_private_key(self.ca.key, None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.load_pem_x509_certificate(self.ca.certificate).subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
            .sign(ca_key, hashes.SHA256())
        )
        encoding = serialization.Encoding.PEM
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self._write(
            name, Signed(certificate.public_bytes(encoding), key.private_bytes(encoding, *plain))
        )

    def _write(self, name: str, made: Signed) -> tuple[Path, Path]:
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        for path, content in zip(paths, (made.certificate, made.key), strict=True):
            path.write_bytes(content)
        return paths


@contextlib.contextmanager
def tls_broker(certificate: tuple[Path, Path], clients_from: Path | None = None) -> Iterator[BrokerAddress]:
    """Put TLS in front of an embedded broker. clients_from: the CA that clients must have a
    certificate of."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if clients_from is not None:
        context.load_verify_locations(clients_from)
        context.verify_mode = ssl.CERT_REQUIRED
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    with EmbeddedBroker() as broker:

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            back, forth = await asyncio.open_connection(broker.address.host, broker.address.port)
            await asyncio.gather(carry(reader, forth), carry(back, writer))

        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(serve, "127.0.0.1", 0, ssl=context), loop
        ).result(PATIENCE_S)
        try:
            yield BrokerAddress("127.0.0.1", server.sockets[0].getsockname()[1], tls=True)
        finally:
            loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE_S)
    loop.close()


@dataclass
class Mosquitto:
    """The real broker, with a folder of fedmote's."""

    folder: Path
    federation: str
    keys: dict[str, bytes]
    port: int
    aggregator_port: int

    @property
    def ca(self) -> Path:
        return self.folder / broker_folder.CA

    def write(self) -> broker_folder.Outcome:
        return broker_folder.write(
            self.folder,
            broker_folder.Wanted(self.federation, self.keys, ("127.0.0.1",), self.port, self.aggregator_port),
        )

    def board(self, device: str) -> BrokerAddress:
        """Return how a board enters."""
        password = access.board_password(self.federation, device, self.keys[device])
        user = access.board_user(self.federation, device)
        return BrokerAddress("127.0.0.1", self.port, True, user, password, self.ca)

    def role(self, role: str) -> BrokerAddress:
        """Return how one of the others enters."""
        password = broker_folder.password_file(self.folder, role).read_text().strip()
        user = access.role_user(self.federation, role)
        return BrokerAddress("127.0.0.1", self.aggregator_port, True, user, password, self.ca)

    def start(self) -> None:
        assert MOSQUITTO is not None
        command = [MOSQUITTO, "-c", str(self.folder / broker_folder.BROKER / broker_folder.CONFIGURATION)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        end = time.monotonic() + PATIENCE_S
        for port in (self.port, self.aggregator_port):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    assert self._process.poll() is None, (self.folder / "log").read_text()
                    assert time.monotonic() < end, "mosquitto does not come up"
                    time.sleep(0.02)

    def reload(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)


@contextlib.contextmanager
def mosquitto(folder: Path, federation: str, keys: dict[str, bytes]) -> Iterator[Mosquitto]:
    """Run mosquitto as `fedmote broker-config` sets it up."""
    broker = Mosquitto(folder, federation, keys, free_port(), free_port())
    broker.write()
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
