"""Lines from real ptys and sockets: cut, garbled, unplugged and plugged in again."""

import os
import socket
import threading
import time
import tty
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedmote.errors import FedmoteError
from fedmote.monitor import lines
from fedmote.monitor.lines import Line, Lost, Opened, Splitter


class Plug:
    """A pty behind a link, as a virtual board's serial port is; it can be pulled and put back."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.plug()

    def plug(self) -> None:
        self.board, self.port = os.openpty()
        tty.setraw(self.port)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self.port))

    def pull(self) -> None:
        os.close(self.port)
        os.close(self.board)
        self.link.unlink()

    def say(self, data: bytes) -> None:
        os.write(self.board, data)


@pytest.fixture
def plug(tmp_path):
    return Plug(tmp_path / "serial")


def following(events, kind):
    """Return the next event of a kind."""
    return next(event for event in events if isinstance(event, kind))


def test_lines_arrive_without_their_ends(plug):
    events = lines.read(str(plug.link))
    assert next(events) == Opened(str(plug.link))
    plug.say(b"one\r\ntwo\nthr")
    assert following(events, Line) == Line(b"one")
    assert following(events, Line) == Line(b"two")
    plug.say(b"ee\n")
    assert following(events, Line) == Line(b"three")
    events.close()


def test_a_pulled_board_is_read_again_once_it_is_back(plug):
    events = lines.read(str(plug.link))
    next(events)
    plug.say(b"before\nhal")
    assert following(events, Line) == Line(b"before")
    plug.pull()
    assert following(events, Lost).reason
    assert [type(next(events)).__name__ for _ in range(8)] == ["Quiet"] * 8  # the view stays alive
    plug.plug()
    assert following(events, Opened)
    plug.say(b"after\n")
    assert following(events, Line) == Line(b"after")
    events.close()


def test_a_board_that_comes_back_as_another_device_is_found(plug, tmp_path):
    place = [str(plug.link)]
    events = lines.read(place[0], locate=lambda: place[0])
    next(events)
    plug.pull()
    following(events, Lost)
    place[0] = None  # it is away
    assert [type(next(events)).__name__ for _ in range(8)] == ["Quiet"] * 8
    other = Plug(tmp_path / "elsewhere")
    place[0] = str(other.link)
    assert following(events, Opened) == Opened(str(other.link))
    other.say(b"after\n")
    assert following(events, Line) == Line(b"after")
    events.close()


def test_attempts_to_open_again_grow_rarer(plug, monkeypatch):
    now = [0.0]
    attempts = []

    def pause(seconds):
        now[0] += seconds

    events = lines.read(str(plug.link), pause=pause, clock=lambda: now[0])
    next(events)
    plug.pull()
    following(events, Lost)
    monkeypatch.setattr(lines, "_open", lambda port, baud: attempts.append(now[0]) or _unplugged())
    while now[0] < 60:
        next(events)
    gaps = [round(after - before, 1) for before, after in pairwise(attempts)]
    assert gaps[:4] == pytest.approx([0.4, 0.8, 1.6, 3.2], abs=0.11)
    assert max(gaps) <= 5.11
    events.close()


def _unplugged():
    raise OSError("still unplugged")


def test_a_socket_is_a_port_too():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            for _ in range(20):  # pyserial drops what came before it was ready
                connection.sendall(b"over tcp\n")
                time.sleep(0.05)
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        events = lines.read(f"socket://127.0.0.1:{server.getsockname()[1]}")
        assert [following(events, Line) for _ in range(3)] == [Line(b"over tcp")] * 3
        assert following(events, Lost)
        events.close()


@pytest.mark.parametrize(
    ("port", "reason"),
    [
        ("/dev/ttyNOPE", "there is no such port"),
        ("socket://127.0.0.1:1", "refused"),
        ("nonsense://x", "nonsense"),
        (__file__, "cannot open"),
    ],
)
def test_a_port_that_never_opened_is_an_error_for_the_user(port, reason):
    with pytest.raises(FedmoteError, match=reason) as raised:
        next(lines.read(port))
    assert port in str(raised.value)


def test_a_port_in_use_is_named_as_such(plug):
    first = lines.read(str(plug.link))
    next(first)
    with pytest.raises(FedmoteError, match="another program is using it"):
        next(lines.read(str(plug.link)))
    first.close()


def test_an_endless_line_is_cut_and_costs_no_memory():
    splitter = Splitter()
    given_out = [line for _ in range(5000) for line in splitter.feed(b"x" * 100)]
    assert given_out == [b"x" * 1000]
    assert len(splitter._rest) <= 1001
    assert list(splitter.feed(b"end\nnext\n")) == [b"next"]


def test_a_line_of_exactly_1000_bytes_is_whole():
    assert list(Splitter().feed(b"y" * 1000 + b"\r\n" + b"z" * 1000 + b"\n")) == [b"y" * 1000, b"z" * 1000]


@settings(deadline=None)
@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=6))
def test_how_bytes_arrive_makes_no_difference(data, cuts):
    splitter, edges = Splitter(), sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(edges)]
    assert [line for piece in pieces for line in splitter.feed(piece)] == list(Splitter().feed(data))
