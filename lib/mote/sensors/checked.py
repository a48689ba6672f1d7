"""Reads the settings of sensors and checks them, so that a mistake is told by its key. It opens nothing."""

SLOWEST_HZ = 0.01


def number(settings, key, default, lowest, highest):
    """Return a number of the settings. Raises ValueError where it is missing (default None) or out of
    range."""
    value = settings.get(key, default)
    if value is None:
        raise ValueError("SENSOR = %r needs %s" % (settings.get("SENSOR"), key))
    if isinstance(value, (str, bool)) or not lowest <= value <= highest:
        raise ValueError("%s = %r must be a number from %s to %s" % (key, value, lowest, highest))
    return value


def rate(settings, default, highest):
    """Return ``RATE_HZ``, readings a second."""
    return number(settings, "RATE_HZ", default, SLOWEST_HZ, highest)


def choice(settings, key, default, choices):
    """Return a value of the settings that must be one of ``choices``. Raises ValueError for another one."""
    value = settings.get(key, default)
    if value not in choices:
        raise ValueError("%s = %r is not one of: %s" % (key, value, ", ".join(str(one) for one in choices)))
    return value


def nearest(settings, default, rates):
    """Return the rate of ``rates`` that is closest to ``RATE_HZ``; raises ValueError where none is within
    10 %."""
    wanted = rate(settings, default, max(rates) * 1.1)
    best = min(rates, key=lambda one: abs(one - wanted))
    if abs(best - wanted) > 0.1 * wanted:
        raise ValueError(
            "RATE_HZ = %s: SENSOR = %r keeps its own time, at %s Hz"
            % (wanted, settings.get("SENSOR"), ", ".join(str(one) for one in sorted(rates)))
        )
    return best


def pin(settings, key):
    """Return a pin: its number, or its name on this board as a text. Raises ValueError where it is
    missing."""
    value = settings.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        raise ValueError("SENSOR = %r needs %s, a pin" % (settings.get("SENSOR"), key))
    return value


def pins(settings, key):
    """Return one or several pins, in the settings a number, a name or a text such as "26, 27"."""
    found = [part.strip() for part in str(pin(settings, key)).split(",")]
    if "" in found:
        raise ValueError("%s = %r: a pin is missing" % (key, settings[key]))
    return [int(part) if part.isdigit() else part for part in found]


def address(settings, name, addresses, found, where):
    """Return where on a bus the chip ``name`` is: at ``SENSOR_ADDRESS``, else at the first of its
    ``addresses`` that is among those ``found``. where: the bus, for the OSError that is raised where none
    answers."""
    if "SENSOR_ADDRESS" in settings:
        addresses = (number(settings, "SENSOR_ADDRESS", None, 0x08, 0x77),)
    for one in addresses:
        if one in found:
            return one
    raise OSError(
        "no %s answers at %s on %s, %s: check wiring, power and pins"
        % (
            name,
            " or ".join("0x%02x" % one for one in addresses),
            where,
            "where " + ", ".join("0x%02x" % one for one in found) + " does"
            if found
            else "nor does anything else",
        )
    )
