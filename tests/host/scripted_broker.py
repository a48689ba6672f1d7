"""A server that says what a test wants of a broker, for what no real one does when it is asked to."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from fedmote.federation.broker import BrokerAddress

CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE = 1, 3, 8, 10
UNAUTHORISED = 5

#: takes a packet (its kind, what follows its length), returns what to say, None to hang up
Answer = Callable[[int, bytes], bytes | None]


@contextmanager
def scripted_broker(answer: Answer) -> Iterator[BrokerAddress]:
    """Listen as a broker that answers each packet as ``answer`` says."""

    def talk(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream, suppress(ConnectionError):
            while head := stream.read(1):
                length, shift = 0, 0
                while True:
                    digit = stream.read(1)[0]
                    length |= (digit & 0x7F) << shift
                    shift += 7
                    if digit < 0x80:
                        break
                said = answer(head[0] >> 4, stream.read(length))
                if said is None:
                    return
                connection.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield BrokerAddress("127.0.0.1", server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def connack(code: int = 0, resumed: bool = False) -> bytes:
    """Answer a CONNECT. resumed: the session is there already."""
    return bytes([0x20, 2, resumed, code])


def answering(kind: int, packet: bytes, code: int = 0) -> bytes:
    """Answer as a broker that lets everybody in. code: what it says to a subscription."""
    if kind == CONNECT:
        return connack()
    if kind == SUBSCRIBE:
        topics, position = 0, 2
        while position < len(packet):
            position += 2 + struct.unpack_from(">H", packet, position)[0] + 1
            topics += 1
        return bytes([0x90, 2 + topics]) + packet[:2] + bytes([code]) * topics
    return bytes([0xB0, 2]) + packet[:2] if kind == UNSUBSCRIBE else b""
