"""From a flashed board to a round: deploy, telemetry and federation with an emulated Pico W.

pip install "rp2040py[fs]"
FEDMOTE_UF2_DIR=folder pytest -s tests/system/test_emulated_deploy.py     # folder holds RPI_PICO_W-*.uf2

Takes some minutes: a second of the board takes fifteen here.
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from emulated import console_of_pico_w, image_of_pico_w, lay_out
from typer.testing import CliRunner

from fedmote.boards import catalogue, image, repl
from fedmote.boards.deploying.contents import MANIFEST, MODEL, RECORDING, SETTINGS, manifest
from fedmote.cli import app
from fedmote.federation.broker import EmbeddedBroker
from fedmote.fleet import LEARN, Assignment, recording_of
from fedmote.models.application import Application

_APP = "watch"
_BOARD = "rpi_pico_w"
_WINDOWS = 16
_SERIES_WINDOWS = 2  # of one exercise, before the next
_SLOWNESS = 40  # of the emulated board, with other work here
_PATIENCE_S = 900
_EARLIER = ("lib/chumicro_", "lib/mote/kernels/", "lib/mote/sensors/")


@pytest.mark.timeout(3600)
def test_deployed_board_tells_what_it_sees_and_its_update_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firmware = image_of_pico_w()
    _be_patient(monkeypatch)
    application = Application.load(_APP)
    lay_out(_before(application), tmp_path / "flash.img")
    store, seen = tmp_path / "state", tmp_path / "seen.jsonl"
    with EmbeddedBroker() as broker, console_of_pico_w(firmware, tmp_path / "flash.img") as console:
        at = broker.address
        running = [
            _start(
                "serve", "--app", _APP, "--broker", at.url, "--state", store, "--json",
                "--rounds", 1, "--minimum", 1, "--deadline", _PATIENCE_S,
            )
        ]  # fmt: skip
        try:
            started = time.monotonic()
            deployed = _deploy(console, store, f"mqtt://10.0.0.1:{at.port}")
            took = time.monotonic() - started
            running.append(_start("monitor", "--port", console, "--record", seen, "--plain"))
            output, log = running[0].communicate(timeout=2 * _PATIENCE_S)
        finally:
            for process in running:
                process.kill()
                process.wait()
    print(f"\ndeployed in {took:.0f} s: {len(deployed['copy'])} files, {deployed['bytes']:,} bytes\n{log}")
    assert {SETTINGS, MODEL, "main.py", "lib/mote/member.mpy"} <= {one["path"] for one in deployed["copy"]}
    assert deployed["telemetry"]["device"] == deployed["device"]
    summary = json.loads(output)
    print(summary)
    assert summary["version"] == 1, "no update was accepted"
    assert '"state":"' in seen.read_text()


def _before(application: Application) -> dict[str, bytes]:
    """Return what the board holds already: libraries of an earlier deploy, a recording short enough to wait
    for."""
    whole = application.recordings()[0].shuffled(1)
    count = _WINDOWS // _SERIES_WINDOWS
    length = _SERIES_WINDOWS * application.features.window
    short = replace(whole, labels=whole.labels[:count], series=[one[:length] for one in whole.series[:count]])
    program = image.program(catalogue.find(_BOARD), "micropython")
    files = {path: content for path, content in program.items() if path.startswith(_EARLIER)}
    files[RECORDING] = recording_of(Assignment(short, LEARN), seed=1)
    settings = {
        "SENSOR": "replay",
        "RECORDING": RECORDING,
        "RING": _WINDOWS,
        "MINIMUM": _WINDOWS,
        "HOLDOUT": 5,
    }
    return {
        **files,
        SETTINGS: image.settings_text(settings).encode(),
        MANIFEST: manifest(_APP, frozenset(files)),
    }


def _be_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fedmote wait as long for the emulated board as a real one would take."""
    execute = repl.Repl.execute

    def patient(self: repl.Repl, code: str, timeout_s: float = 10) -> str:
        return execute(self, code, timeout_s * _SLOWNESS)

    monkeypatch.setattr(repl.Repl, "execute", patient)
    monkeypatch.setattr(repl, "_SILENCE_S", repl._SILENCE_S * _SLOWNESS)
    monkeypatch.setattr(repl, "_ANSWER_S", repl._ANSWER_S * _SLOWNESS)
    monkeypatch.setenv("FEDMOTE_WIFI_SSID", "RP2040PY-GUEST")
    monkeypatch.setenv("FEDMOTE_WIFI_PASSWORD", "password")


def _deploy(console: str, store: Path, broker: str) -> Any:
    result = CliRunner().invoke(
        app,
        [
            "deploy", "--board", _BOARD, "--port", console, "--app", _APP, "--state", str(store),
            "--broker", broker, "--wait", str(_PATIENCE_S), "--json",
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output or result.exception
    return json.loads(result.stdout)


def _start(*arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fedmote", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
