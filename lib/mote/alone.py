"""A board that belongs to no federation: it infers with the model it was given, and learns nothing."""


class Alone:
    """Stands where member.Member would. Fits the normaliser to what the sensor brings, again after every
    ``minimum`` windows.

    local: local.Local, for its ring and its normaliser.
    """

    state = "alone"
    hurried = False
    restart_wanted = False
    sleep_s = 0

    def __init__(self, local):
        self._local = local
        self._fit = None
        self._fitted_at = 0
        #: whether inputs can be normalised, so that inference means something
        self.ready = False

    def poll(self, now):
        """There is nothing to move."""

    def step(self, now):
        """Do one slice of fitting. Return True while there is more to do at once."""
        local = self._local
        if self._fit is None:
            if local.ring.added - self._fitted_at < local.minimum:
                return False
            self._fitted_at = local.ring.added
            self._fit = local.normaliser.fit(local.ring)
        try:
            next(self._fit)
        except StopIteration:
            self._fit = None
            self.ready = True
            return False
        return True

    def send(self):
        """There is nothing to send."""

    def tell(self, text):
        """Nobody listens but on the console."""

    def describe(self, line):
        """Put the state into a dict of telemetry."""
        line["state"] = self.state
