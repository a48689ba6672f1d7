"""What survives a power cut: every start ends with the whole old version or the whole new one, and goes on to
the end of the update."""

import sys

from updating import FIXED, OFFER, OLD, Board, Drive, Inserted, Release, fresh, starter, version_of

_NEW_STATES = (starter.Journal.TRIAL, starter.Journal.CONFIRMED)


class _Life:
    """What happens to a board from one start to the next, for a drive in some state. retained: the broker's
    messages. healthy: whether the release works."""

    def __init__(self, retained, healthy):
        self.retained, self.healthy = retained, healthy

    def start(self, drive):
        """One start, until the board restarts or has nothing more to do. Return whether it restarts."""
        board = Board(self.retained)
        version = version_of(drive)
        assert version == ("new" if board.journal.state in _NEW_STATES else "old"), version
        if board.updater.trial and not self.healthy:
            return True
        if board.updater.trial:
            board.updater.confirm()
        board.run()
        assert version_of(drive) == version
        return board.updater.restart_wanted

    def play(self, drive, cuts):
        """Start again and again until the update has come to its end, and check that end. cuts: how often
        the power was cut before: as often as a release may start, it may cost a healthy one its trial."""
        for _ in range(10):
            if not self.start(drive):
                break
        new = version_of(drive) == "new"
        assert new == self.healthy or (self.healthy and cuts >= starter.STARTS)
        journal = starter.Journal()
        assert journal.state == (journal.CONFIRMED if new else journal.ROLLED_BACK), journal.state
        left = sorted(path for path in drive.files if path.startswith("ota/"))
        assert left == ["ota/journal.0", "ota/journal.1"], left


def _after_cuts(life, state, cuts, through, torn):
    """Play a life from a state to its end. Return the states in which a power cut could have ended it."""
    with Inserted(Drive(state, through, torn)) as drive:
        life.play(drive, cuts)
        return drive.states


def _reachable(healthy, through, torn, most, begin=None):
    """Follow up every power cut by another one, ``most`` times, and every last one to the end. torn(length):
    after how many bytes of a write. begin: the drive's first state. Return how many states were followed."""
    life = _Life(Release().retained(), healthy)
    seen = set()
    todo = [begin or fresh()]
    for cuts in range(most + 1):
        following = []
        for state in todo:
            for after in _after_cuts(life, state, cuts, through, torn if cuts < most else None):
                mark = hash(after)
                if mark not in seen:
                    seen.add(mark)
                    following.append(after)
        todo = following
    return len(seen)


def _staged():
    """Return the state of a drive on which a release waits for the next start."""
    with Inserted(Drive(fresh())) as drive:
        board = Board(Release().retained())
        board.run()
        assert board.updater.restart_wanted
        return drive.state()


def _no_byte(length):
    return ()


def _middle(length):
    return (length // 2,)


def _every_byte(length):
    return range(0, length, 1 if _DEEP else 10)


#: whether there is memory for the states after a second cut, and for those of every byte
_DEEP = sys.implementation.name != "micropython"
_CUTS = 2 if _DEEP else 1


def test_power_cuts_at_any_operation_leave_a_whole_version_where_writes_are_atomic():
    for healthy in (True, False):
        assert _reachable(healthy, False, _no_byte, _CUTS) >= 40


def test_power_cuts_amid_any_write_leave_a_whole_version():
    for healthy in (True, False):
        assert _reachable(healthy, True, _middle, _CUTS) >= 70


def test_power_cut_at_any_byte_of_the_swap_leaves_a_whole_version():
    for healthy in (True, False):
        assert _reachable(healthy, True, _every_byte, 1, _staged()) >= 100


def test_drive_that_fills_up_after_staging_leaves_a_whole_version():
    retained, staged = Release().retained(), _staged()
    used = sum(len(content) for _, content in staged[0])
    ends = set()
    for room in range(100):
        with Inserted(Drive(staged, True, None, used + room)) as drive:
            for _ in range(2):
                board = Board(retained)
                assert version_of(drive) == ("new" if board.journal.state in _NEW_STATES else "old")
            ends.add(board.journal.state)
    assert ends == {"failed", "rolled-back", "trial"}, ends


def test_damaged_journal_is_read_from_its_other_file():
    with Inserted(Drive(fresh())) as drive:
        journal = starter.Journal()
        journal.save(journal.FETCHING, counter=5, release="0123456789ab")
        journal.save(journal.FAILED, "a note with\nline ends and \xe4")
        assert starter.Journal().state == journal.FAILED
        assert starter.Journal().note == "a note with?line ends and ?"
        newer = drive.files["ota/journal.0"]
        for damaged in (
            b"",
            newer[:60],
            newer.replace(b"failed", b"trial "),
            bytes(40),
            b"\xff\xfe",
            b"9" + newer,
        ):
            drive.files["ota/journal.0"] = damaged
            again = starter.Journal()
            assert (again.state, again.counter, again.release) == (journal.FETCHING, 5, "0123456789ab"), (
                damaged
            )
        drive.files["ota/journal.1"] = b""
        assert starter.Journal().state == journal.NONE


def test_file_in_the_place_of_a_folder_fails_and_is_rolled_back():
    old = dict(OLD)
    del old["lib/other/own.py"]
    old["lib/other"] = b"a file"
    with Inserted(Drive(fresh(old))) as drive:
        before = {path: content for path, content in drive.files.items()}
        retained = Release({"lib/other/one.py": b"1", "node.py": b"2"}).retained()
        Board(retained).run()
        board = Board(retained)
        assert board.journal.state == board.journal.ROLLED_BACK and "swapping" in board.journal.note
        assert {path: content for path, content in drive.files.items() if "ota/" not in path} == before


def test_deployed_files_are_left_alone_once_the_plan_is_gone():
    with Inserted(Drive(fresh())) as drive:
        retained = Release().retained()
        Board(retained).run()
        Board(retained)
        drive.remove("ota/plan")
        drive.files["node.py"] = b"deployed over USB"
        for _ in range(3):
            board = Board({})
        assert board.journal.state == board.journal.ROLLED_BACK
        assert drive.files["node.py"] == b"deployed over USB" and FIXED["main.py"] == drive.files["main.py"]


class _Node:
    """Stands for node.py: fails as it is told."""

    def __init__(self, error):
        self._error = error

    def run(self):
        raise self._error


def _run(error):
    """Let starter.run start a node that fails. Return the last line that it printed."""
    sys.modules["node"] = _Node(error)
    pause, journal = starter.sleep, starter.journal
    lines = []
    starter.sleep, starter.journal, starter.print = (lambda seconds: None), starter.Journal(), lines.append
    try:
        starter.run()
    except SystemExit:
        return lines[-1] if lines else ""
    finally:
        starter.sleep, starter.journal, starter.print = pause, journal, print
        del sys.modules["node"]
    return None


def test_start_that_fails_is_counted_and_its_error_noted_while_on_trial():
    with Inserted(Drive(fresh())):
        assert _run(ValueError("no sensor")) != starter.RESTART
        retained = Release().retained()
        Board(retained).run()
        for start in (1, 2, 3):
            assert _run(ValueError('no "lamp"')) == starter.RESTART
            journal = starter.Journal()
            assert (journal.state, journal.starts, journal.note) == ("trial", start, 'ValueError: no "lamp"')
        assert _run(ValueError("no sensor")) != starter.RESTART
        journal = starter.Journal()
        assert (journal.state, journal.note) == ("rolled-back", 'ValueError: no "lamp"')
        board = Board({OFFER: retained[OFFER]})
        assert board.updater.state.endswith('ValueError: no "lamp"')


def test_release_that_is_not_confirmed_in_time_is_started_again():
    with Inserted(Drive(fresh())):
        retained = Release().retained()
        Board(retained).run()
        journal, ticks, pause = starter.journal, starter.ticks_ms, starter.sleep
        starter.journal = Board(retained).journal
        starter.sleep = lambda seconds: None
        began = starter.ticks_ms()
        lines = []
        starter.print = lines.append
        try:
            starter.feed()
            starter.ticks_ms = lambda: began + 1000 * starter.TRIAL_S + 5000
            starter.feed()
        except SystemExit:
            pass
        finally:
            starter.journal, starter.ticks_ms, starter.sleep, starter.print = journal, ticks, pause, print
        assert lines[-1] == starter.RESTART
        assert "not healthy after 300 s" in starter.Journal().note
