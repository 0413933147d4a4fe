"""`Accounts`: what it is made of, its clients, their limits and their connections."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import traceback
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.accounts.support import END, START, UNLIMITED, AccountsServer, accounts_of, ids, rows, served, token_of
from unlimcall_async import (
    AsyncClient,
    AuthenticationError,
    ClientClosedError,
    Observer,
    RateLimit,
    RateLimits,
    RetryPolicy,
    TransportError,
)
from unlimcall_async.accounts import AccountErrorGroup, Accounts, AccountsPull

SECRET = "unl_live_f1nd-m3-1f-y0u-c4n"
GIVEN = {"acme": SECRET, "globex": "unl_live_another"}
WITH_PASSWORD = f"token='x'\nbase_url='https://acme:{SECRET}@example.com'"


def own_frames(error: BaseException) -> str:
    """Return what a traceback shows of the package's frames. The frame of a test holds the token itself."""
    assert error.__context__ is None or error.__suppress_context__
    frames = [
        frame for frame, _ in traceback.walk_tb(error.__traceback__) if "unlimcall_async" in frame.f_code.co_filename
    ]
    assert frames
    return repr([frame.f_locals for frame in frames])


async def count(pull: AccountsPull) -> int:
    return sum([len(batch) async for _, batch in pull])


# --- what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accounts", "options", "message"),
    [
        ({}, {}, "accounts must not be empty"),
        (["acme"], {}, "accounts must be a mapping of names to tokens, not list"),
        ({"": SECRET}, {}, "the name of an account must not be empty"),
        ({SECRET: "acme"}, {}, "the name of an account must not be a token; accounts is a mapping of names to tokens"),
        ({SECRET: 7}, {}, "the name of an account must not be a token"),
        ({7: SECRET}, {}, "the name of an account must be a str, not int"),
        ({"acme": None}, {}, r"accounts\['acme'\] must be a str, not NoneType"),
        ({"acme": f"{SECRET}\n"}, {}, r"accounts\['acme'\] must be visible ASCII without spaces"),
        (GIVEN, {"base_url": "http://example.com"}, "^base_url: plain http would send the token"),
        (GIVEN, {"timeout": 0}, "^timeout must be"),
        (GIVEN, {"max_connections": 0}, "^max_connections must be"),
        (GIVEN, {"rate_limits": 60}, "^rate_limits must be"),
        (GIVEN, {"retry": 3}, "^retry must be"),
        (GIVEN, {"observer": object()}, "observer"),
        (GIVEN, {"proxy": "socks5://proxy.example:1080"}, "proxy"),
        (GIVEN, {"tokens": 1}, "tokens"),
    ],
)
def test_what_a_client_refuses_is_refused(accounts: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        Accounts(accounts, **options)
    assert SECRET[9:] not in own_frames(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file has no accounts: write a table [accounts.NAME] for each"),
        ("[accounts]", "the file has no accounts"),
        ("accounts = 7", "the file has no accounts"),
        ("[account.acme]\ntoken = 'x'", "account is unknown; the file has a table [accounts.NAME]"),
        ("[accounts]\nacme = 'x'", "accounts.acme must be a table, [accounts.acme], with one of token_env, token_file"),
        ("[accounts.acme]", "accounts.acme must have one of token_env, token_file, token, and has none"),
        (
            "[accounts.acme]\ntoken='x'\ntoken_env='Y'",
            "accounts.acme must have one of token_env, token_file, token, and",
        ),
        (
            "[accounts.acme]\ntokn='x'",
            "accounts.acme: tokn is unknown; the keys are token_env, token_file, token, base_url",
        ),
        (f"{SECRET} = 'acme'", "unl_live_*** is unknown; the file has a table"),
        (f"x{SECRET} = 'acme'", "xunl_live_*** is unknown; the file has a table"),
        (f"my_{SECRET} = 'acme'", "my_unl_live_*** is unknown; the file has a table"),
        (f"[accounts.{SECRET}]\n" * 2, "it is not TOML: Cannot declare ('accounts', 'unl_live_***') twice"),
        (f"[accounts.{SECRET}]\ntoken='acme'", "the name of an account must not be a token: accounts.unl_live_***"),
        ("[accounts.acme]\ntoken=7", "accounts.acme.token must be a text, not an integer"),
        ("[accounts.acme]\ntoken=['x']", "accounts.acme.token must be a text, not an array"),
        ("[accounts.acme]\ntoken=' '", "accounts.acme.token must be a text, and not empty"),
        ("[accounts.acme]\ntoken='a b'", "accounts.acme.token: the text is not a bare token or secret"),
        (
            "[accounts.acme]\ntoken='Bearer x'",
            "accounts.acme.token: the text is not a bare token or secret: it begins with",
        ),
        (
            "[accounts.acme]\ntoken_env='NO_SUCH_TOKEN'",
            "accounts.acme.token_env: the environment variable NO_SUCH_TOKEN is not",
        ),
        ("[accounts.acme]\ntoken_file='none.txt'", "accounts.acme.token_file: cannot read "),
        ("[accounts.'a b'.c]\ntoken='x'", "accounts.'a b': c is unknown"),
        ("[accounts.acme]\ntoken='x'\nbase_url='http://example.com'", "accounts.acme: base_url: plain http would send"),
        (
            "[accounts.acme]\ntoken='x'\nbase_url='acme'",
            "accounts.acme: base_url must be an absolute http or https URL",
        ),
        (
            "[accounts.acme]\ntoken='x'\n[accounts.acme]\ntoken='y'",
            "it is not TOML: Cannot declare ('accounts', 'acme') twice",
        ),
        ("[accounts.acme]\ntoken='x'\ntoken='y'", "it is not TOML: Cannot overwrite a value (at "),
        ("[accounts.acme]\ntoken=x", "it is not TOML: "),
        ("[accounts.acme]\ntoken_file='~nobody-at-all/t'", "accounts.acme.token_file: the path begins with ~"),
        ("[accounts.'']\ntoken='x'", "the name of an account must not be empty"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"accounts\.toml: ") as caught:
        Accounts.from_file(file)
    assert str(caught.value).removeprefix(f"{file}: ").startswith(message)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*none\.toml: No such file"):
        Accounts.from_file(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"bytes\.toml: it is not UTF-8"):
        Accounts.from_file(tmp_path / "bytes.toml")


def test_no_error_of_a_file_shows_a_token(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    tables = [
        f"token='{SECRET}'\n{wrong}" for wrong in ("base_url='acme'", "tokn='x'", "token_env='X'", "x=", "base_url=7")
    ]
    misplaced = [f"{key}='{SECRET}'" for key in ("token_env", "token_file", "base_url")]
    for table in [*tables, *misplaced, "token_env='f1nd-m3-1f-y0u-c4n'", f"token='a {SECRET}'", WITH_PASSWORD]:
        file.write_text(f"[accounts.acme]\n{table}")
        with pytest.raises(ValueError, match=r"acme|TOML") as caught:
            Accounts.from_file(file)
        assert SECRET[9:] not in repr(caught.value)
        assert SECRET[9:] not in own_frames(caught.value)


@pytest.mark.slow
async def test_tokens_come_from_variables_from_files_and_from_the_file_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = AccountsServer({name: rows(name, 1) for name in ("env", "file", "own")})
    async with served(server) as url:
        monkeypatch.setenv("ENV_TOKEN", f" {token_of('env')}\n")
        (tmp_path / "secrets").mkdir()
        secret = tmp_path / "secrets" / "file.txt"
        secret.write_text(f"{token_of('file')}\n")
        # As Kubernetes and Docker mount secrets.
        secret.chmod(0o444)
        file = tmp_path / "accounts.toml"
        file.write_text(
            f"[accounts.env]\ntoken_env = 'ENV_TOKEN'\n[accounts.file]\ntoken_file = 'secrets/file.txt'\nbase_url = '{url}'\n"
            f"[accounts.own]\ntoken = '{token_of('own')}'"
        )
        async with Accounts.from_file(str(file), base_url=url, rate_limits=UNLIMITED) as accounts:
            assert accounts.names == ("env", "file", "own")
            assert await count(accounts.pull(START, END)) == 3
    assert caplog.records == []
    if os.name == "posix":
        secret.chmod(0o666)
        Accounts.from_file(file, base_url=url)
        assert [record.getMessage() for record in caplog.records] == [
            f"other users can write {secret}; run: chmod 600 {secret}"
        ]


def test_the_token_and_the_proxys_password_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    accounts = Accounts(GIVEN, proxy="http://user:hidden-word@proxy.example:3128")
    shown = f"{accounts!r} {vars(accounts)!r} {accounts.client('acme')!r} {caplog.text}"
    assert SECRET[9:] not in shown
    assert "hidden-word" not in shown
    assert repr(accounts) == "<Accounts of 2 accounts, open>"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(accounts)


# --- clients --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_client_is_a_view_on_the_shared_connections() -> None:
    async with accounts_of(AccountsServer({"a": rows("a", 3), "b": []})) as accounts:
        async with accounts.client("a") as first, accounts.client("b") as other:
            assert (await first.me()).customer_id == "a"
            assert (await other.me()).customer_id == "b"
            assert first._caller.pool._connections is other._caller.pool._connections
        # The connections stay open.
        client = accounts.client("a")
        assert [record.id async for record in client.cdrs.stream(START, END)] == ids("a", 3)
        with pytest.raises(ClientClosedError):
            await first.me()
        with pytest.raises(ValueError, match="there is no account 'c'"):
            accounts.client("c")
    with pytest.raises(ClientClosedError, match="is closed"):
        await client.me()
    with pytest.raises(ClientClosedError, match="these Accounts are closed"):
        accounts.client("a")


@pytest.mark.slow
@pytest.mark.looptime
async def test_one_pool_serves_several_servers_and_its_size_is_that_of_all(tmp_path: Path) -> None:
    first = AccountsServer({f"a{number}": rows(f"a{number}", 700) for number in range(6)})
    other = AccountsServer({f"b{number}": rows(f"b{number}", 700) for number in range(6)}, most=0)
    most = 0

    async def watch() -> None:
        nonlocal most
        most = max(most, first.under_way + other.under_way)
        await asyncio.sleep(1)

    for server in (first, other):
        server.answers = dict.fromkeys(server.rows, watch)
    async with served(first) as url, served(other) as other_url:
        file = tmp_path / "accounts.toml"
        tables = (f"[accounts.{name}]\ntoken = '{token_of(name)}'" for name in first.rows)
        others = (f"[accounts.{name}]\ntoken = '{token_of(name)}'\nbase_url = '{other_url}'" for name in other.rows)
        file.write_text("\n".join([*tables, *others]))
        async with Accounts.from_file(file, base_url=url, max_connections=3, rate_limits=UNLIMITED) as accounts:
            assert await count(accounts.pull(START, END, at_once=12)) == 12 * 700
    assert 1 < most <= 3


@pytest.mark.slow
async def test_a_session_that_was_handed_in_is_used_and_left_open() -> None:
    async with aiohttp.ClientSession() as session:
        async with accounts_of(AccountsServer({"a": rows("a", 2)}), session=session) as accounts:
            assert await count(accounts.pull(START, END)) == 2
            assert accounts.client("a")._caller.pool._connections.session is session
        assert not session.closed


async def test_an_observer_sees_the_calls_of_all_accounts() -> None:
    seen = []

    class Seen(Observer):
        def call(self, info: Any) -> None:
            seen.append((info.endpoint, info.status))

    async with accounts_of(AccountsServer({"a": rows("a", 2), "b": []}), "c", observer=Seen()) as accounts:
        with pytest.raises(AccountErrorGroup):
            await count(accounts.pull(START, END))
    assert sorted(seen) == [("cdrs", 200), ("cdrs", 200), ("cdrs", 401)]


def test_a_second_event_loop_is_refused() -> None:
    accounts = Accounts({"a": "unl_test_a"}, base_url="http://127.0.0.1:9", retry=RetryPolicy(delays=()))

    async def ask() -> None:
        with pytest.raises(AccountErrorGroup) as caught:
            await accounts.each(lambda _, client: client.me())
        raise caught.value.errors[0].__cause__ or AssertionError

    with asyncio.Runner() as runner:
        with pytest.raises(TransportError):
            runner.run(ask())
        with pytest.raises(RuntimeError, match="belongs to another event loop"):
            asyncio.run(ask())
        runner.run(accounts.aclose())


# --- limits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.looptime
async def test_an_account_that_is_pulled_again_keeps_its_limit() -> None:
    server = AccountsServer({"a": rows("a", 3), **{f"b{number}": [] for number in range(80)}})
    limits = RateLimits(cdrs=RateLimit(2, burst=2))
    async with accounts_of(server, rate_limits=limits) as accounts:
        for _ in range(3):
            await count(accounts.pull(START, END, concurrency=1))
            gc.collect()
        asked = server.asked["a"]
        assert len(asked) == 3
        assert asked[2] - asked[0] >= 60
        # Each account was asked within this minute.
        assert len(accounts._kept) == 81
        await asyncio.sleep(61)
        accounts.pull(START, END)
        assert not accounts._kept


@pytest.mark.looptime
async def test_a_client_that_somebody_holds_keeps_its_limit() -> None:
    server = AccountsServer({"a": []})
    async with accounts_of(server, rate_limits=RateLimits(me=RateLimit(1))) as accounts:
        view = accounts.client("a").with_options(timeout=5)
        await asyncio.sleep(100)
        accounts._forget()
        await view.me()
        del view
        gc.collect()
        await accounts.client("a").me()
    assert server.asked["a"][1] - server.asked["a"][0] >= 60


# --- any work -------------------------------------------------------------------------------------------------------------


async def test_work_for_each_account_returns_its_results_in_order() -> None:
    async with accounts_of(AccountsServer({f"a{number}": [] for number in range(40)})) as accounts:
        found = await accounts.each(lambda _, client: client.me(), at_once=3)
    assert [*found] == [f"a{number}" for number in range(40)]
    assert all(identity.customer_id == name for name, identity in found.items())


async def test_the_results_of_the_others_are_in_the_error() -> None:
    async def work(name: str, client: AsyncClient) -> str:
        if name == "b":
            raise ZeroDivisionError("of the user's own")
        if name == "c":
            raise asyncio.CancelledError
        return (await client.me()).customer_id

    async with accounts_of(AccountsServer({name: [] for name in "abcd"}), "e") as accounts:
        with pytest.raises(AccountErrorGroup, match="3 of 5 accounts failed: 'b', 'c', 'e'") as caught:
            await accounts.each(work)
    assert caught.value.results == {"a": "a", "d": "d"}
    causes = [type(each.__cause__) for each in caught.value.exceptions]
    assert causes == [ZeroDivisionError, asyncio.CancelledError, AuthenticationError]
    assert caught.value.errors[0].category == "application"
    assert caught.value.errors[0].checkpoint is None


async def test_work_that_closes_its_client_is_the_failure_of_its_account() -> None:
    async def work(name: str, client: AsyncClient) -> str:
        if name == "b":
            await client.aclose()
        return (await client.me()).customer_id

    async with accounts_of(AccountsServer({name: [] for name in "abc"})) as accounts:
        with pytest.raises(AccountErrorGroup) as caught:
            await accounts.each(work)
    assert caught.value.results == {"a": "a", "c": "c"}
    assert isinstance(caught.value.errors[0].__cause__, ClientClosedError)


async def test_what_concerns_the_program_ends_the_work() -> None:
    async def work(name: str, _client: AsyncClient) -> None:
        if name == "b":
            raise Stop
        await asyncio.Event().wait()

    async with accounts_of(AccountsServer({name: [] for name in "abc"})) as accounts:
        with pytest.raises(Stop):
            await accounts.each(work)
        with pytest.raises(TypeError, match="work must be an async function"):
            await accounts.each("me")  # type: ignore[arg-type] # on purpose


class Stop(BaseException):
    """Stands for `KeyboardInterrupt`, after which pytest would end."""


@pytest.mark.looptime
async def test_a_wait_for_the_rate_limit_lends_the_place() -> None:
    async def work(name: str, client: AsyncClient) -> float:
        for _ in range(2 if name.startswith("slow") else 1):
            await client.me()
        return asyncio.get_running_loop().time()

    server = AccountsServer({"slow1": [], "slow2": [], **{f"a{number}": [] for number in range(5)}})
    async with accounts_of(server, rate_limits=RateLimits(me=RateLimit(1))) as accounts:
        began = asyncio.get_running_loop().time()
        ended = await accounts.each(work, at_once=2)
    assert all(at - began < 5 for name, at in ended.items() if not name.startswith("slow"))
    assert all(60 <= ended[name] - began < 65 for name in ("slow1", "slow2"))
