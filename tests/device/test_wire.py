"""Chunks and tags: what is damaged or not authentic does not get through."""

from raising import text_of

from mote import wire


def _message(piece, index=0, total=None, counter=9):
    message = bytearray(wire.HEADER_BYTES + len(piece))
    message[wire.HEADER_BYTES :] = piece
    wire.write_header(
        message, len(piece), wire.UPDATE, 5, counter, index, len(piece) if total is None else total
    )
    return message


def test_chunk_comes_back_as_it_was_written():
    chunk = wire.Chunk(_message(b"hello", 1, 1005))
    assert (chunk.kind, chunk.number, chunk.counter, chunk.index, chunk.count, chunk.total) == (
        2,
        5,
        9,
        1,
        2,
        1005,
    )
    assert bytes(chunk.piece) == b"hello"


def test_every_damaged_byte_is_noticed():
    good = _message(b"some piece of a body")
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 1
        assert text_of(wire.WireError, wire.Chunk, bad) in ("crc", "malformed", "protocol")


def test_pieces_of_wrong_length_or_index_are_refused():
    for message in (
        b"",
        _message(b""),
        _message(b"x", 0, 2),  # the piece is shorter than the body
        _message(b"x", 1, 1),  # beyond the last one
        _message(bytes(wire.PIECE_BYTES + 1)),
    ):
        assert text_of(wire.WireError, wire.Chunk, message) == "malformed"


def test_tag_is_hmac_sha256_of_the_context_and_the_body():
    # computed with another implementation: hmac.new(key, context + body, "sha256")
    tag = wire.Tag(bytes(range(32)), "ward", "0011aabb", "board-1", wire.UPDATE, 3, 7)
    tag.update(b"first")
    tag.update(b"second")
    text = "".join("%02x" % byte for byte in tag.digest())
    assert text == "40a2ef95f71008c485d6fdd5520970b4c3f335511c99bffa592e5e69e2faa7e1"


def test_tag_depends_on_every_part_of_its_context():
    def digest(key=bytes(32), federation="a", run="r", device="d", kind=2, number=1, counter=1):
        tag = wire.Tag(key, federation, run, device, kind, number, counter)
        tag.update(b"body")
        return tag.digest()

    base = digest()
    for other in (
        digest(key=b"\1" + bytes(31)),
        digest(federation="b"),
        digest(run="s"),
        digest(device="e"),
        digest(kind=3),
        digest(number=2),
        digest(counter=2),
        digest(federation="a\0r", run=""),
    ):
        assert not wire.same_tag(base, other)
    assert wire.same_tag(base, digest())


def test_seal_is_hmac_sha256_of_the_purpose_the_device_and_the_json_before_it():
    # computed with another implementation: hmac.new(key, context + json, "sha256")
    sealed = wire.seal(
        bytes(range(32)), wire.RECEIPT_SEAL, "ward", "board-1", b'{"receipt":4,"result":"accepted"}'
    )
    digits = b"1099ad7ef1a1119004c3e1059b2e435804d78f01515f2048eb7df9b3c656ee38"
    assert sealed == b'{"receipt":4,"result":"accepted","tag":"' + digits + b'"}'
    for payload in (sealed, memoryview(sealed), bytearray(sealed)):
        assert wire.is_sealed(bytes(range(32)), wire.RECEIPT_SEAL, "ward", "board-1", payload)


def test_what_is_not_sealed_as_it_must_be_is_noticed():
    sealed = wire.seal(bytes(32), wire.MANIFEST_SEAL, "ward", "board-1", b'{"round":4}')
    for payload in (b"", b"{}", b'{"round":4}', sealed[1:], sealed + b" ", sealed[:-2] + b'1"}'):
        assert not wire.is_sealed(bytes(32), wire.MANIFEST_SEAL, "ward", "board-1", payload)


def test_message_of_another_version_says_so():
    message = _message(b"hello")
    message[2] = 1
    assert text_of(wire.WireError, wire.Chunk, message) == "protocol"


def test_names_are_short_and_plain():
    assert wire.valid_name("board-01_x")
    for name in ("", "Board", "a" * 33, "a/b", "a+b", "ä", None):
        assert not wire.valid_name(name)
