"""TLS for the links: whom a board trusts, who it says that it is, and what went wrong. It opens no
connection."""

from binascii import a2b_base64

from .. import port

_BEGIN, _END = "-----BEGIN ", "-----END "
# What interpreters say -> what it means, the first that fits.
_MEANINGS = (
    ("not correctly signed", "is not signed by a CA that this board trusts: let CA name the file of its CA"),
    ("local issuer", "is not signed by a CA that this board trusts: let CA name the file of its CA"),
    ("self-signed", "is not signed by a CA that this board trusts: let CA name the file of its CA"),
    ("does not match", "is for another host than BROKER: name the broker as its certificate does"),
    ("mismatch", "is for another host than BROKER: name the broker as its certificate does"),
    ("not valid for", "is for another host than BROKER: name the broker as its certificate does"),
    ("expired", "has expired by this board's clock: renew it"),
    ("in the future", "is not valid yet by this board's clock: set the clock, or use an older certificate"),
    ("not yet valid", "is not valid yet by this board's clock: set the clock, or use an older certificate"),
    ("CERT_VERIFY_FAILED", "cannot be trusted: let CA name the file of its CA, BROKER a host that it is for"),
)


def context(ca=None, certificate=None, key=None):
    """Return what wraps a socket for a broker that must prove who it is.

    ca: path of a PEM file with the CAs to trust, None for the usual ones. certificate, key: paths of PEM
    files by which the board proves who it is, or None. Raises ValueError naming a file that is missing or
    holds nothing of the kind.
    """
    if (certificate is None) != (key is None):
        raise ValueError("CERT and KEY_FILE go together: set both or none")
    for path in (ca, certificate, key):
        if path is not None:
            _check(path)
    return port.tls_context(ca, certificate, key, _blocks)


def explain(text):
    """Return what an interpreter's error of TLS means, or the text itself where it is none that is known."""
    for said, meaning in _MEANINGS:
        if said in text:
            return "the broker's certificate " + meaning
    return text


def _blocks(path):
    """Yield what the blocks of a PEM file hold, as bytes (DER); for None the CAs of chumicro-sockets."""
    if path is None:
        from chumicro_sockets import _ca_bundle

        bundle, start = memoryview(_ca_bundle.read_der()), 0
        while start < len(bundle):
            end = start + 4 + (bundle[start + 2] << 8 | bundle[start + 3])  # each has 256 to 65,535 bytes
            yield bytes(bundle[start:end])
            start = end
        return
    block = None
    with open(path) as file:
        for line in file:
            if line.startswith(_BEGIN):
                block = []
            elif line.startswith(_END) and block is not None:
                yield a2b_base64("".join(block))
                block = None
            elif block is not None:
                block.append(line.strip())


def _check(path):
    try:
        for _ in _blocks(path):
            return
    except OSError:
        raise ValueError("%s is missing on this board: copy the file to it" % path)
    except ValueError:
        pass  # damaged
    raise ValueError("%s is no PEM file with a certificate or a key in it" % path)
