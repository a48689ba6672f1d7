"""A stand-in for CircuitPython's web workflow, for tests: its HTTP API on a folder and its console as a
WebSocket, with the status codes of supervisor/shared/web_workflow/web_workflow.c."""

import base64
import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

BLOCK_BYTES = 512
VERSION = {
    "web_api_version": 4,
    "version": "9.2.8",
    "build_date": "2025-05-28",
    "board_name": "Adafruit Feather ESP32-S3 4MB Flash 2MB PSRAM",
    "mcu_name": "ESP32S3",
    "board_id": "adafruit_feather_esp32s3_4mbflash_2mbpsram",
    "UID": "C7FD1A9E50B2",
    "hostname": "cpy-50b2",
    "port": 80,
    "ip": "192.168.1.94",
}
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebWorkflow:
    """A board at ``url`` whose drive is ``folder``. A context manager.

    blocks: size of the drive. usb: whether a computer has the drive, so that nobody
    else writes. printing: what the console says after a reset. ``typed``: what it
    was sent.
    """

    def __init__(
        self,
        folder: Path,
        password: str = "secret",
        blocks: int = 4000,
        usb: bool = False,
        printing: bytes = b"",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.password, self.blocks, self.usb = folder, password, blocks, usb
        self.printing = printing
        self.typed = b""
        self.requests: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"board": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> "WebWorkflow":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def free(self) -> int:
        """Free blocks."""
        sizes = (path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return self.blocks - sum(-(-size // BLOCK_BYTES) for size in sizes)


class _Handler(BaseHTTPRequestHandler):
    board: WebWorkflow
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/cp/version.json":
            self._json(VERSION)
        elif self.path == "/cp/diskinfo.json":
            self._json(
                [
                    {
                        "root": "/",
                        "free": self.board.free,
                        "total": self.board.blocks,
                        "block_size": BLOCK_BYTES,
                        "writable": not self.board.usb,
                    }
                ]
            )
        elif not self._authorised():
            return
        elif self.path == "/cp/serial/":
            self._console()
        elif self.path.endswith("/"):
            folder = self._file()
            if not folder.is_dir():
                self._answer(404)
                return
            self._json(
                {
                    "free": self.board.free,
                    "total": self.board.blocks,
                    "block_size": BLOCK_BYTES,
                    "writable": not self.board.usb,
                    "files": [
                        {
                            "name": path.name,
                            "directory": path.is_dir(),
                            "modified_ns": 946684800000000000,
                            "file_size": path.stat().st_size if path.is_file() else 0,
                        }
                        for path in sorted(folder.iterdir())
                    ],
                }
            )
        elif self._file().is_file():
            self._answer(200, self._file().read_bytes())
        else:
            self._answer(404)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._writable():
            return
        file = self._file()
        if self.path.endswith("/"):
            there = file.is_dir()
            file.mkdir(parents=True, exist_ok=True)
            self._answer(204 if there else 201)
        elif not file.parent.is_dir():
            self._answer(404)
        elif -(-len(content) // BLOCK_BYTES) > self.board.free:
            self._answer(413)
        else:
            there = file.exists()
            file.write_bytes(content)
            self._answer(204 if there else 201)

    def do_MOVE(self) -> None:
        if not self._writable():
            return
        destination = self.board.folder / unquote(self.headers["X-Destination"]).removeprefix("/fs/")
        if not self._file().exists():
            self._answer(404)
        elif destination.exists():
            self._answer(412)
        else:
            self._file().rename(destination)
            self._answer(201)

    def do_DELETE(self) -> None:
        if not self._writable():
            return
        file = self._file()
        if file.is_dir():
            shutil.rmtree(file)
            self._answer(204)
        elif file.exists():
            file.unlink()
            self._answer(204)
        else:
            self._answer(404)

    def _writable(self) -> bool:
        if not self._authorised():
            return False
        if self.board.usb:
            self._answer(409, b"USB storage active.")
        return not self.board.usb

    def _authorised(self) -> bool:
        self.board.requests.append(f"{self.command} {self.path}")
        if not self.board.password:
            self._answer(403)
            return False
        expected = "Basic " + base64.b64encode(f":{self.board.password}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            self._answer(401)
            return False
        return True

    def _file(self) -> Path:
        return self.board.folder / unquote(self.path).removeprefix("/fs/")

    def _json(self, table: Any) -> None:
        self._answer(200, json.dumps(table).encode())

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _console(self) -> None:
        digest = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + _GUID).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True
        if b"reset()" in self.board.typed:
            self._frame(9, b"ping")
            for start in range(0, len(self.board.printing), 200):  # frames of all sizes, not lines
                self._frame(1, self.board.printing[start : start + 200])
        while (head := self.rfile.read(2)) and head[0] & 0xF != 8:
            mask = self.rfile.read(4)
            content = self.rfile.read(head[1] & 0x7F)
            if head[0] & 0xF == 1:
                self.board.typed += bytes(byte ^ mask[n % 4] for n, byte in enumerate(content))

    def _frame(self, opcode: int, content: bytes) -> None:
        size = len(content)
        head = (
            bytes((0x80 | opcode, size))
            if size < 126
            else bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
        )
        self.wfile.write(head + content)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
