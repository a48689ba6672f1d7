"""MQTT 3.1.1 packets as far as a proxy must know them: where one ends, topics, identifiers, client ids."""

import asyncio

CONNECT, PUBLISH, PUBACK = 1, 3, 4
DUP = 0x08  # in the first byte of a publication
_QOS = 0x06
_LONGEST = 1 << 17  # ours take little more than 1 KiB


class NotMqtt(Exception):  # noqa: N818 - it names what came
    """Bytes that are no packet, or not the one that must come here."""


async def read_packet(reader: asyncio.StreamReader) -> bytes:
    """Return one packet. Raises EOFError where the connection ended, NotMqtt."""
    packet = bytearray(await reader.readexactly(1))
    length = shift = 0
    while True:
        packet += await reader.readexactly(1)
        length |= (packet[-1] & 0x7F) << shift
        shift += 7
        if not packet[-1] & 0x80:
            break
        if shift > 21:
            raise NotMqtt("a length of more than four bytes")
    if length > _LONGEST:
        raise NotMqtt(f"a packet of {length} bytes, at most {_LONGEST} are taken")
    return bytes(packet + await reader.readexactly(length))


def kind_of(packet: bytes) -> int:
    """Return the kind of a packet: CONNECT, PUBLISH, PUBACK and so on."""
    return packet[0] >> 4


def client_id(packet: bytes) -> str:
    """Return the client id of a CONNECT. Raises NotMqtt for any other packet."""
    if kind_of(packet) != CONNECT:
        raise NotMqtt("the first packet of a connection is no CONNECT")
    _, at = _string(packet, _body_at(packet))
    return _string(packet, at + 4)[0].decode(errors="replace")  # after level, flags and keep-alive


def assured(publication: bytes) -> bool:
    """Tell whether a publication is to be acknowledged."""
    return bool(publication[0] & _QOS)


def topic(publication: bytes) -> str:
    """Return the topic of a publication."""
    return _string(publication, _body_at(publication))[0].decode(errors="replace")


def identifier(publication: bytes) -> bytes:
    """Return the two bytes that acknowledge a publication; it must be an assured one."""
    _, at = _string(publication, _body_at(publication))
    return publication[at : at + 2]


def payload(publication: bytes) -> bytes:
    """Return the payload of a publication."""
    _, at = _string(publication, _body_at(publication))
    return publication[at + (2 if assured(publication) else 0) :]


def _body_at(packet: bytes) -> int:
    """Return where the fixed header ends."""
    at = 1
    while packet[at] & 0x80:
        at += 1
    return at + 1


def _string(packet: bytes, at: int) -> tuple[bytes, int]:
    """Return the string that stands at ``at``, and where it ends."""
    end = at + 2 + int.from_bytes(packet[at : at + 2], "big")
    return packet[at + 2 : end], end
