"""Nested loops made fewer and longer before they run."""


def merged(*loops):
    """Return four loops (count, step, ...), outermost first, that make the same steps in the same order.

    A loop becomes one with the loop around it where all steps go on from each
    end to the next start. The missing ones count to 1.
    """
    found = []
    for count, *steps in reversed(loops):
        if count == 1:
            continue
        if found and all(step == last * found[-1][0] for step, last in zip(steps, found[-1][1:])):
            found[-1][0] *= count
        else:
            found.append([count] + steps)
    while len(found) < 4:
        found.append([1] + [0] * (len(loops[0]) - 1))
    return found[::-1]
