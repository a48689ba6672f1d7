"""Large letters for a terminal: three lines of half blocks, readable from across a room."""

_UNKNOWN = "71202"
# Five rows of three dots from top to bottom, each row an octal digit.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_./:+%()'"
_DOTS = """
25755 65656 34443 65556 74647 74644 34553 55755 72227 11152 55655 44447 57755
65555 25552 65644 25563 65655 34216 72222 55557 55552 55775 55255 55222 71247
75557 26227 71747 71317 55711 74717 74757 71222 75757 75717
00000 00700 00007 00002 11244 02020 02720 51245 12221 42224 22000
"""
_GLYPHS = dict(zip(_LETTERS, _DOTS.split(), strict=True))
_HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


def large(text: str) -> list[str]:
    """Return three lines that spell ``text`` in capitals, four columns a letter."""
    glyphs = [_GLYPHS.get(letter, _UNKNOWN) for letter in text.upper()]
    rows = ["".join(f"{int(glyph[row]):03b}0" for glyph in glyphs) for row in range(5)]
    rows.append("0" * len(rows[0]))
    return [
        "".join(_HALVES[int(upper), int(lower)] for upper, lower in zip(rows[n], rows[n + 1], strict=True))
        for n in (0, 2, 4)
    ]
