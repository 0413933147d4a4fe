"""A journal of checkpoints: short texts that make up the last checkpoint, and that show when one is damaged or missing."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.cdrs.simulated import record
from unlimcall_async import CallRecord, Checkpoint, CheckpointError, CheckpointFile, CheckpointJournal
from unlimcall_async.cdrs import checkpoint_journal
from unlimcall_async.cdrs.checkpoint import StreamCheckpoint, UnplacedMark
from unlimcall_async.cdrs.follow_checkpoint import NAMED, Cell, FollowCheckpoint, TailPlace
from unlimcall_async.cdrs.output_order import place_behind
from unlimcall_async.cdrs.tail import Tail
from unlimcall_async.cdrs.times import MILLISECOND, SECOND, Range, to_datetime

pytestmark = pytest.mark.own_rules

MINUTE = 60 * SECOND
LOOKBACK = 24 * MINUTE
START = 1_000 * MINUTE
# The characters of a mark in JSON, with an id of eleven characters.
MARK = 46


def checkpoint_of(tail: Tail, *, unplaced: tuple[UnplacedMark, ...] = ()) -> FollowCheckpoint:
    return FollowCheckpoint(to_datetime(0), evolve(tail.place(), unplaced=unplaced))


def poll(tail: Tail, now: int, starts: list[int]) -> None:
    (wanted,) = tail.plan(now, None)
    for piece in tail.begin(wanted, now):
        for at in sorted(starts):
            if piece.holds(at):
                tail.record(record(at, number=at))
        tail.reached(piece.end)
    tail.reached(wanted.end)


def change(tail: Tail, number: int) -> None:
    """Have a record that was handed out be revised, and others be removed."""
    names = dict.fromkeys(each for cell in tail.place().cells for each in named(cell))
    for at, call_id in [*names][number::9]:
        rows = [record(at, number=int(call_id), src=f"{number}")] if number % 2 else []
        for found in tail.found(rows, Range(at, at + 1)):
            if isinstance(found, CallRecord):
                tail.record(found)
            else:
                tail.settle(found, handed_out=number % 3 > 0)


def named(cell: Cell) -> Iterator[tuple[int, str]]:
    return ((start, call_id) for (start, _), call_id in zip(NAMED.iter_unpack(cell.named), cell.ids, strict=True))


def checkpoints(polls: list[tuple[int, list[int], int]]) -> Iterator[FollowCheckpoint]:
    """Yield the checkpoints of a follow: records, unreadable rows and holes come, change and go, and the lookback changes."""
    tail, now = Tail.from_start(START, LOOKBACK), START
    for number, (pause, ago, kind) in enumerate(polls):
        now += pause
        poll(tail, now, [now - at for at in ago])
        unplaced = tuple[UnplacedMark, ...]()
        if kind == 1:
            unplaced = (UnplacedMark("0123456789abcdef", now - (number + 1) * SECOND, now),)
        elif kind == 2:
            tail = Tail(tail.without(Range(now, now + SECOND)), LOOKBACK)
        elif kind == 3:
            tail = Tail(tail.place(), LOOKBACK * (1 + 9 * (number % 2)))
        elif kind >= 4:
            change(tail, number)
        yield checkpoint_of(tail, unplaced=unplaced)


polls = st.lists(
    st.tuples(
        st.integers(1, 9 * 60_000).map(lambda millis: millis * MILLISECOND),
        st.lists(st.integers(1, 30 * 60_000).map(lambda millis: millis * MILLISECOND), max_size=9),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@given(polls, st.integers(0, 3))
def test_the_last_checkpoint_comes_back_wherever_the_process_ends(
    polls: list[tuple[int, list[int], int]], restarts: int
) -> None:
    texts, journal = list[str](), CheckpointJournal()
    for number, checkpoint in enumerate(checkpoints(polls)):
        with journal.storing(checkpoint, note={"number": number}) as entry:
            if entry.is_base:
                texts.clear()
            texts.append(entry.text)
        read = CheckpointJournal([text.encode() for text in texts])
        assert (read.checkpoint, read.note) == (checkpoint, {"number": number})
        assert read.checkpoint == Checkpoint.from_json(checkpoint.to_json())
        if number % 4 < restarts:
            journal = read
        assert not any("\n" in text for text in texts)


def journal_of(count: int, records: int = 0) -> tuple[CheckpointJournal, list[str], Tail]:
    """Return a journal, its texts, and the tail of the last checkpoint."""
    tail, journal, texts = Tail.from_start(START, LOOKBACK), CheckpointJournal(), list[str]()
    for number in range(count):
        now = START + (number + 1) * MINUTE
        poll(tail, now, [now - at * MILLISECOND for at in range(1, records + 1)])
        with journal.storing(checkpoint_of(tail)) as entry:
            texts.append(entry.text)
    return journal, texts, tail


@pytest.mark.slow
def test_an_entry_is_as_long_as_its_batch() -> None:
    journal, texts, tail = journal_of(20, records=1000)
    assert len(texts[0]) == pytest.approx(MARK * 1000, rel=0.05)
    now = START + 21 * MINUTE
    poll(tail, now, [now - SECOND, now - 2 * SECOND])
    with journal.storing(checkpoint_of(tail)) as entry:
        pass
    assert not entry.is_base
    assert len(entry.text) < 1200
    change(tail, 1)
    with journal.storing(checkpoint_of(tail)) as entry:
        pass
    # Every ninth of the 1000 records beside which nothing else has changed, and its place.
    assert len(entry.text) < 1200 + (MARK + 8) * 20_000 / 9


@pytest.mark.slow
def test_bases_are_rare() -> None:
    _, texts, tail = journal_of(20, records=1000)
    journal, written, bases = CheckpointJournal(texts), 0, 0
    for number in range(300):
        now = START + (21 + number) * MINUTE
        poll(tail, now, [now - at * MILLISECOND for at in range(1, 101)])
        with journal.storing(checkpoint_of(tail)) as entry:
            written, bases = written + len(entry.text), bases + entry.is_base
    assert 1 <= bases <= 15
    assert written < 4 * 300 * 100 * MARK


def test_what_was_not_stored_counts_as_not_stored() -> None:
    journal, texts, tail = journal_of(3)
    poll(tail, START + 9 * MINUTE, [START + 8 * MINUTE])
    with pytest.raises(OSError, match="full"), journal.storing(checkpoint_of(tail)):
        raise OSError("full")
    with journal.storing(checkpoint_of(tail)) as entry:
        texts.append(entry.text)
    assert CheckpointJournal(texts).checkpoint == checkpoint_of(tail)


def test_the_checkpoint_of_a_stream_is_a_base_each_time() -> None:
    journal, texts = CheckpointJournal(), list[str]()
    for number in range(3):
        place = place_behind([record(number * SECOND, number)], 1)
        checkpoint = StreamCheckpoint(to_datetime(0), to_datetime(MINUTE), newest_first=False, place=place)
        with journal.storing(checkpoint) as entry:
            assert entry.is_base
            texts.append(entry.text)
    # Earlier texts, which nobody has removed, do no harm.
    last = CheckpointJournal(texts[2:]).checkpoint
    assert last is not None
    assert CheckpointJournal(texts).checkpoint == last


def test_a_checkpoint_that_was_stored_as_it_is_counts_as_a_base() -> None:
    _, _, tail = journal_of(2, records=3)
    old = checkpoint_of(tail)
    journal = CheckpointJournal([old.to_json()])
    poll(tail, START + 5 * MINUTE, [START + 4 * MINUTE])
    with journal.storing(checkpoint_of(tail)) as entry:
        assert not entry.is_base
    assert CheckpointJournal([old.to_json(), entry.text]).checkpoint == checkpoint_of(tail)
    assert CheckpointJournal().checkpoint is None


def test_a_text_that_is_damaged_missing_or_comes_twice_is_refused() -> None:
    _, texts, _ = journal_of(4, records=2)
    for number in range(1, 4):
        for wrong in ([*texts[:number], *texts[number + 1 :]], [*texts[: number + 1], *texts[number:]]):
            if len(wrong) > number:  # the last text may be missing: the process ended before it was stored
                with pytest.raises(CheckpointError, match="does not follow"):
                    CheckpointJournal(wrong)
    for number, text in enumerate(texts):
        for at in range(len(text)):
            for changed in (text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :], text[:at] + text[at + 1 :]):
                with pytest.raises(CheckpointError):
                    CheckpointJournal([*texts[:number], changed, *texts[number + 1 :]])


def resealed(text: str, **changes: Any) -> str:
    content = {name: value for name, value in json.loads(text).items() if name != "crc32"}
    return checkpoint_journal._sealed(json.dumps({**content, **changes})[1:])  # what an error of the program writes


def test_an_entry_of_an_earlier_release_is_read() -> None:
    tail = Tail(TailPlace(START, START, (Cell(START, START + MINUTE, None, bytes(18)),)), LOOKBACK)
    base = checkpoint_of(tail).to_json()
    with CheckpointJournal([base]).storing(checkpoint_of(tail)) as entry:
        pass
    added = base64.b64encode(bytes(range(18))).decode()
    (cell,) = read(CheckpointJournal([base, resealed(entry.text, cells=[[0, None, added]])])).place.cells
    assert cell == Cell(START, START + MINUTE, None, bytes(18) + bytes(range(18)))


def read(journal: CheckpointJournal) -> FollowCheckpoint:
    assert isinstance(journal.checkpoint, FollowCheckpoint)
    return journal.checkpoint


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": 3},
        {"fields": {"frontier": -1}},
        {"fields": {"edge": None}},
        {"gone": ["missing"]},
        {"gone": ["holes"]},
        {"cells": None},
        {"cells": [[7, None]]},
        {"cells": [[0, None], [0, None]]},
        {"cells": [[0, None, "*"]]},
        {"cells": [[0, None, "AAAA"]]},
        {"cells": [["0", "1", None, ""]]},
        {"cells": [[0, 0, 0, 0, 0]]},
        {"cells": [[0, None, {"ids": ["7"]}]]},
        {"cells": [[0, None, {"named": "AAAA"}]]},
        {"cells": [[0, None, {"gone": 7}]]},
        {"cells": [[0, None, {"other": []}]]},
    ],
)
def test_an_entry_that_contradicts_its_base_is_refused(changes: dict[str, Any]) -> None:
    _, texts, _ = journal_of(2, records=2)
    assert CheckpointJournal([texts[0], resealed(texts[1])]).checkpoint is not None
    with pytest.raises(CheckpointError):
        CheckpointJournal([texts[0], resealed(texts[1], **changes)])


# --- in a file --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "follow.checkpoint"


def stored(path: Path, count: int = 4) -> list[FollowCheckpoint]:
    """Store some checkpoints of a follow, and return them."""
    tail, made = Tail.from_start(START, LOOKBACK), list[FollowCheckpoint]()
    with CheckpointFile(path) as file:
        for number in range(count):
            now = START + (number + 1) * MINUTE
            poll(tail, now, [now - SECOND])
            made.append(checkpoint_of(tail))
            file.store(made[-1], note=number)
    return made


def test_a_file_goes_on_where_it_was(path: Path) -> None:
    assert CheckpointFile(path).checkpoint is None
    made = stored(path)
    with CheckpointFile(path) as file:
        assert (file.checkpoint, file.note) == (made[-1], 3)
        assert repr(file) == f"<CheckpointFile {str(path)!r}>"
    assert path.read_bytes().count(b"\n") == 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_a_file_that_was_cut_off_anywhere_has_the_checkpoint_before(path: Path) -> None:
    made = stored(path)
    whole = path.read_bytes()
    ends = [at for at, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(ends[0] + 1, len(whole)):
        path.write_bytes(whole[:length])
        with CheckpointFile(path) as file:
            done = sum(end < length for end in ends)
            assert file.checkpoint == made[done - 1]
            if length % 50 == 0:
                file.store(made[-1])
                file.close()
                with CheckpointFile(path) as again:
                    assert again.checkpoint == made[-1]


def test_a_file_may_have_the_longest_name(path: Path) -> None:
    made = stored(path := path.with_name(255 * "x"))
    with CheckpointFile(path) as file:
        assert file.checkpoint == made[-1]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_that_was_damaged_is_refused_by_name(path: Path) -> None:
    stored(path)
    whole = path.read_bytes()
    first = whole.index(b"\n")
    for damaged in (b"", b"\n", whole[:first], whole[1:], whole.replace(b"\n", b"", 1), whole[first + 1 :], b"[]\n"):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"follow\.checkpoint: .*; move the file away to start anew"):
            CheckpointFile(path)
        assert path.read_bytes() == damaged


def test_a_file_is_open_once(path: Path) -> None:
    made = stored(path)
    with CheckpointFile(path) as file:
        with pytest.raises(CheckpointError, match="another process has the file open"):
            CheckpointFile(path)
        for _ in range(200):  # until a new base has replaced the file
            file.store(made[-1])
        with pytest.raises(CheckpointError, match="another process has the file open"):
            CheckpointFile(path)
    CheckpointFile(path).close()


def test_a_file_that_cannot_be_written_holds_what_it_held(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stored(path)
    with CheckpointFile(path) as file:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
            with pytest.raises(OSError, match="full"):
                file.store(made[0])
        file.store(made[1], note="after")
    with CheckpointFile(path) as file:
        assert (file.checkpoint, file.note) == (made[1], "after")
    with pytest.raises(FileNotFoundError):
        CheckpointFile(path.parent / "missing" / "x").store(made[0])


@pytest.mark.parametrize("room", [0, 100])
def test_what_a_full_disk_has_refused_is_never_written(path: Path, room: int) -> None:
    resource = pytest.importorskip("resource")
    made = stored(path)
    held = path.read_bytes()
    file = CheckpointFile(path)

    def fail() -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(held) + room, limits[1]))
        try:
            file.store(made[0])
        except OSError as error:
            full.append(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    full = list[OSError]()
    fail()
    assert path.read_bytes() == held
    fail()
    file.close()
    assert len(full) == 2
    assert path.read_bytes() == held
    with CheckpointFile(path) as file:
        fail()
        file.store(made[1], note="after")
    with CheckpointFile(path) as file:
        assert (file.checkpoint, file.note) == (made[1], "after")


def test_a_link_is_not_followed(path: Path) -> None:
    stored(path)
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(OSError, match="link"):
        CheckpointFile(link)


def test_two_that_begin_at_once_do_not_replace_each_other(path: Path) -> None:
    made = stored(path.with_name("other"))
    path.with_name("other").unlink()
    with CheckpointFile(path) as first, CheckpointFile(path) as second:
        first.store(made[0])
        with pytest.raises(CheckpointError, match="begun by another process"):
            second.store(made[1])
        first.store(made[2])
    assert names_beside(path) == [path.name]
    with CheckpointFile(path) as again:
        assert again.checkpoint == made[2]


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_file_that_disappears_while_it_is_open_is_told(path: Path, replaced: bool) -> None:
    made = stored(path)
    with CheckpointFile(path) as file:
        content = path.read_bytes()
        path.unlink()
        if replaced:
            path.write_bytes(content)
        with pytest.raises(CheckpointError, match="removed or replaced"):
            file.store(made[-1])


def cycle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


@pytest.mark.parametrize(
    ("note", "kind"),
    [
        *(({"length": value}, ValueError) for value in (float("nan"), float("inf"), cycle(), 10**5000)),
        # As `os.fsdecode` returns the name of a file that is not in UTF-8.
        *((value, ValueError) for value in ("calls\udcff.ndjson", {"\ud800": 1})),
        ({"length": {1}}, TypeError),
        (b"", TypeError),
    ],
    ids=["nan", "infinity", "cycle", "digits", "name", "key", "set", "bytes"],
)
def test_a_note_that_could_not_be_read_again_is_refused(path: Path, note: Any, kind: type[Exception]) -> None:
    made = stored(path)
    with CheckpointFile(path) as file, pytest.raises(kind, match=r"^note must be a JSON value"):
        file.store(made[0], note=note)
    with CheckpointFile(path) as file:
        assert (file.checkpoint, file.note) == (made[-1], 3)


def test_what_is_no_checkpoint_is_named(path: Path) -> None:
    text: Any = stored(path)[-1].to_json()
    with CheckpointFile(path) as file, pytest.raises(TypeError, match=r"^checkpoint must be a Checkpoint, not str$"):
        file.store(text)


def test_a_file_stays_where_it_is_if_the_process_goes_to_another_folder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path.parent / "other").mkdir()
    made = stored(path)
    for name in (path.name, "new"):
        monkeypatch.chdir(path.parent)
        with CheckpointFile(name) as file:
            monkeypatch.chdir("other")
            file.store(made[0], note=name)
        with CheckpointFile(path.with_name(name)) as file:
            assert (file.checkpoint, file.note) == (made[0], name)


def test_a_closed_file_stores_nothing(path: Path) -> None:
    made = stored(path)
    file = CheckpointFile(path)
    file.close()
    content = path.read_bytes()
    with pytest.raises(ValueError, match="closed"):
        file.store(made[-1])
    assert path.read_bytes() == content


def names_beside(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())
