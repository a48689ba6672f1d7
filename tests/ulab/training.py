"""A board whose kernel is ulab learns as one in plain Python does. See rules.py for how this runs."""

import learning

from mote.local import Shuffle


def test_training_ends_at_the_same_values_and_the_same_predictions():
    boards = [learning.local(kernel=kernel) for kernel in ("plain", "ulab")]
    for board in boards:
        learning.start_values(board)
        learning.drain(board.work(1, True, 5, 4, 0.2, 0.001, Shuffle(7)))
    plain, ulab = boards
    for a, b in zip(plain.learner.values, ulab.learner.values):
        assert abs(a - b) < 1e-3
    assert ulab.report.training_loss < ulab.report.loss
    # the same int8 network for both: the ranges that each measured differ in the last bits
    ulab.learner.model.buffer[:] = plain.learner.model.buffer
    ulab.learner.model.prepare()
    for number in range(20):
        outputs = []
        for board in boards:
            model = board.learner.model
            board.normaliser.quantise_into(board.ring.row(number), model.input)
            model.invoke()
            outputs.append(list(model.output))
        assert outputs[0] == outputs[1]
