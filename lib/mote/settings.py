"""Reads settings.toml, flat TOML as CircuitPython boards use it: KEY = "text", number, true or false."""

_WORDS = {"true": True, "false": False}


def read(path):
    """Return the settings as a dict. Raises OSError for a missing file, ValueError naming the line of a
    mistake."""
    settings = {}
    with open(path) as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            key, equals, text = line.partition("=")
            try:
                if not equals:
                    raise ValueError("no = sign")
                settings[key.strip()] = _value(text.strip())
            except ValueError as error:  # the line itself is not shown: it may be the key's
                name = key.strip() + ": " if equals else ""
                raise ValueError("%s, line %d: %s%s" % (path, number, name, error)) from None
    return settings


def _value(text):
    if text.startswith('"'):
        end = text.find('"', 1)
        if end < 0 or "\\" in text or text[end + 1 :].split("#")[0].strip():
            raise ValueError("text must stand in one pair of double quotes, without backslashes")
        return text[1:end]
    text = text.split("#")[0].strip()
    if text in _WORDS:
        return _WORDS[text]
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ValueError("neither text in quotes, nor a number, nor true or false") from None
