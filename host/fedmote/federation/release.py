"""A release: the files of an update over the air in the form in which boards take them. It publishes nothing.

docs/ota.md is the contract, mote.wire and mote.staging hold what both sides share.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property

from fedmote.errors import FedmoteError
from fedmote.federation.protocol import Outgoing
from mote import staging, wire

#: architecture of a release that runs on every one
ANY = "-"

_ID_DIGITS = 12


class Release:
    """Files for boards of one runtime and architecture.

    files: path on the board -> content. name, version: for people. arch: as boards.toml has it, or ANY.
    Raises FedmoteError where boards would refuse it.
    """

    def __init__(
        self, files: Mapping[str, bytes], name: str, version: str, runtime: str, arch: str = ANY
    ) -> None:
        if not files:
            raise FedmoteError("a release without files: name a --board, a --model or --files")
        if len(files) > staging.FILES:
            raise FedmoteError(f"a release of {len(files)} files: boards take {staging.FILES}")
        for path in files:
            try:
                staging.check_path(path)
            except ValueError as error:
                raise FedmoteError(f"boards refuse this file: {error}") from None
        self.files = {path: files[path] for path in sorted(files)}
        self.name = name
        head = f"fedmote-release 1 {runtime} {arch} {name} {version}\n"
        self.manifest = (head + "".join(map(_line, self.files.items()))).encode()
        if len(self.manifest) > staging.MANIFEST_BYTES:
            raise FedmoteError(
                f"a release whose list of files has {len(self.manifest)} bytes: "
                f"boards take {staging.MANIFEST_BYTES}"
            )

    @cached_property
    def body(self) -> bytes:
        """The bytes that travel: the manifest, then the files in its order."""
        return self.manifest + b"".join(self.files.values())

    @cached_property
    def id(self) -> str:
        """What boards and topics call it: the beginning of the body's SHA-256."""
        return hashlib.sha256(self.body).hexdigest()[:_ID_DIGITS]

    def messages(self, federation: str) -> Iterator[Outgoing]:
        """Yield the retained chunks, the same for all boards."""
        number = int(self.id[:8], 16)
        for index in range(wire.piece_count(len(self.body))):
            piece = self.body[index * wire.PIECE_BYTES : (index + 1) * wire.PIECE_BYTES]
            message = bytearray(wire.HEADER_BYTES) + piece
            wire.write_header(message, len(piece), wire.RELEASE, number, 0, index, len(self.body))
            yield Outgoing(_topic(federation, self.id, index), bytes(message), retained=True)

    def offer(self, federation: str, device: str, key: bytes, counter: int) -> Outgoing:
        """Return the retained message that offers the release to one device, signed with its key.

        counter: larger than that of every offer to the device before.
        """
        offer = {
            "release": self.id,
            "bytes": len(self.body),
            "manifest": len(self.manifest),
            "sha256": hashlib.sha256(self.manifest).hexdigest(),
            "counter": counter,
        }
        text = json.dumps(offer, separators=(",", ":"))
        payload = wire.seal(key, wire.OFFER_SEAL, federation, device, text.encode())
        return Outgoing(wire.topic(federation, "offer", device), payload, retained=True)


def updatable(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the program files that a release may hold: all but those that start a board."""
    return {path: content for path, content in files.items() if _may_travel(path)}


def withdrawal(federation: str, device: str) -> Outgoing:
    """Return the message that makes a broker forget the offer to a device, and the device stop taking it."""
    return Outgoing(wire.topic(federation, "offer", device), b"", retained=True)


def clearing_messages(federation: str, release: str, total: int) -> Iterator[Outgoing]:
    """Yield the messages that make a broker forget the chunks of a release whose body has ``total`` bytes."""
    for index in range(wire.piece_count(total)):
        yield Outgoing(_topic(federation, release, index), b"", retained=True)


def _topic(federation: str, release: str, index: int) -> str:
    return str(wire.topic(federation, "release", release, index))


def _line(file: tuple[str, bytes]) -> str:
    path, content = file
    return f"{hashlib.sha256(content).hexdigest()} {len(content)} {path}\n"


def _may_travel(path: str) -> bool:
    try:
        staging.check_path(path)
    except ValueError:
        return False
    return True
