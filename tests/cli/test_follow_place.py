"""The checkpoint file of `cdrs follow`: a place comes back wherever the process ends, and each batch costs its own size."""

from __future__ import annotations

import json
import os
import stat
from base64 import b64encode
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import attrs
import pytest

from unlimcall_async import Checkpoint
from unlimcall_async.cli.follow_place import PlaceFile, Stored
from unlimcall_async.cli.output import UnusableError, UnwritableError
from unlimcall_async.cli.rejects import Rejects
from unlimcall_async.cli.sealed import sealed

from .support import names_in

pytestmark = pytest.mark.own_rules

START = datetime(2026, 5, 1, tzinfo=UTC)


def place(number: int) -> Stored:
    """Return the place of a follow that has seen so many records."""
    marks = b"\0" * (18 * number)
    text = {
        "version": 3,
        "kind": "cdrs.follow",
        "start": START.isoformat(),
        "frontier": 1777593600000,
        "edge": 1777593600000 + number,
        "holes": [],
        "cells": [[1777593600000, 1777593900000, None, b64encode(marks).decode()]],
    }
    return Stored(START, Checkpoint.from_json(json.dumps(text)), Rejects("bad", rows=number))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "place"


def written(path: Path, count: int) -> list[Stored]:
    places = [place(number) for number in range(count)]
    file = PlaceFile(path)
    for each in places:
        file.store(each)
    file.close()
    return places


def read(path: Path) -> Stored | None:
    file = PlaceFile(path)
    file.close()
    return file.stored


def test_the_last_place_comes_back(path: Path) -> None:
    assert read(path) is None
    assert names_in(path.parent) == []
    places = written(path, 5)
    assert read(path) == places[-1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes().splitlines()) == 5


def test_a_file_that_was_cut_off_has_the_place_before(path: Path) -> None:
    places = written(path, 4)
    whole = path.read_bytes()
    ends = [at for at, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(ends[0] + 1, len(whole), 7):
        path.write_bytes(whole[:length])
        file = PlaceFile(path)
        assert file.stored == places[sum(end < length for end in ends) - 1]
        file.store(places[-1])
        file.close()
        assert read(path) == places[-1]


def test_the_file_is_written_anew_now_and_then_and_stays_locked(path: Path) -> None:
    file = PlaceFile(path)
    sizes = list[int]()
    for number in range(300):
        file.store(place(number))
        sizes.append(path.stat().st_size)
        if number % 50 == 0 or sizes[-1] < sizes[number - 1]:
            with pytest.raises(UnusableError, match="another process is writing"):
                PlaceFile(path)
    file.close()
    assert 1 <= sum(after < before for before, after in pairwise(sizes)) <= 5
    assert read(path) == place(299)
    assert names_in(path.parent) == ["place"]


@pytest.mark.parametrize("earlier", [1, 120])  # of which the second makes a new base due
def test_a_place_that_could_not_be_stored_is_stored_by_the_next_attempt(
    path: Path, monkeypatch: pytest.MonkeyPatch, earlier: int
) -> None:
    file = PlaceFile(path)
    for number in range(earlier):
        file.store(place(number))
    for number in range(earlier, earlier + 60):
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(UnwritableError, match="No space left"):
                file.store(place(number))
        file.store(place(number))
    file.close()
    assert read(path) == place(earlier + 59)
    assert names_in(path.parent) == ["place"]


def test_a_place_that_a_full_disk_has_refused_is_never_written(path: Path) -> None:
    resource = pytest.importorskip("resource")
    written(path, 2)
    held, file = path.read_bytes(), PlaceFile(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(held), limits[1]))
    try:
        with pytest.raises(UnwritableError):
            file.store(place(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    file.close()
    assert path.read_bytes() == held


def test_the_file_of_an_earlier_release_is_continued(path: Path) -> None:
    old = place(3)
    assert old.rejects is not None
    fields = {"start": START.isoformat(), "checkpoint": json.loads(old.checkpoint.to_json())}
    path.write_text(sealed({**fields, "rejects": attrs.asdict(old.rejects)}))
    path.chmod(0o600)
    file = PlaceFile(path)
    assert file.stored == old
    file.store(place(4))
    file.close()
    assert read(path) == place(4)


def test_a_file_that_was_damaged_is_refused_and_kept(path: Path) -> None:
    written(path, 3)
    whole = path.read_bytes()
    for at in range(0, len(whole), 11):
        damaged = whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :]
        if at >= whole.rindex(b"\n"):
            continue
        path.write_bytes(damaged)
        with pytest.raises(UnusableError, match="is not a checkpoint of a follow of this release, or was changed"):
            PlaceFile(path)
        assert path.read_bytes() == damaged
