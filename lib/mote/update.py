"""The board's side of an update over the air: takes signed offers and tells how far it is. It knows no
transport; staging.py has the work, starter.py the swap. See docs/ota.md.

A driver hands over what arrives (``received``), lets it work in slices (``step``) and looks at the topics
after each, restarts the board when that is ``restart_wanted``, and calls ``confirm`` when it proved healthy.
"""

import gc
import json

from . import wire
from .port import ticks_add, ticks_diff

_OFFER_BYTES = 1000
_LARGEST = 8000000
_ID_BYTES = 6
_TEXT_CHARACTERS = 64
_ASK_MS = 5000


class Updater:
    """Updates of one device.

    journal: starter.Journal. ``offer_topic``, ``chunk_topic``: to be subscribed to, or None; QoS 0 will do
    for the second, for what does not come is asked for again. ``error``: text of the last offer that was
    refused, or None.
    """

    def __init__(self, federation, device, key, journal):
        self._federation, self._device, self._key, self._journal = federation, device, key, journal
        self.error = None
        self._staging = self._work = None
        self._ask_until = 0
        self._told = journal.state in (journal.ROLLED_BACK, journal.FAILED)
        self.offer_topic = self.chunk_topic = None
        self._listen()

    @property
    def trial(self):
        """Whether the running release waits for ``confirm``."""
        return self._journal.state == self._journal.TRIAL

    @property
    def restart_wanted(self):
        """Whether a release is staged, which the next start puts in place."""
        return self._journal.state == self._journal.STAGED

    @property
    def installed(self):
        """Id of the last confirmed release, None where there never was one."""
        return None if self._journal.installed == "-" else self._journal.installed

    @property
    def state(self):
        """Text for telemetry, None where there is nothing to tell."""
        journal = self._journal
        if self._work is not None:
            return ("fetching %s %s" % (journal.release, self._staging.progress)).rstrip()
        if self.restart_wanted:
            return "restarting %s" % journal.release
        if self.trial:
            return "trial %s start %d" % (journal.release, journal.starts)
        if self._told:
            text = "%s %s" % (journal.state.replace("-", " "), journal.release)
            return ("%s: %s" % (text, journal.note))[:_TEXT_CHARACTERS] if journal.note else text
        return None

    def received(self, topic, payload, now):
        """Take one message. Return False where it is none for an update. now: milliseconds."""
        if topic == self.offer_topic:
            self._on_offer(payload)
        elif topic == self.chunk_topic:
            self._on_chunk(payload)
        else:
            return False
        return True

    def step(self, now):
        """Do one slice of work. Return True while there is more to do at once."""
        if self._work is None:
            return False
        try:
            busy = next(self._work)
        except StopIteration:
            self._finish()
            return False
        except Exception as error:  # lack of memory too: taken up again at the next start, it would never end
            self._fail(error)
            return False
        self._ask(now)
        return busy

    def confirm(self):
        """The board is healthy: a release on trial stays, and offers are taken again."""
        try:
            self._journal.confirm()
        except OSError as error:
            self.error = "update not confirmed: %s" % error
        self._told = True
        self._listen()

    def _on_offer(self, payload):
        journal = self._journal
        if not payload:  # withdrawn
            if self._work is not None:
                self._fail(ValueError("withdrawn"))
            return
        try:
            offer = self._checked(payload)
            if offer is None:
                return
            self._stop()
            if journal.release != offer["release"]:
                journal.clean()
            journal.save(journal.FETCHING, counter=offer["counter"], release=offer["release"])
        except (KeyError, TypeError, ValueError) as error:
            self.error = "offer refused: %s" % error
        except OSError as error:
            self.error = "update refused, the drive cannot be written: %s" % error
        else:
            self._start(offer)

    def _checked(self, payload):
        """Return the offer where it is to be taken, None where it was before. Raises ValueError and its
        like."""
        journal = self._journal
        payload = bytes(payload)
        if len(payload) > _OFFER_BYTES:
            raise ValueError("%d bytes" % len(payload))
        if not wire.is_sealed(self._key, wire.OFFER_SEAL, self._federation, self._device, payload):
            raise ValueError("its tag is not of this device's key")
        offer = json.loads(payload)
        counter, total, manifest = [offer[key] for key in ("counter", "bytes", "manifest")]
        for number in (counter, total, manifest):
            if not isinstance(number, int) or not 0 <= number < 1 << 32:
                raise ValueError("a number is %r" % number)
        if len(bytes.fromhex(offer["release"])) != _ID_BYTES or len(bytes.fromhex(offer["sha256"])) != 32:
            raise ValueError("a wrong length")
        if counter < journal.counter:
            raise ValueError("its counter %d is before the last one, %d" % (counter, journal.counter))
        if counter == journal.counter and (journal.state != journal.FETCHING or self._work is not None):
            return None
        if not 0 < manifest <= total <= _LARGEST:
            raise ValueError("a release of %s bytes" % total)
        return offer

    def _start(self, offer):
        gc.collect()
        digest = bytes.fromhex(offer["sha256"])
        try:
            from .staging import Staging  # its code takes no memory on a board that is not being updated

            self._staging = Staging(
                self._journal, offer["release"], offer["bytes"], offer["manifest"], digest
            )
        except (MemoryError, ImportError) as error:
            self._fail(error)
            return
        self._work = self._staging.work()

    def _on_chunk(self, payload):
        try:
            self._staging.take(wire.Chunk(payload))
        except ValueError as error:
            self.error = "chunk ignored: %s" % error

    def _ask(self, now):
        """Subscribe to the chunk that is wanted, and anew where it does not come."""
        index = self._staging.wanted
        topic = (
            None if index is None else wire.topic(self._federation, "release", self._journal.release, index)
        )
        if topic != self.chunk_topic:
            self._ask_until = ticks_add(now, _ASK_MS)
        elif topic is not None and ticks_diff(now, self._ask_until) >= 0:
            topic = None  # asked for again in the next step
        self.chunk_topic = topic

    def _listen(self):
        """Wish for offers, but while one is on trial or waits for the restart: the broker keeps them."""
        busy = self.trial or self.restart_wanted
        self.offer_topic = None if busy else wire.topic(self._federation, "offer", self._device)

    def _finish(self):
        journal, changed = self._journal, self._staging.changed
        try:
            if changed:
                journal.save(journal.STAGED)
            else:
                journal.save(journal.CONFIRMED, installed=journal.release)
                journal.clean()
        except OSError as error:
            self._fail(error)
            return
        self._told = True
        self._stop()

    def _fail(self, error):
        journal = self._journal
        self._stop()
        reason = str(error) or type(error).__name__
        self.error = "update %s failed: %s" % (journal.release, reason)
        self._told = True
        try:
            journal.clean()
            journal.save(journal.FAILED, reason)
        except OSError as second:
            self.error = "%s, %s" % (self.error, second)

    def _stop(self):
        if self._work is not None:
            self._work.close()
        self._staging = self._work = self.chunk_topic = None
        self._listen()
