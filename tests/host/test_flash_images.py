"""Only the right image ever gets into the cache, and only that is taken out of it."""

import hashlib
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fedmote.boards import catalogue, images
from fedmote.errors import FedmoteError

DATA = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
WRONG = "0" * 64


class Site:
    """A download site. ``data``: what it serves; ``promises``: its Content-Length, None: none."""

    def __init__(self) -> None:
        self.data = DATA
        self.promises: int | None = len(DATA)
        self.requests: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(self.path)
                self.send_response(404 if self.path == "/missing.uf2" else 200)
                if site.promises is not None:
                    self.send_header("Content-Length", str(site.promises))
                self.end_headers()
                self.wfile.write(site.data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> "Site":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def image(self, file: str = "it.uf2", size: int | None = None, sha256: str | None = None) -> images.Image:
        return images.Image(file, f"{self.url}/{file}", "https://the.page/", "1.0", size, sha256)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Site() as running:
        yield running


def fetch(image: images.Image, sha256: str | None = None) -> images.Fetched:
    return images.fetch(image, sha256, lambda done, total: None)


def kept(image: images.Image) -> list[str]:
    return sorted(path.name for path in image.place.parent.iterdir()) if image.place.parent.exists() else []


def test_a_known_image_is_downloaded_once(site, tmp_path) -> None:
    image = site.image(size=len(DATA), sha256=SHA256)
    seen: list[tuple[int, int | None]] = []
    fetched = images.fetch(image, None, lambda done, total: seen.append((done, total)))
    assert fetched == (tmp_path / "fedmote/images/it.uf2", SHA256, "known")
    assert fetched.path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert fetch(image).trust == "known"
    assert len(site.requests) == 1


def test_an_image_with_a_wrong_hash_is_not_kept(site) -> None:
    image = site.image(sha256=WRONG)
    with pytest.raises(FedmoteError, match=f"SHA-256 {SHA256}, not {WRONG}"):
        fetch(image)
    with pytest.raises(FedmoteError, match=f"not {WRONG}"):
        fetch(site.image(), sha256=WRONG)
    assert kept(image) == []


def test_a_wrong_size_is_refused_before_the_download(site) -> None:
    with pytest.raises(FedmoteError, match=r"has 256000 bytes, not 999"):
        fetch(site.image(size=999, sha256=SHA256))
    site.promises = None
    with pytest.raises(FedmoteError, match="ended after 256000 of 256001 bytes"):
        fetch(site.image(size=256_001, sha256=SHA256))
    assert kept(site.image()) == []


def test_a_download_that_breaks_off_is_not_kept_and_can_be_repeated(site) -> None:
    site.promises = len(DATA) + 1000
    with pytest.raises(FedmoteError, match=r"ended after 256000 of 257000 bytes: try again"):
        fetch(site.image())
    assert kept(site.image()) == []
    site.promises = len(DATA)
    assert fetch(site.image()).sha256 == SHA256


def test_a_download_without_end_is_stopped(site, monkeypatch) -> None:
    monkeypatch.setattr(images, "_LARGEST", 100_000)
    with pytest.raises(FedmoteError, match="more than 100000 bytes"):
        fetch(site.image())
    assert kept(site.image()) == []


def test_an_image_without_known_hash_is_held_to_its_first_download(site) -> None:
    image = site.image()
    assert fetch(image).trust == "first"
    assert kept(image) == ["it.uf2", "it.uf2.sha256"]
    assert fetch(image).trust == "recorded"
    image.place.unlink()
    site.data = DATA[::-1]
    with pytest.raises(FedmoteError, match=f"not {SHA256}"):
        fetch(image)
    site.data = DATA
    assert fetch(image).trust == "recorded"


def test_a_damaged_file_in_the_cache_is_downloaded_anew(site) -> None:
    image = site.image(sha256=SHA256)
    fetch(image)
    image.place.write_bytes(DATA[:-1])
    assert fetch(image).path.read_bytes() == DATA
    assert len(site.requests) == 2


def test_a_hash_that_the_user_gives_decides(site) -> None:
    assert fetch(site.image(), sha256=SHA256).trust == "given"
    with pytest.raises(FedmoteError, match="leave --sha256 out"):
        fetch(site.image(sha256=WRONG), sha256=SHA256)


def test_without_internet_the_file_to_fetch_and_its_place_are_named(site, tmp_path) -> None:
    image = site.image()._replace(url="http://127.0.0.1:9/it.uf2")
    with pytest.raises(FedmoteError) as raised:
        fetch(image)
    for part in ("http://127.0.0.1:9/it.uf2", f"{tmp_path}/fedmote/images/it.uf2", "--firmware FILE"):
        assert part in str(raised.value)
    image.place.write_bytes(DATA)  # what the user then does
    assert fetch(image).sha256 == SHA256


def test_a_release_that_is_no_longer_there_leads_to_the_page(site) -> None:
    with pytest.raises(FedmoteError, match=r"404 Not Found(.|\n)*https://the.page/"):
        fetch(site.image("missing.uf2"))


def test_a_file_of_ones_own_is_checked_where_a_hash_is_given(tmp_path) -> None:
    path = tmp_path / "own.uf2"
    path.write_bytes(DATA)
    assert images.check(path, None) == (path, SHA256, "file")
    assert images.check(path, SHA256).trust == "given"
    with pytest.raises(FedmoteError, match=f"not {WRONG}"):
        images.check(path, WRONG)
    with pytest.raises(FedmoteError, match="cannot read the image"):
        images.check(tmp_path / "none.uf2", None)


def test_official_names_are_those_of_the_sites() -> None:
    def urls(board: str) -> list[str]:
        known = catalogue.find(board)
        return [images.official(known, runtime).url for runtime in known.runtimes]

    assert urls("rpi_pico_w") == [
        "https://micropython.org/resources/firmware/RPI_PICO_W-20250911-v1.26.1.uf2",
        "https://downloads.circuitpython.org/bin/raspberry_pi_pico_w/en_US/"
        "adafruit-circuitpython-raspberry_pi_pico_w-en_US-9.2.8.uf2",
    ]
    assert urls("esp32_s3_psram") == [
        "https://micropython.org/resources/firmware/ESP32_GENERIC_S3-SPIRAM_OCT-20250911-v1.26.1.bin",
        "https://downloads.circuitpython.org/bin/espressif_esp32s3_devkitc_1_n8r8/en_US/"
        "adafruit-circuitpython-espressif_esp32s3_devkitc_1_n8r8-en_US-9.2.8.bin",
    ]
    image = images.official(catalogue.find("esp32_s3_psram"), "micropython")
    assert image.page == "https://micropython.org/download/ESP32_GENERIC_S3/"


def test_every_known_hash_belongs_to_an_official_image() -> None:
    listing = tomllib.loads(Path(images.__file__).with_name("images.toml").read_text(encoding="utf-8"))
    official = {
        images.official(board, runtime).file
        for board in catalogue.load().values()
        for runtime in board.runtimes
        if board.flash.method != "none"
    }
    assert set(listing["files"]) <= official
    for facts in listing["files"].values():
        assert images.is_sha256(facts["sha256"]) and facts["bytes"] > 100_000
