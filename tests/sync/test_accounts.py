"""Names of accounts as folders: each has its own, under a name that every reader takes back to the account."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa  # type: ignore[import-untyped] # it has no types
import pyarrow.dataset as ds  # type: ignore[import-untyped] # as above
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cdrs.raw_server import RawServer, served
from tests.cli.support import names_in
from tests.sync.places import ParquetDays
from tests.sync.support import BEGIN, call, held_by
from tests.sync.test_sync import END, LONG, counts, synced
from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Sandbox
from unlimcall_async.sync import sync_cdrs

ODD = ["..", ".", "a.", "a ", " ", "~", "%41", "a=b", "*?<>|:\\/", "a\0b\n", "\u202e", "é" * 38, "x" * 237]
LIKE_OTHERS = ["None", "nan", "true", "0123", "1e5", "2026-01-01", "CON", "-"]
TAKEN_FOR_MISSING = ["__HIVE_DEFAULT_PARTITION__", "NULL", "null"]
SERVER = RawServer([call(BEGIN, "a"), call(BEGIN, "b")])
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda name: name.upper() not in TAKEN_FOR_MISSING
)


@pytest.mark.slow
@pytest.mark.parametrize("account", [*ODD, *LIKE_OTHERS])
async def test_every_reader_reads_the_name_of_an_account(tmp_path: Path, account: str) -> None:
    place = ParquetDays(tmp_path)
    async with served(SERVER) as client:
        assert counts(await synced(client, place, account=account)) == (2, 0, 0, 0)
        assert counts(await synced(client, place, account=account, lookback=LONG)) == (0, 0, 0, 2)
    assert place.rows(account) == held_by(SERVER, BEGIN, END)
    with closing(duckdb.connect()) as connection:
        found = f"SELECT account FROM read_parquet('{place.path}/**/*.parquet', hive_types_autocast = false)"  # noqa: S608 # ours
        assert connection.execute(found).fetchall() == [(account,)] * 2
    parts = ds.partitioning(pa.schema([("account", pa.string()), ("date", pa.date32())]), flavor="hive")
    assert ds.dataset(place.path, partitioning=parts).to_table()["account"].to_pylist() == [account] * 2
    # What the sync has for itself is in its own folder.
    assert names_in(tmp_path) == [".calls.unlimcall-sync", "calls"]


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(accounts=st.lists(NAMES, min_size=2, max_size=4, unique=True))
async def test_any_accounts_have_their_own_rows(tmp_path_factory: pytest.TempPathFactory, accounts: list[str]) -> None:
    place = ParquetDays(tmp_path_factory.mktemp("accounts"))
    async with served(SERVER) as client:
        await asyncio.gather(*(synced(client, place, account=account) for account in accounts))
    for account in accounts:
        assert place.rows(account) == held_by(SERVER, BEGIN, END)


@pytest.mark.rest_slow
@pytest.mark.parametrize("account", ["x" * 300, "x" * 238, "é" * 60])
async def test_a_name_that_is_too_long_is_refused(tmp_path: Path, account: str) -> None:
    place = ParquetDays(tmp_path)
    async with served(SERVER) as client:
        with pytest.raises(ValueError, match=r"account is too long .* bytes there, and may take 237"):
            await synced(client, place, account=account)
    assert not place.path.exists()


@pytest.mark.parametrize("account", TAKEN_FOR_MISSING)
async def test_a_name_that_readers_take_for_a_missing_value_is_refused(tmp_path: Path, account: str) -> None:
    async with served(SERVER) as client:
        with pytest.raises(ValueError, match=f"account must not be {account}"):
            await synced(client, ParquetDays(tmp_path), account=account)
    assert names_in(tmp_path) == []


async def test_two_accounts_never_share_a_folder(tmp_path: Path) -> None:
    place = ParquetDays(tmp_path)
    async with served(SERVER) as client:
        await synced(client, place, account="Acme")
        # As on a file system that ignores case.
        (place.path / "account=acme").symlink_to("account=Acme")
        with pytest.raises(
            ValueError, match=r"account 'acme' cannot .* account=acme and account=Acme are the same folder"
        ):
            await synced(client, place, account="acme")
        (place.path / "account=acme").unlink()
        assert counts(await synced(client, place, account="Acme", lookback=LONG)) == (0, 0, 0, 2)
    assert place.rows("acme") == Counter()


async def test_an_account_without_a_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox() as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        nameless = evolve(await client.me(), customer_id="")
        monkeypatch.setattr(client, "me", lambda: asyncio.sleep(0, nameless))
        with pytest.raises(ValueError, match="account is missing"):
            await sync_cdrs(client, ParquetDays(tmp_path).url, BEGIN)
    assert names_in(tmp_path) == []
