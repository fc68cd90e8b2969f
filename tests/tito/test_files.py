"""Files whole or not at all, a lock, a journal: with a full disk, a power cut and two at once."""

import errno
import json
import multiprocessing
import time

import pytest

from tito.core.errors import EnvironmentProblem, NotFound
from tito.ports import files
from tito.ports.changes import Changes
from tito.ports.files import append, locked, stage, write


def names(folder): return [path.name for path in folder.iterdir()]
def full(*_): raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch, step):
    path = tmp_path / "progress.json"
    write(path, "old")
    if step == "fsync": monkeypatch.setattr(files.os, "fsync", full)
    else: monkeypatch.setattr(files.Path, "replace", full)
    with pytest.raises(EnvironmentProblem, match="was not written: the disk is full") as problem:
        write(path, "new")
    assert "untouched" in problem.value.message and "space" in problem.value.cure
    assert path.read_text() == "old" and names(tmp_path) == ["progress.json"]


def test_ctrl_c_in_the_middle_of_a_write_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "progress.json"
    write(path, "old")
    def stop(*_): raise KeyboardInterrupt
    monkeypatch.setattr(files.os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt): write(path, "new")
    assert path.read_text() == "old" and names(tmp_path) == ["progress.json"]


def test_a_write_keeps_permissions_and_writes_through_links(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    write(real, "old")
    real.chmod(0o640)
    link.symlink_to(real)
    write(link, "new")
    assert link.is_symlink() and real.read_text() == "new" and real.stat().st_mode & 0o777 == 0o640


def test_several_files_are_all_new_or_all_old(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("a", "b", "sub/c")]
    files.write_all(dict.fromkeys(paths, "old"))
    for after in range(3):
        with monkeypatch.context() as patch:
            left = iter(range(after))
            patch.setattr(files.os, "fsync", lambda number, left=left: next(left, None) is None and full())
            with pytest.raises(EnvironmentProblem, match="the disk is full"):
                files.write_all(dict.fromkeys(paths, "new"))
        assert [path.read_text() for path in paths] == ["old"] * 3 and names(tmp_path / "sub") == ["c"]
    files.write_all(dict.fromkeys(paths, "new"))
    assert [path.read_text() for path in paths] == ["new"] * 3


def test_a_line_after_a_torn_one_begins_on_a_line_of_its_own(tmp_path):
    path = tmp_path / "journal"
    append(path, "one")
    path.write_text(path.read_text() + '{"half')
    append(path, "two")
    assert path.read_text() == 'one\n{"half\ntwo\n'


def test_a_stage_is_gone_when_it_is_over_also_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), stage(tmp_path / "stage") as place:
        (place / "x").write_text("x")
        raise ZeroDivisionError
    assert names(tmp_path / "stage") == []


def test_a_stage_that_cannot_be_is_a_sentence(tmp_path):
    (tmp_path / "stage").write_text("")
    with pytest.raises(EnvironmentProblem, match="stage was not written: File exists"), \
            stage(tmp_path / "stage"): pass


# ------------------------------------------------------------------------------------------- two at once

def hold(folder, seconds):
    with locked(folder, "complete 02 tensor"): time.sleep(seconds)


def waiting_for(folder, seconds):
    """A process that holds the lock."""
    other = multiprocessing.get_context("spawn").Process(target=hold, args=(folder, seconds))
    other.start()
    while not (folder / "lock.holder").exists(): time.sleep(0.01)
    return other


def test_the_second_tito_waits_then_says_who_holds_the_workspace(tmp_path):
    other = waiting_for(tmp_path, 60)
    try:
        with pytest.raises(EnvironmentProblem, match=f"complete 02 tensor`, process {other.pid}, since"), \
                locked(tmp_path, "reset", wait=0.3): pass
    finally:
        other.kill()
        other.join()
    with locked(tmp_path, "reset", wait=2): pass        # a dead holder holds nothing


def test_the_second_tito_goes_on_when_the_first_has_finished(tmp_path):
    other = waiting_for(tmp_path, 0.3)
    with locked(tmp_path, "reset", wait=10): pass
    other.join()


# ------------------------------------------------------------------------------------ backups and journal

@pytest.fixture
def changes(tmp_path):
    (tmp_path / ".tito").mkdir()
    (tmp_path / "a.txt").write_text("old")
    return Changes(tmp_path)


def begin(changes, what="reset 02 tensor", files=("a.txt", "sub/b.txt")):
    return changes.begin("reset", "tensor", what, files, {"lessons": {"tensor": None}})


def test_a_change_can_be_taken_back_with_what_was_there_and_what_was_not(changes):
    change = begin(changes)
    (changes.root / "a.txt").write_text("new")
    write(changes.root / "sub/b.txt", "new")
    assert changes.restore(change) == {"lessons": {"tensor": None}}
    assert (changes.root / "a.txt").read_text() == "old" and not (changes.root / "sub/b.txt").exists()
    changes.restore(change)                             # twice is as good as once


def test_the_journal_knows_what_was_cut_off_and_what_can_be_undone(changes):
    first, second = begin(changes, "reset one"), begin(changes, "reset two")
    changes.note(first, "done")
    assert [c.id for c in changes.unfinished()] == [second.id] and [c.id for c in changes.all()] == [first.id]
    changes.note(second, "taken back")
    assert changes.unfinished() == []


def test_two_changes_in_one_second_have_two_backups(changes):
    assert begin(changes).id != begin(changes).id


def test_a_torn_line_of_the_journal_is_seen_and_does_no_harm(changes):
    change = begin(changes)
    changes.note(change, "done")
    changes.journal.write_text(changes.journal.read_text() + '{"id": "2026')
    assert [c.id for c in changes.all()] == [change.id] and changes.damage() == ['{"id": "2026']
    changes.clean()
    assert changes.damage() == [] and [c.id for c in changes.all()] == [change.id]


def test_a_backup_that_was_thrown_away_is_not_offered_and_stops_nothing(changes):
    change = begin(changes)
    (change.backup / "change.json").unlink()
    assert changes.unfinished() == [] and changes.all() == []


def test_a_backup_that_cannot_be_read_is_named(changes):
    change = begin(changes)
    (change.backup / "change.json").write_text("{")
    with pytest.raises(NotFound, match=change.id): changes.restore(change)


def test_a_full_disk_during_the_backup_stops_before_anything_changed(changes, monkeypatch):
    monkeypatch.setattr("tito.ports.changes.shutil.copy2", full)
    with pytest.raises(EnvironmentProblem, match="the disk is full"): begin(changes)
    assert not changes.journal.exists()


def test_the_journal_is_plain_json(changes):
    changes.note(begin(changes), "done")
    lines = changes.journal.read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["begun", "done"]
