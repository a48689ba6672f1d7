"""What travels in the wheel, and that an installation finds it from any folder."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import fedmote
import mote
from fedmote import assets
from fedmote.errors import FedmoteError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A site-packages that holds the wheel and nothing else of this checkout."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_both_packages_have_one_version():
    assert fedmote.__version__ == mote.__version__


def test_the_wheel_holds_all_that_a_user_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert wheel.name == f"fedmote-{fedmote.__version__}-py3-none-any.whl"
    for folder, target in (
        ("lib/mote", "mote"),
        ("host/fedmote", "fedmote"),
        ("firmware", "fedmote/assets/firmware"),
    ):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"{target}/{path.relative_to(ROOT / folder)}" in names
    for path in (ROOT / "models").rglob("*.toml"):
        assert f"fedmote/assets/models/{path.relative_to(ROOT / 'models')}" in names
    assert "fedmote/assets/boards.toml" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".key", ".sqlite"))]
    assert not [name for name in names if name.startswith("tests/")]


def test_an_installation_finds_its_files_from_any_folder(installed, tmp_path):
    code = (
        "from fedmote import assets\n"
        "from fedmote.boards.catalogue import load\n"
        "print(assets.path('boards.toml'), assets.path('firmware', 'micropython'), assets.path('models'))\n"
        "print(assets.library(), len(load()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    inside = installed / "fedmote" / "assets"
    assert done.stdout.splitlines() == [
        f"{inside}/boards.toml {inside}/firmware/micropython {inside}/models",
        f"{installed}/mote 16",
    ]


def test_a_checkout_uses_its_own_files():
    assert assets.path("boards.toml") == ROOT / "boards.toml"
    assert assets.path("firmware", "micropython") == ROOT / "firmware" / "micropython"
    assert assets.library() == ROOT / "lib" / "mote"


def test_a_damaged_installation_says_so():
    with pytest.raises(FedmoteError, match=r"boards\.tml is missing: install fedmote again"):
        assets.path("boards.tml")


def test_every_dependency_has_a_lower_and_an_upper_bound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        assert re.match(r"[a-z-]+>=[\d.]+,<[\d.]+(;|$)", requirement), requirement


@pytest.mark.parametrize("python", ["missing", "too old", "without venv"])
def test_make_says_what_to_install_where_python_is_not_enough(python, tmp_path):
    """Pythons are scripts here that answer as Debian's do."""
    answers = {
        "too old": "exit 1",
        "without venv": 'case "$2" in *ensurepip*) exit 1;; *print*) echo 3.12;; esac; [ "$1" != -m ]',
    }
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "rm"):
        (tools / tool).symlink_to(f"/bin/{tool}")
    if python in answers:
        (tools / "python3").write_text(f"#!/bin/sh\n{answers[python]}\n")
        (tools / "python3").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", ROOT / ".ci" / "venv", tmp_path / "venv"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    expected = "apt install python3.12-venv" if python == "without venv" else "no Python 3.11 or newer"
    assert expected in done.stderr
    assert not (tmp_path / "venv").exists()


def test_make_does_not_touch_a_folder_that_is_no_virtual_environment(tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    done = subprocess.run([ROOT / ".ci" / "venv", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert "is no virtual environment: move it away" in done.stderr
    assert (tmp_path / "thesis.txt").exists()
