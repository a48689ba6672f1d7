"""A board with CircuitPython's web workflow as a place for files: HTTP for them, a WebSocket for its
console."""

import base64
import http.client
import json
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from fedmote.boards.deploying.target import DRAFT, Advance, DiskFullError, Found, Room, parents
from fedmote.boards.deploying.websocket import WebSocket
from fedmote.boards.repl import Identity, chip_of
from fedmote.errors import FedmoteError
from fedmote.monitor.lines import Splitter

_ANSWER_S = 20
_RETURN_S = 60  # for a board to join its Wi-Fi again
_RETRY_S = 1
_FULL = (413, 417)
_RESTART = b"import microcontroller; microcontroller.reset()\r\n"

_REFUSALS = {
    401: "the password is wrong: it is CIRCUITPY_WEB_API_PASSWORD in the board's settings.toml",
    403: "the board has no CIRCUITPY_WEB_API_PASSWORD in its settings.toml, without which nobody may write",
    409: "its drive is in use over USB: eject CIRCUITPY on that computer, or unplug the board from it",
}


class WebTarget:
    """The files of a board at ``url``, such as http://cpy-4f2a10.local. password: of its web workflow."""

    def __init__(self, url: str, password: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname:
            raise FedmoteError(f"{url} names no host: expected something like http://cpy-4f2a10.local")
        self._host, self._port = parts.hostname, parts.port or 80
        self._authorization = "Basic " + base64.b64encode(f":{password}".encode()).decode()
        self.name = f"http://{self._host}" + (f":{self._port}" if parts.port else "")
        status, answer, headers = self._request("GET", "/cp/version.json")
        if status == 307:  # circuitpython.local sends on to the one board there is
            parts = urlsplit(headers["Location"])
            self._host, self._port = str(parts.hostname), parts.port or 80
            status, answer, headers = self._request("GET", "/cp/version.json")
        self._version = self._json(status, answer, "/cp/version.json")

    def identify(self) -> Identity:
        said = self._version
        machine = f"{said.get('board_name')} with {said.get('mcu_name')}"
        return Identity(
            "circuitpython",
            str(said.get("version")),
            machine,
            chip_of(machine),
            said.get("board_id"),
            str(said.get("UID", "")).lower() or None,
        )

    def find(self, paths: Iterable[str]) -> dict[str, Found]:
        contents = {path: self.read(path) for path in self._existing(list(paths))}
        return {path: Found.of(content) for path, content in contents.items() if content is not None}

    def read(self, path: str) -> bytes | None:
        status, content, _ = self._request("GET", _place(path))
        if status == 404:
            return None
        self._check(status, path)
        return content

    def room(self) -> Room:
        status, answer, _ = self._request("GET", "/cp/diskinfo.json")
        disks = self._json(status, answer, "/cp/diskinfo.json")
        disk = disks[0] if isinstance(disks, list) else disks  # a list since version 3 of the API
        return Room(int(disk["free"]) * int(disk["block_size"]), int(disk["block_size"]))

    def write(self, path: str, content: bytes, advance: Advance) -> None:
        for folder in parents([path])[-1:]:  # makes those above it too
            status, _, _ = self._request("PUT", _place(folder) + "/")
            self._check(status, folder)
        status, _, _ = self._request("PUT", _place(path), content)
        self._check(status, path)
        advance(len(content))

    def accept(self, paths: Iterable[str]) -> None:
        for path in paths:
            status, _, _ = self._request("MOVE", _place(path + DRAFT), to=_place(path))
            if status == 412:  # it does not overwrite
                self._delete(path)
                status, _, _ = self._request("MOVE", _place(path + DRAFT), to=_place(path))
            self._check(status, path)

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._delete(path)
            for folder in reversed(parents([path])):
                if self._listing(folder):
                    break
                self._delete(folder + "/")

    def restart(self) -> bool:
        with self._console() as console:
            console.send(b"\x03\r\n")  # to the prompt
            time.sleep(_RETRY_S)
            console.send(_RESTART)
        return True

    def retake(self) -> None:
        """Every request has a connection of its own."""

    def listen(self) -> Iterator[bytes | None]:
        deadline = time.monotonic() + _RETURN_S
        while True:
            try:
                with self._console() as console:
                    splitter = Splitter()
                    for data in console.receive():
                        yield from splitter.feed(data)
                        yield None
            except FedmoteError:
                if time.monotonic() > deadline:
                    raise
            yield None
            time.sleep(_RETRY_S)

    def close(self) -> None:
        """Every request has a connection of its own."""

    def _console(self) -> WebSocket:
        return WebSocket(self._host, self._port, "/cp/serial/", self._authorization)

    def _existing(self, paths: list[str]) -> list[str]:
        """Return the files that exist: a folder is listed once instead of asking for each."""
        found: dict[str, set[str]] = {}
        for path in paths:
            folder, _, _ = path.rpartition("/")
            if folder not in found:
                found[folder] = {
                    f"{folder}/{entry['name']}" if folder else entry["name"]
                    for entry in self._listing(folder)
                    if not entry["directory"]
                }
        return [path for path in paths if path in found[path.rpartition("/")[0]]]

    def _listing(self, folder: str) -> list[dict[str, Any]]:
        place = _place(folder) + "/" if folder else "/fs/"
        status, answer, _ = self._request("GET", place)
        if status == 404:
            return []
        listing = self._json(status, answer, place)
        entries: list[dict[str, Any]] = listing["files"] if isinstance(listing, dict) else listing
        return entries

    def _delete(self, path: str) -> None:
        status, _, _ = self._request("DELETE", _place(path))
        if status != 404:
            self._check(status, path)

    def _request(
        self, method: str, place: str, body: bytes | None = None, to: str | None = None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        headers = {"Authorization": self._authorization, "Accept": "application/json"}
        if to is not None:
            headers["X-Destination"] = to
        if method == "PUT":
            headers["X-Timestamp"] = str(int(time.time() * 1000))
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_ANSWER_S)
        try:
            connection.request(method, place, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        except (OSError, http.client.HTTPException) as error:
            raise FedmoteError(
                f"{self.name} does not answer ({error}): is the board on this network, "
                "and does its settings.toml have the Wi-Fi and CIRCUITPY_WEB_API_PASSWORD?"
            ) from None
        finally:
            connection.close()

    def _json(self, status: int, answer: bytes, place: str) -> Any:
        self._check(status, place)
        try:
            return json.loads(answer)
        except ValueError:
            raise FedmoteError(f"{self.name}{place} is no JSON: no CircuitPython board is there") from None

    def _check(self, status: int, what: str) -> None:
        if status in _FULL:
            raise DiskFullError(f"{self.name}: no room for {what}")
        if status >= 400:
            reason = _REFUSALS.get(
                status, f"status {status}: is a board with CircuitPython 8 or newer there?"
            )
            raise FedmoteError(f"{self.name} refuses {what}: {reason}")


def _place(path: str) -> str:
    return "/fs/" + quote(path)
