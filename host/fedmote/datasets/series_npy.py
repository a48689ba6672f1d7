"""Series of different lengths in a pickled numpy dictionary, read without running what the pickle names."""

import codecs
import io
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib import format as npy

from fedmote.datasets.recording import Recording


@dataclass(frozen=True)
class SeriesNpy:
    """A .npy file that holds one dictionary.

    series, label, client: its keys for the list of arrays [readings, channels], the label numbers [S] and the
    client numbers [S]. client_name: format of a client's name by its number.
    """

    series: str
    label: str
    client: str
    client_name: str

    def read(self, content: bytes, rate_hz: float) -> list[Recording]:
        """Return one recording per client, by number. Raises ValueError for unfit or unsafe content."""
        table = _unpickle(content)
        try:
            series, labels, clients = table[self.series], np.asarray(table[self.label]), table[self.client]
        except (KeyError, TypeError) as error:
            raise ValueError(f"the file holds no dictionary with {error}") from None
        if not len(series) == len(labels) == len(clients):
            raise ValueError(f"{len(series)} series, {len(labels)} labels and {len(clients)} clients")
        return [
            Recording(
                self.client_name.format(client),
                labels[clients == client].astype(np.uint8),
                [np.asarray(series[n], np.float32) for n in np.flatnonzero(clients == client)],
                rate_hz,
            )
            for client in np.unique(clients)
        ]


def _unpickle(content: bytes) -> Any:
    """Return the one object of a .npy file whose array is a scalar of type object."""
    stream = io.BytesIO(content)
    if npy.read_magic(stream) != (1, 0):
        raise ValueError("not a .npy file of version 1.0")
    shape, _, kind = npy.read_array_header_1_0(stream)
    if shape != () or kind != np.dtype(object):
        raise ValueError(f"an array of {kind} {shape}, expected one pickled object")
    try:
        return _ArraysOnly(stream).load().item()
    except pickle.UnpicklingError as error:
        raise ValueError(str(error)) from None


def _bytes_of(text: str, encoding: str) -> bytes:
    """Stands for ``_codecs.encode``, with which protocol 2 writes bytes, and does nothing else of it."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in encoding {encoding!r}, only latin1 is admitted")
    return codecs.latin_1_encode(text)[0]


def _admitted() -> dict[tuple[str, str], Any]:
    # numpy 2 moved numpy.core to numpy._core; files name either.
    reconstruct = np.ndarray(0).__reduce__()[0]
    scalar = np.float64(0).__reduce__()[0]
    core = {("_reconstruct", reconstruct), ("scalar", scalar)}
    return {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _bytes_of,
        **{(f"numpy.{part}.multiarray", name): value for part in ("core", "_core") for name, value in core},
    }


class _ArraysOnly(pickle.Unpickler):
    """Admits what rebuilds numpy arrays and nothing else."""

    _ADMITTED = _admitted()

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the file wants {module}.{name}, which it has no need of") from None
