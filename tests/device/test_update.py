"""An update over the air on the board: what it takes, what it refuses, and what it fetches."""

import json

from updating import (
    DEVICE,
    FEDERATION,
    FIXED,
    KEY,
    NEW,
    OFFER,
    OLD,
    Board,
    Drive,
    Inserted,
    Release,
    fresh,
    starter,
    version_of,
)

from mote import update, wire


def _updated(retained, drive):
    """Run a board until its release is staged, and start it again."""
    board = Board(retained)
    board.run()
    assert board.updater.restart_wanted, board.updater.state
    return Board(retained)


def _refused(board, payload, reason):
    board.updater.received(OFFER, payload, 0)
    assert reason in board.updater.error, board.updater.error
    board.run()
    assert board.updater.state is None and not board.updater.restart_wanted
    assert not board.fetched


def test_release_replaces_adds_and_removes_and_stays_once_confirmed():
    with Inserted(Drive(fresh())) as drive:
        release = Release()
        board = Board(release.retained())
        board.run()
        assert board.updater.restart_wanted and version_of(drive) == "old"
        assert board.updater.state == "restarting " + release.id and board.updater.offer_topic is None
        board = Board(board.retained)
        assert version_of(drive) == "new" and board.updater.trial
        assert board.updater.state == "trial %s start 1" % release.id
        assert board.updater.offer_topic is None and board.updater.installed is None
        board.updater.confirm()
        board.run()
        assert board.updater.state == "confirmed " + release.id and board.updater.installed == release.id
        assert [path for path in sorted(drive.files) if path.startswith("ota/")] == [
            "ota/journal.0", "ota/journal.1",
        ]  # fmt: skip
        board = Board(board.retained)
        board.run()
        assert version_of(drive) == "new" and board.updater.state is None and not board.fetched


def test_release_that_is_never_confirmed_is_rolled_back_after_three_starts():
    with Inserted(Drive(fresh())) as drive:
        release = Release()
        board = _updated(release.retained(), drive)
        for start in (2, 3):
            assert version_of(drive) == "new"
            board = Board(board.retained)
            assert board.updater.state == "trial %s start %d" % (release.id, start)
        board.journal.save(starter.Journal.TRIAL, "NameError: no lamp")
        board = Board(board.retained)
        board.run()
        assert version_of(drive) == "old" and not board.fetched
        assert board.updater.state == "rolled back %s: NameError: no lamp" % release.id
        assert board.updater.offer_topic == OFFER
        board = Board(release.retained(counter=2))  # only when it is offered anew is it tried again
        board.run()
        assert board.updater.restart_wanted


def test_only_chunks_of_changed_files_are_fetched():
    big = bytes(7) * 500
    files = {
        "lib/mote/a.py": big,
        "lib/mote/b.py": big + b"b",
        "lib/mote/c.py": big + b"c",
        "node.py": b"node",
    }
    old = dict(files)
    old["lib/mote/b.py"] = big
    with Inserted(Drive(fresh(old))) as drive:
        release = Release(files)
        board = Board(release.retained())
        board.run()
        start = len(release.manifest) + len(big)
        needed = range(start // 1000, (start + len(big)) // 1000 + 1)
        assert board.fetched == [0] + list(needed)
        Board(board.retained)
        assert drive.files["lib/mote/b.py"] == big + b"b"


def test_release_that_the_board_has_already_is_confirmed_at_once():
    with Inserted(Drive(fresh())) as drive:
        files = {"node.py": OLD["node.py"]}
        release = Release(files)
        board = Board(release.retained())
        board.run()
        assert board.updater.state == "confirmed " + release.id and not board.updater.restart_wanted
        assert board.updater.installed == release.id and version_of(drive) == "old"


def test_compiled_module_takes_the_place_of_its_source():
    with Inserted(Drive(fresh())) as drive:
        _updated(Release({"node.mpy": b"compiled"}).retained(), drive)
        assert "node.py" not in drive.files and drive.files["node.mpy"] == b"compiled"


def test_offer_with_another_tag_or_changed_content_is_refused():
    release = Release()
    with Inserted(Drive(fresh())) as drive:
        board = Board(release.chunks())
        _refused(board, release.offer(key=bytes(32)), "key")
        _refused(board, release.offer(device="board-2"), "key")
        _refused(board, wire.seal(KEY, wire.RECEIPT_SEAL, FEDERATION, DEVICE, b'{"counter":1}'), "key")
        genuine = release.offer()
        for place in range(0, len(genuine), 7):
            changed = bytearray(genuine)
            changed[place] ^= 1
            _refused(board, bytes(changed), "key")
        assert version_of(drive) == "old" and "ota" not in drive.folders


def test_offer_that_is_no_offer_is_refused():
    release = Release()
    with Inserted(Drive(fresh())):
        board = Board(release.chunks())
        for change in (
            {"counter": -1}, {"counter": "1"}, {"counter": 1 << 32}, {"bytes": None}, {"bytes": 0},
            {"release": ""}, {"release": 7}, {"release": "../../../../"}, {"release": "../../../../.."},
            {"sha256": "00"}, {"sha256": None}, {"manifest": 1.5}, {"manifest": 0},
            {"manifest": len(release.body) + 1},
        ):  # fmt: skip
            _refused(board, release.offer(changes=change), "refused")
        for text in (b"[", b"[]", b"7", b'"x"', b"{}", b"x" * 1001, b"\xff", b""):
            _refused(board, text or b"{", "refused")
            _refused(board, wire.seal(KEY, wire.OFFER_SEAL, FEDERATION, DEVICE, text), "refused")


def test_old_offer_is_refused_and_the_last_one_not_taken_twice():
    release, other = Release(), Release({"node.py": b"third"})
    with Inserted(Drive(fresh())) as drive:
        board = _updated(release.retained(counter=7), drive)
        board.updater.confirm()
        board = Board(other.chunks())
        _refused(board, other.offer(counter=6), "before the last one")
        board.updater.error = None
        board.updater.received(OFFER, release.offer(counter=7), 0)
        assert board.updater.error is None and board.updater.state is None
        board.updater.received(OFFER, other.offer(counter=8), 0)
        board.run()
        assert board.updater.restart_wanted


def test_manifest_or_file_that_was_changed_on_the_way_is_refused():
    for place in ("manifest", "file"):
        with Inserted(Drive(fresh())) as drive:
            release = Release()
            retained = release.retained()
            body = bytearray(release.body)
            body[-1 if place == "file" else len(release.manifest) - 2] ^= 1
            release.body = bytes(body)
            retained.update(release.chunks())
            board = Board(retained)
            board.run()
            assert board.updater.state.startswith("failed " + release.id), board.updater.state
            assert "SHA-256" in board.updater.state
            assert version_of(drive) == "old" and not [path for path in drive.files if "ota/new" in path]
            board = Board(retained)
            board.run()
            assert board.updater.state.startswith("failed") and not board.fetched


def test_chunk_damaged_once_is_fetched_again():
    with Inserted(Drive(fresh())):
        release = Release({"node.py": b"0123456789" * 300})
        retained = release.retained()
        topic = "fedmote/ward/release/%s/1" % release.id
        good = retained[topic]
        bad = bytearray(good)
        bad[50] ^= 1
        retained[topic] = bytes(bad)
        board = Board(retained)
        board.run()
        assert "crc" in board.updater.error and board.updater.state.startswith("fetching " + release.id)
        retained[topic] = good
        board.now = 5001
        board.turn()
        board.run()
        assert board.updater.restart_wanted


def test_unsafe_paths_are_refused():
    line = "%s %d %s"
    for path in (
        "../node.py", "/node.py", "lib/../settings.toml", "settings.toml", "main.py", "boot.py", "code.py",
        "starter.py", "starter.mpy", "starter/__init__.py", "lib/starter.py", "lib/os.py", "ota/plan",
        "Settings.toml", "STARTER.PY", "settings.toml.", "lib//a.py", "lib/./a.py", "lib", "a/", "a b.py",
        "a\\b.py",
        "settin~1.tom", "x" * 101,
    ):  # fmt: skip
        with Inserted(Drive(fresh())) as drive:
            digest = "%064x" % 0
            retained = Release({"x": b""}, lines=[line % (digest, 0, path)]).retained()
            board = Board(retained)
            board.run()
            assert board.updater.state.startswith("failed"), (path, board.updater.state)
            assert version_of(drive) == "old"


def test_manifest_with_nonsense_is_refused():
    digest = "%064x" % 0
    name = Release().manifest.decode().split(" ")[2]
    for head, lines in (
        ("fedmote-release 2 %s - tests 1" % name, []),
        ("fedmote-release 1 basic - tests 1", []),
        ("fedmote-release 1 %s z80 tests 1" % name, []),
        ("", []),
        (None, ["%s 1 node.py" % digest]),  # more bytes than there are
        (None, ["%s -1 node.py" % digest, "%s 1 other.py" % digest]),
        (None, ["%s 0 b.py" % digest, "%s 0 a.py" % digest]),
        (None, ["%s 0 a.py" % digest, "%s 0 a.py" % digest]),
        (None, ["%s 0" % digest]),
        (None, ["%s many a.py" % digest]),
        (None, ["%s 0 f%d.py" % (digest, n) for n in range(1000, 1300)]),
    ):
        with Inserted(Drive(fresh())) as drive:
            board = Board(Release({"x": b""}, head, lines).retained())
            board.run()
            assert board.updater.state.startswith("failed"), (head, lines, board.updater.state)
            assert version_of(drive) == "old"


def test_too_large_a_release_is_refused_before_it_is_fetched():
    with Inserted(Drive(fresh())):
        _refused(Board({}), Release({"node.py": b"x"}).offer(changes={"bytes": 9000000}), "bytes")
    with Inserted(Drive(fresh())):
        release = Release({"x": b""}, head="x" * 16000)
        board = Board(release.retained())
        board.run()
        assert "a manifest of" in board.updater.state and not board.fetched


def test_full_drive_is_noticed_before_anything_is_staged():
    state = fresh()
    used = sum(len(content) for _, content in state[0])
    with Inserted(Drive(state, free=used + 1400)) as drive:
        board = Board(Release({"node.py": bytes(600)}).retained())
        board.run()
        assert "kB free" in board.updater.state and version_of(drive) == "old"
        assert sorted(path for path in drive.files if "ota/" in path) == ["ota/journal.0", "ota/journal.1"]


def test_board_without_the_memory_for_an_update_goes_on_without_it():
    class Small(Drive):
        def statvfs(self, path):
            raise MemoryError()

    with Inserted(Small(fresh())) as drive:
        release = Release()
        for board in (Board(release.retained()), Board(release.retained())):
            board.run()
            assert board.updater.state == "failed %s: MemoryError" % release.id, board.updater.state
        assert version_of(drive) == "old"


def test_drive_that_cannot_be_written_is_told():
    class ReadOnly(Drive):
        def changes(self):
            raise OSError(30)

    with Inserted(ReadOnly(fresh())) as drive:
        board = Board(Release().retained())
        board.run()
        assert "cannot be written" in board.updater.error
        assert board.updater.state is None and version_of(drive) == "old"


def test_withdrawn_offer_stops_the_update():
    with Inserted(Drive(fresh())) as drive:
        release = Release()
        board = Board({OFFER: release.offer()})
        board.run()
        assert board.updater.state == "fetching %s" % release.id
        board.updater.received(OFFER, b"", 0)
        assert board.updater.state == "failed %s: withdrawn" % release.id
        board.retained.update(release.chunks())
        board.run()
        assert not board.fetched and version_of(drive) == "old"


def test_newer_offer_takes_the_place_of_the_one_under_way():
    with Inserted(Drive(fresh())) as drive:
        first, second = Release({"node.py": b"1" * 3000}), Release()
        retained = first.retained()
        del retained["fedmote/ward/release/%s/2" % first.id]
        board = Board(retained)
        board.run()
        assert board.fetched == [0, 0, 1]  # the first for the manifest, and again for what follows
        board.retained.update(second.chunks())
        board.updater.received(OFFER, second.offer(2), 0)
        board.run()
        assert board.updater.restart_wanted
        Board(board.retained)
        assert version_of(drive) == "new"


def test_download_goes_on_after_a_power_cut_where_it_was():
    with Inserted(Drive(fresh({}), through=True)) as drive:
        release = Release({"lib/mote/big.py": b"0123456789" * 500})
        missing = "fedmote/ward/release/%s/3" % release.id
        retained = release.retained()
        del retained[missing]
        board = Board(retained)
        board.run()
        assert board.fetched == [0, 0, 1, 2]
        retained.update(release.chunks())
        board = Board(retained)
        board.run()
        assert board.updater.restart_wanted and board.fetched == [3, 4, 5]
        assert drive.files["ota/new/0"] == b"0123456789" * 500


def test_chunk_that_does_not_come_is_asked_for_again():
    with Inserted(Drive(fresh())):
        board = Board({OFFER: Release().offer()})
        board.run()
        asked = board.updater.chunk_topic
        assert asked is not None
        board.updater.step(4999)
        assert board.updater.chunk_topic == asked
        board.updater.step(5001)
        assert board.updater.chunk_topic is None
        board.updater.step(5002)
        assert board.updater.chunk_topic == asked


def test_message_for_something_else_is_left_to_others():
    with Inserted(Drive(fresh())):
        updater = update.Updater(FEDERATION, DEVICE, KEY, starter.Journal())
        assert not updater.received("fedmote/ward/round", b"{}", 0)
        assert not updater.received("fedmote/ward/release/0123456789ab/0", b"", 0)
        assert updater.received(OFFER, b"{}", 0)


def test_texts_for_telemetry_are_short_and_offers_fit():
    with Inserted(Drive(fresh())):
        release = Release()
        assert len(release.offer(4294967295)) <= 1000
        json.loads(release.offer())
        board = Board(release.retained())
        texts = set()
        while board.turn() or board.updater.step(0):
            texts.add(board.updater.state)
        assert {"fetching %s" % release.id, "fetching %s 0/1" % release.id} <= texts
        assert all(len(text) <= 64 for text in texts if text)
    assert FIXED and NEW
