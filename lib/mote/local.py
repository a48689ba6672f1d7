"""What one board learns from what it alone has seen, its held-out check, and which model is live."""

from array import array

from .codec import Report
from .port import ticks_diff, ticks_ms


class Shuffle:
    """Fisher-Yates with xorshift32 (Marsaglia 2003): the same order on every interpreter."""

    def __init__(self, seed):
        self._state = seed & 0xFFFFFFFF or 1

    def __call__(self, order):
        state = self._state
        for i in range(len(order) - 1, 0, -1):
            state ^= state << 13 & 0xFFFFFFFF
            state ^= state >> 17
            state ^= state << 5 & 0xFFFFFFFF
            k = state % (i + 1)
            order[i], order[k] = order[k], order[i]
        self._state = state


class Local:
    """Evaluates and trains models that come from outside on this board's ring buffer.

    learner: train.Learner. normaliser, ring: of features.py. holdout: every holdout-th slot of the ring is
    never trained on. learns: False on a board that only evaluates, then on all its windows. minimum: windows
    before it takes part.
    """

    def __init__(self, learner, normaliser, ring, holdout=5, learns=True, minimum=16):
        self.learner, self.normaliser, self.ring = learner, normaliser, ring
        self.holdout, self.learns, self.minimum = holdout, learns, minimum
        count = len(learner.values)
        #: the global model that a round starts from, flat
        self.base = array("f", bytes(4 * count))
        self._live = array("f", bytes(4 * count))
        self._live_ranges = array("f", learner.ranges)
        self._reference = None
        self._rows = array("b", bytes(ring.capacity * len(learner.embedding.data)))
        #: True while the model holds weights that are not live: inference waits
        self.switching = False
        #: versions of the live model, and of the last one that was worse on the held-out windows (or None)
        self.version = self.refused = None
        self.report = None

    @property
    def ready(self):
        """Whether there are enough windows to take part."""
        return len(self.ring) >= self.minimum

    def work(self, version, train, epochs, batch, rate, decay, shuffle):
        """Check ``base`` on the held-out windows, then train from it if ``train``; yields between slices.

        At the end ``report`` (codec.Report) is set and ``learner.values`` are the trained weights. Without
        labels there is nothing to check on nor to learn from: ``base`` goes live and ``report`` is None.
        Raises ArithmeticError where training diverged; then the live model stays.
        """
        learner, labels = self.learner, self.ring.labels
        labelled, count = self.ring.labelled, len(self.ring)  # the first label empties the ring
        yield from self._prepare(count)
        if not labelled:
            yield from self._trust(version, count)
            return
        held, used = self._split()
        train = train and self.learns and len(used) > 0
        learner.use(self.base)
        yield from learner.calibrate(self._rows, held)
        ranges = list(learner.ranges)
        yield from self._evaluate(held)
        loss, accuracy = learner.loss, learner.accuracy
        if self._reference is None or not _worse(loss, self._reference):
            self._reference, self.version, self.refused = loss, version, None
            self._go_live(self.base)
        else:
            # What counts as worse is eased with each refusal, so that a board whose world has changed is not
            # left behind.
            self._reference *= 1.1
            self.refused = version
            self._restore()
        self.report = Report(version, 0, len(held), loss, accuracy, 0.0, ranges)
        if not train:
            return
        learner.values[:] = self.base
        training_loss = 0.0
        start = ticks_ms()
        for training_loss in learner.train(self._rows, labels, used, epochs, batch, rate, decay, shuffle):  # noqa: B007
            yield
        if not sum(value * 0.0 for value in learner.values) == 0.0:
            raise ArithmeticError("training diverged: rate %s is too high for these samples" % rate)
        self.report.samples, self.report.training_loss = len(used), training_loss
        self.report.train_ms = ticks_diff(ticks_ms(), start) / (max(1, epochs) * len(used))
        yield from learner.calibrate(self._rows, held)
        yield from self._evaluate(held)
        if _worse(learner.loss, loss):
            self._restore()
        else:
            self._go_live(learner.values)

    def abandon(self):
        """Make the live model the one in use again, after ``work`` was left half done."""
        if self.switching and self.version is not None:
            self._restore()
        self.switching = False

    def _trust(self, version, count):
        learner = self.learner
        learner.use(self.base)
        yield from learner.calibrate(self._rows, range(count))
        self.switching = True
        learner.quantise()
        self._go_live(self.base)
        self.version, self.refused, self.report = version, None, None

    def _prepare(self, count):
        """Normalise, quantise and embed the ``count`` windows of the ring as they are now."""
        learner = self.learner
        width = len(learner.embedding.data)
        rows = memoryview(self._rows)
        yield from self.normaliser.fit(self.ring)
        for number in range(count):
            self.normaliser.quantise_into(self.ring.row(number), learner.model.input)
            learner.embed(rows[number * width : (number + 1) * width])
            yield

    def _split(self):
        """Return the numbers of the held-out rows and of those to train on."""
        count = len(self.ring)
        if not self.learns:
            return list(range(count)), []
        held = [n for n in range(count) if n % self.holdout == self.holdout - 1]
        return held, [n for n in range(count) if n % self.holdout != self.holdout - 1]

    def _evaluate(self, rows):
        self.switching = True
        self.learner.quantise()
        yield from self.learner.evaluate(self._rows, self.ring.labels, rows)

    def _go_live(self, values):
        self._live[:] = values
        self._live_ranges[:] = self.learner.ranges
        self.switching = False

    def _restore(self):
        self.learner.use(self._live)
        self.learner.ranges[:] = self._live_ranges
        self.learner.quantise()
        self.switching = False


def _worse(loss, reference):
    """Tell whether a held-out loss is worse than another by more than chance on few windows; true for NaN."""
    return not loss <= 1.2 * reference + 0.05
