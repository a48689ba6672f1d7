"""Nested loops made fewer and longer before they run."""


def merged(counts, *steps):
    """Return (counts, steps...) of the same four loops, with those that continue each other made one.

    A loop continues the one around it where, for all ``steps``,
    it ends at the next start of it. The first ones become 1.
    """
    counts, steps = list(counts), [list(of) for of in steps]
    at = 3
    while at:
        if counts[at - 1] == 1 or all(of[at - 1] == of[at] * counts[at] for of in steps):
            counts[at] *= counts[at - 1]
            del counts[at - 1]
            counts.insert(0, 1)
            for of in steps:
                del of[at - 1]
                of.insert(0, 0)
            if not any(count > 1 for count in counts[:at]):
                break
        else:
            at -= 1
    return [counts] + steps
