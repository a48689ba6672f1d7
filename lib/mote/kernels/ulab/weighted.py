"""Pixels of an image times weights, in blocks of ``sums.Block``: what dense layers and convolutions share."""

from ulab import numpy as np

from .sums import Block, Sums, block_for, most_outputs, share


def weighted(fill, pixels, w, piece, scaled, y_rows, parted, keep):
    """Return run() that computes y_rows[pixel, n] = scaled(sum of pixel's numbers * w[n]).

    w: int8 [N, K]. piece: of ``piece_of``. y_rows: int8 [pixels, N]. fill(tile, tile_bytes, first, column):
    writes the numbers from ``column`` on of the pixels from ``first`` on, as many of both as tile has, int16;
    column is 0 unless ``parted``. keep: buffers.
    """
    outputs, columns = w.shape
    limit = block_for(pixels * outputs * columns)
    if pixels > 1 and (pixels >= outputs or 2 * pixels * columns >= limit):
        return _many_pixels(fill, pixels, w, piece, scaled, y_rows, limit, keep)
    return _few_pixels(fill, pixels, w, piece, scaled, y_rows, limit, limit if parted else columns, keep)


def _many_pixels(fill, pixels, w, piece, scaled, y_rows, limit, keep):
    """A block holds pixels, and is multiplied by the weights of one output after the other."""
    outputs, columns = w.shape
    block = Block(share(pixels, limit // columns), columns, piece)
    rows, width = block.rows, block.sums
    group = share(outputs, most_outputs() // width)
    sums = Sums(group * rows, columns // piece)
    y_outputs = y_rows.transpose()

    def total_of(place):
        return sums.total(place[0] * rows + place[1])

    def run(keep=keep):
        tile, tile_bytes, multiplied, forget = block.views()
        shape = group, rows
        # made once: each view of an array is an object
        high_rows, low_rows = [list(numbers.reshape((group, width))) for numbers in sums.views(shape, width)]
        write = scaled.writer(shape, True)
        for start in range(0, pixels, rows):
            start = min(start, pixels - rows)  # the last block overlaps the one before it, and so do groups
            fill(tile, tile_bytes, start, 0)
            target = y_outputs[:, start : start + rows]
            for first in range(0, outputs, group):
                first = min(first, outputs - group)
                sums.clear()
                forget()
                for of_output, of_high, of_low in zip(w[first : first + group], high_rows, low_rows):
                    now, found = multiplied(of_output)
                    of_low += found
                    of_high += now
                value, of_value = sums.values()
                write(value, total_of, target[first : first + group], first, of_value)

    return run


def _few_pixels(fill, pixels, w, piece, scaled, y_rows, limit, most_columns, keep):
    """A block holds one pixel again and again, and is multiplied by the weights of many outputs at once."""
    outputs, columns = w.shape
    # a row that is longer than a block is made in parts of equal size
    of_part = columns // piece
    while of_part * piece > max(most_columns, piece) or columns // piece % of_part:
        of_part -= 1
    width = of_part * piece
    parts = columns // width
    group = min(outputs, max(1, most_outputs() // (of_part * parts)))
    block = Block(share(group, limit // width), width, piece)
    rows = block.rows
    sums = Sums(group * parts, of_part)
    zeros = np.zeros(block.sums, dtype=np.int16)

    def total_of(n):
        return sum(sums.total(part * group + n) for part in range(parts))

    def run(keep=keep):
        tile, tile_bytes, multiplied, forget = block.views()
        high, low = sums.views((group * parts,))
        write = scaled.writer((group,))
        for pixel in range(pixels):
            y_row = y_rows[pixel]
            for first in range(0, outputs, group):
                first = min(first, outputs - group)
                sums.clear()
                forget()
                before = zeros
                for part in range(parts):
                    if first == 0 or parts > 1:
                        fill(tile[:1], tile_bytes[: 2 * width], pixel, part * width)
                        _repeat(tile_bytes, 2 * width)
                    at = part * group
                    for start in range(0, group, rows):
                        start = min(start, group - rows)
                        of_block = w[first + start : first + start + rows, part * width : (part + 1) * width]
                        now, found = multiplied(of_block)
                        here, end = (at + start) * of_part, (at + start + rows) * of_part
                        low[here:end] = found
                        high[here:end] = now - before
                        before = now
                value, of_value = sums.values()
                if parts > 1:
                    value, of_value = np.sum(value.reshape((parts, group)), axis=0), None
                write(value, total_of, y_row[first : first + group], first, of_value)

    return run


def _repeat(view, size):
    """Copy the first ``size`` bytes of a view to the rest of it."""
    while size < len(view):
        count = min(size, len(view) - size)
        view[size : size + count] = view[:count]
        size += count
