"""Numbers for people, in few characters: latencies, sizes, time spans."""


def short(milliseconds: float) -> str:
    """Return a latency in milliseconds in few characters: 0.03, 1.9, 210."""
    digits = 0 if milliseconds >= 100 else 1 if milliseconds >= 1 else 2
    return f"{milliseconds:.{digits}f}"


def size(count: int) -> str:
    """Return bytes as 0.9 kB, 131.1 kB, 2.3 MB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def duration(seconds: float) -> str:
    """Return a time span for people: 12 s, 3:04, 2:03:04, 5 days."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    if whole < 2 * 86400:
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 86400} days"
