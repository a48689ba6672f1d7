"""A board learns from its own windows, in float32, and its int8 model follows."""

import learning
import small_network
from raising import text_of

from mote.local import Shuffle
from mote.model import Model, ModelError
from mote.train import Learner


def _work(local, version=1, train=True, epochs=20, rate=0.2):
    return local.work(version, train, epochs, 4, rate, 0.0, Shuffle(7))


def test_training_lowers_the_loss_and_the_int8_model_classifies_held_out_windows():
    for form in (0, 1):
        local = learning.local(form)
        learning.start_values(local)
        learning.drain(_work(local))
        report = local.report
        assert report.samples == 48 and report.evaluated == 12
        assert report.training_loss < 0.2 < report.loss
        learning.drain(_work(local, 2, train=False))  # base is untouched: the same evaluation again
        assert local.report.loss == report.loss and local.report.samples == 0
        local.base[:] = local.learner.values
        learning.drain(_work(local, 3, train=False))
        assert local.report.accuracy == 1.0 and local.report.loss < 0.3


def test_gradient_is_that_of_the_loss():
    local = learning.local()
    learning.start_values(local)
    learning.drain(local._prepare(len(local.ring)))
    learner, labels = local.learner, local.ring.labels
    learner.use(local.base)
    learner._backward(local._rows, labels, 3)
    slopes = list(learner.slopes)
    for k in range(0, len(slopes), 7):
        keep = local.base[k]
        losses = []
        for step in (0.001, -0.001):
            local.base[k] = keep + step
            for n in range(len(slopes)):
                learner.slopes[n] = 0.0
            losses.append(learner._backward(local._rows, labels, 3))
        local.base[k] = keep
        assert abs((losses[0] - losses[1]) / 0.002 - slopes[k]) < 2e-3


def test_same_seed_gives_the_same_weights():
    results = []
    for _ in range(2):
        local = learning.local()
        learning.start_values(local)
        learning.drain(_work(local, epochs=2))
        results.append(list(local.learner.values))
    assert results[0] == results[1]


def test_training_given_up_leaves_nothing_behind():
    results = []
    for given_up in (0, 3):
        local = learning.local()
        learning.start_values(local)
        work = _work(local, epochs=1)
        while given_up and local.report is None:
            next(work)
        for _ in range(given_up):  # in the middle of a mini-batch
            next(work)
        local.abandon()
        learning.drain(_work(local, epochs=2))
        results.append(list(local.learner.values))
    assert results[0] == results[1]


def test_backbone_stays_as_it_is():
    local = learning.local(frozen=1)
    model = local.learner.model
    frozen = [bytes(tensor.data) for tensor in model.ops[0].tensors[1:5]]
    learning.start_values(local)
    learning.drain(_work(local, epochs=2))
    assert local.report.samples == 48
    assert frozen == [bytes(tensor.data) for tensor in model.ops[0].tensors[1:5]]


def test_worse_global_model_is_reported_and_does_not_go_live():
    local = learning.local()
    learning.start_values(local)
    learning.drain(_work(local))
    good = list(local.learner.values)
    local.base[:] = local.learner.values
    learning.drain(_work(local, 2, train=False))
    local.normaliser.quantise_into(local.ring.row(0), local.learner.model.input)
    local.learner.model.invoke()
    before = list(local.learner.model.output)
    for k in range(len(good) - 82, len(good)):  # the last layer: every decision turned round
        local.base[k] = -good[k]
    learning.drain(_work(local, 3, train=False))
    assert local.refused == 3 and local.version == 2 and not local.switching
    local.normaliser.quantise_into(local.ring.row(0), local.learner.model.input)
    local.learner.model.invoke()
    assert list(local.learner.model.output) == before


def test_board_that_only_evaluates_uses_all_its_windows_and_trains_on_none():
    local = learning.local(learns=False)
    learning.start_values(local)
    learning.drain(_work(local))
    assert local.report.evaluated == 60 and local.report.samples == 0


def test_diverged_training_is_an_error_and_the_global_model_stays_live():
    local = learning.local()
    learning.start_values(local)
    assert "diverged" in text_of(ArithmeticError, learning.drain, _work(local, rate=1e30))
    assert local.version == 1 and not local.switching


def test_work_given_up_half_way_leaves_the_live_model():
    local = learning.local()
    learning.start_values(local)
    learning.drain(_work(local, 1, train=False))
    model = local.learner.model
    live = bytes(model.buffer)
    local.base[0] += 3.0
    work = _work(local, 2, train=False)
    while not local.switching:
        next(work)
    assert bytes(model.buffer) != live
    local.abandon()
    assert bytes(model.buffer) == live


def test_model_without_trainable_layers_is_refused():
    text_of(ModelError, Learner, Model(small_network.build([4, 3, 2], frozen=2)))
