"""Runs first on every start: finishes an update over the air or takes it back, then starts node.py.

No release ever holds this file, and it imports nothing that a release may change: whatever an update breaks,
the next start begins here again. docs/ota.md has the states and what a release may rely on.
"""

import gc
import os
import sys
from time import sleep

try:
    from binascii import crc32
except ImportError:  # CircuitPython builds without binascii.crc32
    from zlib import crc32

try:
    from time import ticks_diff, ticks_ms
except ImportError:  # CircuitPython and CPython
    from time import monotonic

    def ticks_ms():
        return int(monotonic() * 1000)

    def ticks_diff(end, start):
        return end - start


#: how often a release on trial may start without being confirmed, and how long it may take each time
STARTS = 3
TRIAL_S = 300
#: the last line of a process that stands for a board and wants to be started again
RESTART = '{"event":"restart"}'

_DOG_S = (60, 16, 8)  # the first one that the chip's watchdog can
_NOTE_CHARACTERS = 100
_RECORD_BYTES = 200  # always, so that a record finds room on a full drive: that of the one before the last
_FIELDS = ("state", "counter", "release", "installed", "starts", "note")


class Journal:
    """What is known of updates over the air, kept in two files that are written in turn: a power cut spoils
    at most the newer one.

    root: folder of the board's files, with its slash, or empty. ``state``: one of the constants.
    ``counter``: of the last offer taken. ``release``: the one that the state is about, ``installed``: the
    last one confirmed, "-" for none. ``starts``: of the release on trial. ``note``: what went wrong.
    """

    NONE = "none"
    FETCHING = "fetching"
    STAGED = "staged"
    SWAPPING = "swapping"
    TRIAL = "trial"
    RETURNING = "returning"
    CONFIRMED = "confirmed"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"

    def __init__(self, root=""):
        self.root = root
        self.folder = root + "ota"
        self.plan_path = self.folder + "/plan"
        self.manifest_path = self.folder + "/manifest"
        self.state, self.counter, self.starts = self.NONE, 0, 0
        self.release = self.installed = "-"
        self.note = ""
        self._sequence = 0
        for slot in (0, 1):
            self._read(slot)

    def save(self, state, note="", **changes):
        """Write the state down and make it so. Raises OSError where the drive is full or read-only."""
        changes["state"] = state
        changes["note"] = "".join(c if " " <= c <= "~" else "?" for c in note[:_NOTE_CHARACTERS])
        sequence = self._sequence + 1
        values = [str(changes.get(name, getattr(self, name))) for name in _FIELDS]
        text = str(sequence) + " " + " ".join(values).rstrip()
        line = "%08x %s" % (crc32(text.encode()), text)
        make_folder(self.folder)
        with open(self._slot(sequence & 1), "wb") as file:
            file.write((line + " " * (_RECORD_BYTES - len(line))).encode())
        self._sequence = sequence
        for name in changes:
            setattr(self, name, changes[name])

    def recover(self):
        """Do what is left of a swap or of its way back, and count one start of a release on trial.

        Every step may be repeated after a power cut. Raises OSError where the drive is read-only.
        """
        while True:
            if self.state == self.STAGED:
                self._or_else(self._keep_old, self.SWAPPING, self.FAILED)
            elif self.state == self.SWAPPING:
                self._or_else(self._put_new, self.TRIAL, self.RETURNING)
            elif self.state == self.RETURNING:
                self._put_old()
                self.save(self.ROLLED_BACK, self.note)
            elif self.state == self.TRIAL and self.starts >= STARTS:
                self.save(self.RETURNING, self.note or "%d starts and never healthy" % STARTS)
            elif self.state == self.TRIAL:
                self.save(self.TRIAL, self.note, starts=self.starts + 1)
                return
            else:
                if self.state != self.FETCHING and exists(self.manifest_path):
                    self.clean()
                return

    def confirm(self):
        """The release on trial works: it stays."""
        if self.state == self.TRIAL:
            self.save(self.CONFIRMED, installed=self.release)
            self.clean()

    def clean(self):
        """Remove everything below ota but the state itself. The manifest goes last: it tells that there is
        more."""
        for folder in (self.folder + "/new", self.folder + "/old"):
            empty_folder(folder)
        for path in (self.plan_path, self.manifest_path):
            if exists(path):
                os.remove(path)

    def new(self, number):
        """Return where the new content of the plan's entry ``number`` is staged."""
        return "%s/new/%d" % (self.folder, number)

    def _or_else(self, work, done, broken):
        """Go on to ``done`` after the work, or to ``broken`` where the drive does not allow it."""
        try:
            work()
            self.save(done, starts=0)
        except OSError as error:
            empty_folder(
                self.folder + "/new"
            )  # it may be full; without these files there is no way but ``broken``
            self.save(broken, "%s: %s" % (self.state, error))

    def _plan(self, sign):
        """Yield (number, path) of the plan's entries: "+" to be put, "-" to be removed."""
        try:
            with open(self.plan_path) as file:
                for number, line in enumerate(file):
                    parts = line.split()
                    if parts[0] == sign:
                        yield number, self.root + parts[1]
        except OSError:
            if exists(self.plan_path):
                raise

    def _old(self, number):
        return "%s/old/%d" % (self.folder, number)

    def _keep_old(self):
        folder = self.folder + "/old"
        make_folder(folder)
        empty_folder(folder)
        for sign in "-+":
            for number, path in self._plan(sign):
                if exists(path):
                    copy(path, self._old(number))

    def _put_new(self):
        for _, path in self._plan("-"):
            discard(path, self.root)
        for number, path in self._plan("+"):
            make_parents(path, self.root)
            copy(self.new(number), path)

    def _put_old(self):
        empty_folder(self.folder + "/new")
        for sign in "+-":
            for number, path in self._plan(sign):
                if exists(self._old(number)):
                    make_parents(path, self.root)
                    copy(self._old(number), path)
                else:
                    discard(path, self.root)

    def _slot(self, number):
        return "%s/journal.%d" % (self.folder, number)

    def _read(self, slot):
        try:
            with open(self._slot(slot), "rb") as file:
                checksum, _, text = file.read(_RECORD_BYTES).decode().rstrip().partition(" ")
            if checksum != "%08x" % crc32(text.encode()):
                return
            values = (text + " ").split(" ", len(_FIELDS))
            sequence = int(values[0])
        except (OSError, ValueError):
            return
        if sequence > self._sequence:
            self._sequence = sequence
            _, self.state, counter, self.release, self.installed, starts, self.note = values
            self.counter, self.starts, self.note = int(counter), int(starts), self.note.rstrip()


def run():
    """Bring the files into order and start the node; after an error the board is reset."""
    global _dog
    try:
        journal.recover()
    except OSError as error:
        print("update over the air: %s" % error)  # what there is may work
    if journal.state == journal.TRIAL:
        _dog = _watchdog()
    if hasattr(gc, "threshold") and gc.mem_free() < 1 << 20:
        gc.threshold(4096)  # code that is loaded leaves long pieces of the heap to data
    try:
        import node

        node.run()
    except Exception as error:
        _print(error)
        _give_up("%s: %s" % (type(error).__name__, error))


def feed():
    """To be called by the node in every turn: a release on trial that hangs, or that is not confirmed in
    time, is started again."""
    if _dog is not None:
        _dog.feed()
    if journal.state == journal.TRIAL and ticks_diff(ticks_ms(), _began) > 1000 * TRIAL_S:
        print("update over the air: not healthy after %d s" % TRIAL_S)
        _give_up("not healthy after %d s" % TRIAL_S)


def restart():
    """Reset the board; where there is none, end the program with the line RESTART."""
    _reset(True)


def exists(path):
    """Tell whether there is a file or a folder."""
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def copy(source, target):
    """Write the content of one file into another, which may exist."""
    buffer = bytearray(512)
    view = memoryview(buffer)
    with open(source, "rb") as reader:
        with open(target, "wb") as writer:
            while True:
                count = reader.readinto(buffer)
                if not count:
                    return
                writer.write(view[:count])


def make_folder(path):
    """Make a folder where there is none."""
    if not exists(path):
        os.mkdir(path)


def make_parents(path, root):
    """Make the folders of a file below ``root``."""
    end = path.find("/", len(root))
    while end >= 0:
        make_folder(path[:end])
        end = path.find("/", end + 1)


def empty_folder(path):
    """Remove the files of a folder, where there is one."""
    if exists(path):
        for name in os.listdir(path):
            os.remove(path + "/" + name)


def discard(path, root):
    """Remove a file below ``root`` where there is one, and the folders that are empty without it: one would
    hide a module of its name."""
    if exists(path):
        os.remove(path)
    end = path.rfind("/")
    while end > len(root):
        try:
            os.rmdir(path[:end])
        except OSError:  # it holds something else, or is gone
            if exists(path[:end]):
                return
        end = path.rfind("/", 0, end)


def _give_up(reason):
    """Note why a release on trial does not work, and reset."""
    on_trial = journal.state == journal.TRIAL
    if on_trial:
        try:
            journal.save(journal.TRIAL, reason)
        except OSError:
            pass
    sleep(1 if on_trial else 3)  # in which Ctrl-C is heard
    _reset(on_trial)


def _reset(again):
    for module in ("machine", "microcontroller"):
        try:
            reset = __import__(module).reset
        except (ImportError, AttributeError):
            continue
        reset()
    if again:
        print(RESTART)
    sys.exit(1)


def _watchdog():
    """Start the chip's watchdog and return it, None where there is none. It runs until the next reset."""
    for seconds in _DOG_S:
        try:
            try:
                from machine import WDT

                return WDT(timeout=seconds * 1000)
            except ImportError:  # CircuitPython
                from microcontroller import watchdog
                from watchdog import WatchDogMode

                watchdog.timeout = seconds
                watchdog.mode = WatchDogMode.RESET
                return watchdog
        except ValueError:
            continue
        except (ImportError, AttributeError):
            return None
    return None


def _print(error):
    if hasattr(sys, "print_exception"):  # MicroPython
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)


journal = Journal()
_dog = None
_began = ticks_ms()
