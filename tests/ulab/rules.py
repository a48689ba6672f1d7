"""What the kernel relies on, said of ulab itself: true of every ulab that boards have, and of the stand-in.

Run by tests/host/test_ulab_kernel.py, and on an interpreter with ulab by
`MICROPYPATH=lib:tests/ulab:.frozen micropython tests/device/run.py rules.py`.
"""

from array import array

from raising import text_of
from ulab import numpy as np
from ulab.utils import from_int16_buffer, from_int32_buffer


def _int8(values):
    return np.frombuffer(array("b", values), dtype=np.int8)


def test_a_view_of_a_buffer_writes_into_it():
    numbers = array("f", [1.0, 2.0, 3.0])
    view = np.frombuffer(memoryview(numbers)[1:], dtype=np.float)
    view *= 2.0
    assert list(numbers) == [1.0, 4.0, 6.0]
    view[:] = 0.0
    assert list(numbers) == [1.0, 0.0, 0.0]
    text_of(ValueError, lambda: np.frombuffer(bytes(3), dtype=np.float))


def test_slices_and_reshaped_arrays_are_views():
    numbers = array("f", range(6))
    matrix = np.frombuffer(numbers, dtype=np.float).reshape((2, 3))
    row = matrix[1]
    row += np.array([0.5])
    assert list(numbers) == [0.0, 1.0, 2.0, 3.5, 4.5, 5.5]
    assert matrix.shape == (2, 3) and matrix[:, 1:].shape == (2, 2)
    text_of(ValueError, lambda: matrix.reshape((4, 2)))
    text_of(TypeError, lambda: np.zeros((2, 2, 2)))


def test_dot_adds_int8_products_as_floats():
    matrix = _int8([-128] * 4 + [127] * 4).reshape((2, 4))
    vector = _int8([-128, -128, -128, 127])
    assert np.dot(matrix, vector).tolist() == [32896.0, -32639.0]
    assert np.dot(matrix[:, 2:], vector[2:]).tolist() == [128.0, -127.0]
    assert np.dot(np.array([1.0, 2.0]), matrix).tolist() == [126.0] * 4
    assert np.dot(vector, vector) == 65281.0
    assert np.dot(vector < 0, vector) == -384.0
    text_of(ValueError, lambda: np.dot(matrix, matrix))


def test_dot_is_exact_up_to_2_to_the_24():
    total = np.dot(_int8([-128] * 1024).reshape((1, 1024)), _int8([-128] * 1024))
    assert (total - 16777216.0)[0] == 0.0
    total = np.dot(_int8([-128] * 1023 + [-127]).reshape((1, 1024)), _int8([-128] * 1023 + [-127]))
    total -= 16777216.0
    assert total[0] == -255.0


def test_numbers_become_floats_without_loss():
    total = np.array([8388607, -8388607, 4194303])
    total -= np.array([8388606, -8388606, 4194302])
    assert total.tolist() == [1.0, -1.0, 1.0]


def test_floats_are_rounded_into_int8():
    numbers = array("b", bytes(4))
    view = np.frombuffer(numbers, dtype=np.int8)
    view[:] = np.array([1.5, -2.5, -128.0, 127.0])
    assert list(numbers) == [2, -3, -128, 127]


def test_int8_arithmetic_wraps():
    assert (_int8([100, -100]) * _int8([3, 3])).tolist() == [44, -44]
    assert (_int8([100, -100]) * 255).tolist() == [25500, -25500]


def test_clip_floor_and_comparisons():
    numbers = np.array([-1.5, 300.0, 7.0])
    assert np.floor(numbers).tolist() == [-2.0, 300.0, 7.0]
    assert np.clip(numbers, -1, 127).tolist() == [-1.0, 127.0, 7.0]
    numbers -= numbers < 0.0
    assert numbers.tolist() == [-2.5, 300.0, 7.0]
    assert (_int8([-128, 0, 127]) > 0).tolist() == [False, False, True]


def test_transposed_and_stepped_arrays_are_views_that_dot_takes():
    numbers = array("b", range(12))
    matrix = np.frombuffer(numbers, dtype=np.int8).reshape((4, 3))
    turned = matrix.transpose()
    assert turned.shape == (3, 4) and np.dot(matrix[1:4:2], turned).tolist()[0] == [14.0, 50.0, 86.0, 122.0]
    assert np.dot(np.ones(2, dtype=np.int8), matrix[:2]).tolist() == [3.0, 5.0, 7.0]
    matrix[0:4:3] = _int8([-1, -2, -3]).reshape((1, 3))
    matrix[1:2, 1:] = -9
    assert list(numbers) == [-1, -2, -3, 3, -9, -9, 6, 7, 8, -1, -2, -3]


def test_int8_times_int16_is_int16_and_adds_up_in_place():
    weights = np.array(_int8([127, -128]), dtype=np.int16)
    total = _int8([-128, -128, 127, 127]).reshape((2, 2)) * weights
    assert total.tolist() == [[-16256, 16384], [16129, -16256]]
    total += _int8([-128, -128, 127, 127]).reshape((2, 2)) * np.array([127, 127], dtype=np.int16)
    assert total.tolist() == [[-32512, 128], [32258, -127]]
    total += _int8([-128, 127])
    assert total.tolist() == [[-32640, 255], [32130, 0]]
    assert (total + np.array([0.5, 0.25])).tolist() == [[-32639.5, 255.25], [32130.5, 0.25]]
    assert (np.maximum(weights, weights * -1).tolist(), np.max(weights)) == ([127, 128], 127)


def test_int16_products_are_made_in_place_and_their_sums_wrap():
    product = np.array([[-128, 127], [5, 300]], dtype=np.int16)
    product *= _int8([-128, -1])
    assert product.tolist() == [[16384, -127], [-640, -300]]
    product += _int8([1, 2, 3, 4, 5, 6, 7, 8])[1::2].reshape((2, 2))
    assert product.tolist() == [[16386, -123], [-634, -292]]
    product += product
    product -= np.array([[0], [1000]], dtype=np.int16)
    assert product.tolist() == [[-32764, -246], [-2268, -1584]]
    assert np.sum(product, axis=1).tolist() == [32526, -3852]
    assert np.sum(product[:, :1], axis=0).tolist() == [30504]


def test_memory_of_an_array_is_read_as_other_numbers():
    numbers = np.array([258, -1, -256], dtype=np.int16)
    of_bytes = np.frombuffer(numbers, dtype=np.int8)
    assert of_bytes[::2].tolist() == [2, -1, 0] and of_bytes[1::2].tolist() == [1, -1, -1]
    assert bytes(numbers.tobytes()) == b"\x02\x01\xff\xff\x00\xff"
    limits = [np.array([limit], dtype=np.int16) for limit in (-5, 127)]
    clipped = np.clip(np.array([[300, 0, -9, 0], [1, 0, -1, 0]], dtype=np.int16)[:, ::2], *limits)
    assert np.frombuffer(clipped, dtype=np.int8)[::2].tolist() == [127, -5, 1, -1]


def test_buffers_of_integers_become_floats():
    assert from_int32_buffer(array("i", [1 << 20, -3])).tolist() == [1048576.0, -3.0]
    target = np.zeros(3)
    from_int16_buffer(np.array([-32768, 0, 32767], dtype=np.int16), out=target)
    assert target.tolist() == [-32768.0, 0.0, 32767.0]


def test_whole_numbers_are_the_lower_bits_of_floats_without_a_fraction():
    numbers = array("f", [2.5, -2.5, 126.75, -300.25, -0.75])
    values = np.frombuffer(numbers, dtype=np.float)
    values += 12582912.0
    assert np.frombuffer(numbers, dtype=np.int16)[::2].tolist() == [2, -2, 127, -300, -1]
    values -= 12582912.0
    assert values.tolist() == [2.0, -2.0, 127.0, -300.0, -1.0]


def test_arrays_of_one_column_or_one_row_are_spread():
    numbers = np.array([[1.0, 2.0], [3.0, 4.0]])
    numbers += np.array([[10.0], [20.0]])
    numbers -= (numbers < 12.0) * np.array([1.0, 5.0])
    assert numbers.tolist() == [[10.0, 12.0], [23.0, 24.0]]
    found = np.nonzero(numbers < 20.0)
    assert [list(axis) for axis in found] == [[0, 0], [0, 1]]
    assert np.any(numbers < 11.0) and not np.any(numbers < 0.0)
    assert np.maximum(_int8([-128, 5]), _int8([-5, 127])).tolist() == [-5, 127]


def test_what_ulab_lacks_is_missing():
    for name in ("int32", "float32", "matmul", "einsum", "abs"):
        assert not hasattr(np, name)
    assert not hasattr(np.array([1.0]), "astype")
