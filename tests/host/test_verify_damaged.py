"""Damaged .mote files whose CRC-32 is right all the same are refused, or run within bounds: never worse.

The plain kernel stands for all: where it would read or write outside of a tensor, CPython raises IndexError.
1,000 files here, 100,000 where FEDMOTE_NIGHTLY is set (``make nightly``).
"""

import json
import os
import resource
import struct
import time
import zlib
from functools import cache
from pathlib import Path

import generated
import numpy as np
import pytest

from fedmote.models import tflite, verify
from fedmote.models.compiler import compile_network
from mote.model import Model, load

NIGHTLY = bool(os.environ.get("FEDMOTE_NIGHTLY"))
FILES = 100_000 if NIGHTLY else 1_000
#: what a file may need: seconds to load and run once
SECONDS = 5.0
_HEADER_BYTES = 64
#: networks with a larger arena are only loaded: plain Python takes long
_ARENA_BYTES = 16_384
_NUMBERS = (
    *(0, 1, 2, 3, 4, 31, 127, 128, 255, 256, 32767, 32768, 65535, 65536),
    *(1 << 24, 0x7FFFFFFF, 0x80000000, 0xFFFFFF00, 0xFFFFFFFF),
)


@cache
def sound() -> list[bytes]:
    """Return small files that hold every device op, in every weight form."""
    files = []
    for kernel in ("plain", "viper", "armv6m"):
        drawn = [generated.single_operator(seed) for seed in range(64)]
        drawn += [generated.graph(seed) for seed in range(16)] + [generated.stream(seed) for seed in range(6)]
        files += [compile_network(tflite.read(data), kernel, labels=()).mote for data in drawn]
    return [file for file in files if struct.unpack_from("<I", file, 16)[0] <= _ARENA_BYTES]


def damaged(random: np.random.Generator) -> bytearray:
    """Return a sound file with one to four changes, or cut; its lengths and CRC-32 are right."""
    files = sound()
    file = bytearray(files[int(random.integers(len(files)))])
    tables_end = struct.unpack_from("<I", file, 44)[0]  # the info text follows header, tensors and ops
    for _ in range(int(random.integers(1, 5))):
        end = tables_end if random.random() < 0.8 else len(file)
        at = int(random.integers(14, end))
        kind = int(random.integers(4))
        if kind == 0:
            file[at] = int(random.integers(256))
        elif kind == 1:
            file[at] ^= 1 << int(random.integers(8))
        elif kind == 2:
            at = min(at & ~3, len(file) - 4)
            struct.pack_into("<I", file, at, int(random.choice(_NUMBERS)))
        else:
            at = min(at & ~1, len(file) - 2)
            struct.pack_into("<H", file, at, int(random.choice(_NUMBERS)) & 0xFFFF)
    if random.random() < 0.05:
        del file[int(random.integers(_HEADER_BYTES, len(file))) :]
    return mended(file)


def mended(file: bytearray) -> bytearray:
    """Put the header's version, lengths and CRC-32 right."""
    struct.pack_into("<4sHHI", file, 0, b"MOTE", 1, _HEADER_BYTES, len(file))
    struct.pack_into("<I", file, 12, zlib.crc32(file[16:]))
    return file


def outcome(file: bytearray) -> str:
    """Load and run a file; an error of any other kind than ValueError passes."""
    try:
        model = Model(file, "plain")
    except ValueError:
        return "refused"
    if len(model.arena) > _ARENA_BYTES:
        return "loaded"
    model.input[:] = memoryview(bytes(len(model.input))).cast("b")
    model.invoke()
    model.probabilities()
    return "run"


@pytest.mark.timeout(7200 if NIGHTLY else 120)
def test_damaged_files_are_refused_or_run_within_their_bounds() -> None:
    random = np.random.default_rng(1)
    outcomes = {"refused": 0, "loaded": 0, "run": 0}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(FILES):
        file = damaged(random)
        start = time.perf_counter()
        try:
            outcomes[outcome(file)] += 1
        except Exception as error:
            raise AssertionError(f"file {number}: {error!r}") from error
        assert time.perf_counter() - start < SECONDS, f"file {number} takes too long"
    assert outcomes["refused"] > FILES // 10 and outcomes["run"] > FILES // 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


@pytest.mark.timeout(1800 if NIGHTLY else 120)
def test_damaged_files_whose_weights_are_streamed(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    path = tmp_path / "damaged.mote"
    for number in range(min(FILES // 10, 1_000)):  # each collects garbage for every op
        path.write_bytes(damaged(random))
        try:
            model = load(str(path), "plain", resident=False)
            if len(model.arena) <= _ARENA_BYTES:
                model.invoke()
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"file {number}: {error!r}") from error


@pytest.mark.timeout(1800 if NIGHTLY else 120)
@pytest.mark.parametrize("kernel", ["viper", "plain"])
def test_damaged_files_do_not_crash_micropython(kernel: str, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    job = {"kernel": kernel, "resident": True, "count": 0, "first": 0, "watch": [], "repeats": 1}
    jobs = []
    while len(jobs) < FILES // 10:
        file = damaged(random)
        try:  # most files are refused: those are no news
            model = Model(file, "plain")
        except ValueError:
            continue
        if len(model.arena) <= _ARENA_BYTES and (model.form or kernel == "plain"):
            (tmp_path / f"{len(jobs)}.mote").write_bytes(file)
            jobs.append({**job, "model": f"{len(jobs)}.mote"})
    answers = verify.on_micropython(tmp_path, jobs, 1 << 20, 1800)
    assert [answer["error"] for answer in answers if "error" in answer] == []


def test_any_single_flipped_bit_is_refused_by_the_crc() -> None:
    random = np.random.default_rng(3)
    for file in sound()[::8]:
        for at in random.integers(0, len(file), 40):
            flipped = bytearray(file)
            flipped[at] ^= 1 << int(random.integers(8))
            with pytest.raises(ValueError, match=r"CRC|\.mote|version|bytes"):
                Model(flipped, "plain")


@pytest.mark.parametrize("text", ["[" * 4000, '{"labels":' + "[" * 3000, '{"labels": 1}', "\0", '"\\ud800"'])
def test_strange_info_text_is_refused(text: str) -> None:
    file = bytearray(sound()[0])
    struct.pack_into("<II", file, 44, len(file), len(text))
    with pytest.raises(ValueError, match="info text"):
        Model(mended(file + text.encode()), "plain")


def test_labels_are_kept_as_they_are() -> None:
    file, text = bytearray(sound()[0]), json.dumps({"labels": ["ä", "b"], "features": {}})
    struct.pack_into("<II", file, 44, len(file), len(text))
    assert Model(mended(file + text.encode()), "plain").labels == ["ä", "b"]
