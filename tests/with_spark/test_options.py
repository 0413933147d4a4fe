"""The options: each mistake is named on the driver, before a task starts, and no value that may be a secret is shown."""

from __future__ import annotations

import pickle
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async import _platform
from unlimcall_async.spark import UnlimCallDataSource
from unlimcall_async.spark.options import read_options

GOOD = {"accounts": "acme", "start": "2026-01-01"}
SECRET = "unl_live_5ecre7"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accounts": None}, "the option accounts is missing"),
        ({"start": None}, "the option start is missing"),
        ({"tokenenv": "A"}, "tokenenv is not an option: Spark would keep the secret"),
        (
            {"acounts": "a", "strat": "b"},
            "unknown options: acounts, strat; the options are accounts, start, end, settle,",
        ),
        ({"path": "calls"}, "unknown options: path"),
        ({"accounts": "a,,b"}, "none of them may be empty"),
        ({"accounts": " "}, "none of them may be empty"),
        ({"accounts": "a, b,a"}, "accounts has a twice"),
        ({"accounts": "a-b,a.b"}, "the accounts a-b and a.b would have one token, in the variable UNLIMCALL_TOKEN_A_B"),
        ({"accounts": "Acme,acme"}, "the accounts Acme and acme would have one token"),
        ({"start": "2026-01-01T10:00"}, "start must be timezone-aware"),
        ({"start": "yesterday"}, "start must be a date"),
        ({"start": "2026-W01"}, "start must be"),
        ({"end": "2025-12-31"}, "start must not be after end"),
        ({"end": "2026-02-30"}, "end must be a date"),
        ({"settle": "999999999d"}, "settle: '999999999d' is too long"),
        ({"settle": "2 hours"}, "settle: '2 hours' is not a span of time"),
        ({"partition": "0d"}, "a span of time above zero"),
        ({"partition": "month"}, "partition: 'month' is not a span of time"),
        ({"per_minute": "3"}, "per_minute must be a whole number of requests, 4 or more"),
        ({"per_minute": "6e1"}, "per_minute must be a whole number"),
        ({"token_dir": "tokens"}, "token_dir must be the absolute path"),
        ({"token_dir": "/run", "accounts": "../acme"}, "the account '../acme' cannot be the name of a file"),
        ({"token_dir": "/run", "accounts": ".."}, "the account '..' cannot be the name of a file"),
        ({"token_dir": "/run", "token_env": "A"}, "token_env and token_dir exclude each other"),
        ({"redis_url": "redis://h", "redis_url_env": "A"}, "redis_url and redis_url_env exclude each other"),
        ({"base_url": "http://api.example.com"}, "plain http would send the token"),
        ({"redis_url": "http://127.0.0.1"}, "^redis_url: url must begin with redis://"),
        ({"redis_url": "redis://127.0.0.1?db=one"}, "^redis_url: url has an option that is not valid"),
    ],
)
def test_a_mistake_is_named(options: dict[str, str | None], message: str) -> None:
    given = {name: text for name, text in (GOOD | options).items() if text is not None}
    with pytest.raises(ValueError, match=message):
        UnlimCallDataSource(given)


def test_the_token_of_an_account_is_a_file_of_the_folder_on_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_platform, "sys", SimpleNamespace(platform="win32"))
    with pytest.raises(ValueError, match=r"the account 'C:acme' cannot be the name of a file: .*':'"):
        read_options({**GOOD, "token_dir": "/tokens", "accounts": "C:acme"})


@pytest.mark.parametrize(
    "options",
    [
        {"token": SECRET},
        {"Token": SECRET},
        {"token_acme": SECRET},
        {"api_key": SECRET},
        {"password": SECRET},
        {"anything": SECRET},
        {"token_env": SECRET},
        {"redis_url": f"redis://:{SECRET}@127.0.0.1"},
        {"redis_url": f"redis://{SECRET}@127.0.0.1"},
        {"redis_url": f"redis://127.0.0.1?password={SECRET}"},
        {"redis_url": f"rediss://127.0.0.1?ssl_password={SECRET}"},
        {"redis_url": f"redis://127.0.0.1?Password={SECRET}"},
        {"redis_url": f"redis://[{SECRET}"},
        {"redis_url": f"redis://:[{SECRET}]@"},
        {"redis_url_env": f"redis://:{SECRET}@127.0.0.1"},
        {"base_url": f"https://{SECRET}@127.0.0.1"},
    ],
)
def test_a_secret_is_refused_and_not_shown(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"is not an option|unknown options|must|is not a valid URL") as refused:
        UnlimCallDataSource(GOOD | options)
    error: BaseException | None = refused.value
    while error is not None:
        assert SECRET not in f"{error}{error!r}"
        error = None if error.__suppress_context__ else error.__cause__ or error.__context__


def test_names_in_any_case_and_times_in_any_offset() -> None:
    read = read_options({"Accounts": " acme , b&b ", "START": "2026-01-01T02:00:00+02:00", "Partition": "day"})
    assert read == read_options({"accounts": "acme,b&b", "start": "2026-01-01", "partition": "24h"})
    assert read.partition == timedelta(days=1)
    assert read.variables == {"acme": "UNLIMCALL_TOKEN_ACME", "b&b": "UNLIMCALL_TOKEN_B_B"}


def test_one_account_has_the_variable_itself() -> None:
    assert read_options(GOOD | {"token_env": "ACME"}).variables == {"acme": "ACME"}


@given(
    st.lists(
        st.text(st.characters(exclude_characters=","), min_size=1).filter(str.strip), min_size=2, unique_by=str.strip
    )
)
def test_no_two_accounts_have_one_variable(names: list[str]) -> None:
    try:
        read = read_options(GOOD | {"accounts": ",".join(names)})
    except ValueError as error:
        assert "would have one token" in str(error)  # noqa: PT017 # or no error at all
    else:
        assert len({*read.variables.values()}) == len(names)
        assert all(name.isascii() and name.replace("_", "a").isalnum() for name in read.variables.values())


def test_a_pickled_source_holds_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLIMCALL_TOKEN", SECRET)
    monkeypatch.setenv("LIMITS", f"redis://:{SECRET}@127.0.0.1")
    source: Any = UnlimCallDataSource(GOOD | {"redis_url_env": "LIMITS"})
    schema = source.schema()
    stored = pickle.dumps(
        [source, source.reader(schema), source.streamReader(schema), source.reader(schema).partitions()]
    )
    assert SECRET.encode() not in stored
