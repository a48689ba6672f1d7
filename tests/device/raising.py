"""One assertion for the device tests, which cannot use pytest."""


def text_of(error_type, function, *arguments):
    """Call the function, demand an error of this type, and return its text."""
    try:
        function(*arguments)
    except error_type as error:
        return str(error)
    raise AssertionError("%s was not raised" % error_type.__name__)
