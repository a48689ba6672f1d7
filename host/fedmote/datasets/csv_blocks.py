"""Tables of numbers in which a client's rows stand one after the other, the label in the last column."""

from dataclasses import dataclass

import numpy as np

from fedmote.datasets.recording import Recording


@dataclass(frozen=True)
class CsvBlocks:
    """Comma-separated rows; each is a series of one reading.

    starts: number of the first row of each client, ascending from 0. client_name: format of a client's name
    by its number, from 1 on.
    """

    starts: tuple[int, ...]
    client_name: str

    def read(self, content: bytes, rate_hz: float) -> list[Recording]:
        """Return one recording per client, ordered by row. Raises ValueError for unfit content or starts."""
        table = np.loadtxt(content.decode("ascii").splitlines(), delimiter=",", dtype=np.float32, ndmin=2)
        ends = [*self.starts[1:], len(table)]
        if (
            not self.starts
            or self.starts[0] != 0
            or any(a >= b for a, b in zip(self.starts, ends, strict=True))
        ):
            raise ValueError(f"starts {list(self.starts)} do not ascend from 0 within {len(table)} rows")
        return [
            Recording(
                self.client_name.format(number),
                table[start:end, -1].astype(np.uint8),
                list(table[start:end, None, :-1]),
                rate_hz,
            )
            for number, (start, end) in enumerate(zip(self.starts, ends, strict=True), 1)
        ]
