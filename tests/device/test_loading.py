"""A model is used where it is: in a file, in ROMFS, in mapped memory; its weights are not copied twice."""

import os

import small_network
from raising import text_of

import mote
from mote import kernels
from mote.model import ModelError, mapped

_PATH = "test-loading.tmp"
_LAYERS = [12, 20, 5]


def _result(model):
    for k in range(len(model.input)):
        model.input[k] = k * 9 - 50
    model.invoke()
    return list(model.output)


def _file(data):
    with open(_PATH, "wb") as file:
        file.write(data)


def test_file_is_loaded_resident_and_streamed_with_the_same_result():
    _file(small_network.build(_LAYERS, 1))
    try:
        assert _result(mote.Model(_PATH)) == _result(mote.Model(_PATH, resident=False))
        label, probability = mote.Model(_PATH).classify([0.5] * 12)
        assert label.startswith("class") and 0 <= probability <= 1
    finally:
        os.remove(_PATH)


def test_damaged_file_is_refused_streamed_too():
    data = small_network.build(_LAYERS, 1)
    data[len(data) - 3] ^= 4
    _file(data)
    try:
        for resident in (True, False):
            assert "CRC" in text_of(ModelError, mote.Model, _PATH, None, resident)
    finally:
        os.remove(_PATH)


class _Short:
    """The plain kernel, short of memory for an op ``times`` times."""

    NAME = "short"
    WEIGHT_FORMS = (1,)

    def __init__(self, times, blocks):
        self.times = times
        self.BLOCKS = blocks
        self._plain = kernels.choose("plain")

    def dense(self, *arguments):
        self.times -= 1
        if self.times >= 0:
            raise MemoryError
        return self._plain.dense(*arguments)

    def softmax(self, *arguments):
        return self._plain.softmax(*arguments)


def test_weights_stay_in_the_file_where_there_is_no_room_for_an_op():
    _file(small_network.build(_LAYERS, 1))
    try:
        expected = _result(mote.Model(_PATH))
        for blocks in ("alike", "kept", "anew"):
            assert _result(mote.Model(_PATH, _Short(1, blocks))) == expected, blocks
        assert "bytes, more than there is" in text_of(ModelError, mote.Model, _PATH, _Short(1, "alike"), True)
        assert "even with its weights in the file" in text_of(
            ModelError, mote.Model, _PATH, _Short(9, "alike")
        )
    finally:
        os.remove(_PATH)


def test_blocks_of_weights_give_the_bytes_of_all_at_once():
    _file(small_network.build([12, 210, 40, 4], 1))
    try:
        expected = _result(mote.Model(_PATH))
        for blocks in ("alike", "kept", "anew"):
            model = mote.Model(_PATH, _Short(0, blocks), False)
            assert _result(model) == _result(model) == expected, blocks
    finally:
        os.remove(_PATH)


def test_profile_names_every_op():
    _file(small_network.build(_LAYERS, 1))
    try:
        assert [name for name, _ in mote.Model(_PATH).profile()] == ["dense", "dense", "softmax"]
    finally:
        os.remove(_PATH)


def test_model_in_mapped_memory_is_used_in_place():
    try:
        from uctypes import addressof
    except ImportError:
        return  # MicroPython only
    data = small_network.build(_LAYERS, 1)
    model = mapped(addressof(data))
    assert _result(model) == _result(mapped(addressof(data), "plain"))
    assert addressof(model.ops[0].tensors[1].data) == addressof(data) + model.ops[0].tensors[1].offset
    data[0] = 0
    assert "no .mote file" in text_of(ModelError, mapped, addressof(data))


def test_model_in_romfs_is_used_in_place():
    try:
        import vfs
        from uctypes import addressof

        rom = _romfs("m.mote", small_network.build(_LAYERS, 1))
        vfs.mount(vfs.VfsRom(rom), "/rom-test")
    except (ImportError, AttributeError):
        return  # an interpreter without ROMFS
    try:
        model = mote.Model("/rom-test/m.mote")
        weights = addressof(model.ops[0].tensors[1].data)
        assert addressof(rom) <= weights < addressof(rom) + len(rom)
        _file(small_network.build(_LAYERS, 1))
        assert _result(model) == _result(mote.Model(_PATH))
        os.remove(_PATH)
    finally:
        vfs.umount("/rom-test")


def _romfs(name, data):
    """Return a ROMFS image with one file, its data aligned to 4
    bytes (records of MicroPython's extmod/vfs_rom.c)."""
    for padding in range(4):
        pad = b"\1" + _number(padding) + bytes(padding)
        head = _number(len(name)) + name.encode() + pad + b"\2" + _number(len(data))
        body = b"\5" + _number(len(head) + len(data)) + head
        start = b"\xd2\xcd\x31" + _number(len(body) + len(data))
        if len(start + body) % 4 == 0:
            return start + body + bytes(data)
    raise AssertionError("no padding aligns the data")


def _number(value):
    out = bytes([value & 127])
    value >>= 7
    while value:
        out = bytes([128 | value & 127]) + out
        value >>= 7
    return out
