"""The inputs that fuzzing has kept: each reader keeps its promise for them, and a target tells if its reader does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzzing import corpus, targets
from tests.fuzzing.corpus import inputs_of
from tests.fuzzing.targets import TARGETS, BrokenError
from unlimcall_async import SignatureError
from unlimcall_async.cdrs.page_reading import read_page

pytestmark = pytest.mark.own_rules


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_keeps_its_promise_for_all_that_fuzzing_has_kept(name: str) -> None:
    for content in inputs_of(name):
        TARGETS[name](content)


def test_each_target_has_inputs_and_nothing_else_has() -> None:
    assert {path.stem for path in corpus.FOLDER.iterdir()} == set(TARGETS)
    assert all(map(inputs_of, TARGETS))


def test_an_input_is_stored_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "FOLDER", tmp_path)
    every = bytes(range(256))
    corpus.keep("page", [every, b"", b"\n", every])
    assert inputs_of("page") == [b"", b"\n", every]


def test_an_error_that_no_reader_documents_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError

    monkeypatch.setattr(targets, "read_page", broken)
    with pytest.raises(IndexError):
        TARGETS["page"](b"{}")


def test_a_row_that_gets_lost_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    content = next(each for each in inputs_of("page") if each.count(b'"id"') == 5)
    TARGETS["page"](content)
    whole = read_page
    monkeypatch.setattr(
        targets, "read_page", lambda body, **rest: whole(body.replace(b'"calls":[', b'"calls":[{},'), **rest)
    )
    with pytest.raises(BrokenError, match="rows: 6 is not 5"):
        TARGETS["page"](content)


def test_a_forged_delivery_that_is_accepted_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "verify", lambda *_, **__: None)
    with pytest.raises(BrokenError, match="a signature that holds the code"):
        TARGETS["signature"](b"t=1748110442,v1=00\n{}")


def test_a_token_in_an_error_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b'401 \n\n{"error":"unauthorized","detail":"Bearer TOKEN"}'
    TARGETS["refusal"](content)
    monkeypatch.setattr("unlimcall_async.http.messages.Authorization.struck_out", lambda _self, text: text)
    with pytest.raises(BrokenError, match="an error shows the token"):
        TARGETS["refusal"](content)


def test_a_genuine_delivery_that_is_refused_by_another_error_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise SignatureError("unheard of")  # type: ignore[arg-type]

    monkeypatch.setattr(targets, "verify", refused)
    with pytest.raises(BrokenError, match="a reason"):
        TARGETS["signature"](b"t=1748110442,v1=MAC\n{}")
