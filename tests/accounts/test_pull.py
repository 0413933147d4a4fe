"""The pull of many accounts: each account's records, each once and in order, whatever befalls the others."""

from __future__ import annotations

import asyncio
import pickle
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from tests.accounts.support import (
    END,
    START,
    AccountsServer,
    accounts_of,
    error,
    ids,
    refusing,
    rows,
)
from tests.cdrs.raw_server import RawRow, row_text
from unlimcall_async import (
    AuthenticationError,
    Checkpoint,
    CheckpointError,
    ClientClosedError,
    Observation,
    Observer,
    ResponseError,
    RetryPolicy,
    ServerError,
    SuspendedError,
    TransportError,
)
from unlimcall_async.accounts import AccountError, AccountErrorGroup, Accounts, AccountsPull


async def read(pull: AccountsPull, most: int | None = None) -> dict[str, list[str]]:
    """Return the ids of each account that a pull hands out, in at most so many batches."""
    came: dict[str, list[str]] = defaultdict(list)
    batches = 0
    async for account, batch in pull:
        assert batch
        came[account] += [record.id for record in batch]
        batches += 1
        if batches == most:
            break
    return dict(came)


async def failures(pull: AccountsPull) -> tuple[dict[str, list[str]], dict[str, AccountError]]:
    """Return the ids that come before the failures, and the failures."""
    came: dict[str, list[str]] = defaultdict(list)
    try:
        async for account, batch in pull:
            came[account] += [record.id for record in batch]
    except AccountErrorGroup as group:
        return dict(came), {each.account: each for each in group.errors}
    raise AssertionError("no account has failed")


SIZES = {"none": 0, "few": 7, "page": 1000, "many": 2600}


def server_of(**sizes: int) -> AccountsServer:
    return AccountsServer({name: rows(name, size) for name, size in sizes.items()})


@pytest.mark.rest_slow
@pytest.mark.parametrize("at_once", [1, 2, 16])
async def test_each_account_has_its_records_once_and_in_order(at_once: int) -> None:
    async with accounts_of(server_of(**SIZES)) as accounts:
        pull = accounts.pull(START, END, at_once=at_once)
        assert await read(pull) == {name: ids(name, size) for name, size in SIZES.items() if size}
        assert pull.progress.fraction == 1.0
        assert (pull.progress.done, pull.progress.failed, pull.progress.records) == (4, 0, sum(SIZES.values()))
        assert set(pull.checkpoints) == set(SIZES)
        assert repr(pull) == "<AccountsPull of 4 accounts, 4 done, 0 failed, 3,607 records so far>"
        with pytest.raises(TypeError, match="store its checkpoints"):
            pickle.dumps(pull)


@pytest.mark.slow
async def test_the_failure_of_one_account_stops_no_other() -> None:
    server = server_of(good=2500, suspended=10, broken=10, odd=2500, better=3)
    server.answers["suspended"] = error(403, "account_suspended")
    server.rows["odd"][1500] = RawRow(server.rows["odd"][1500].start, b'{"id": 1}')

    server.answers["broken"] = error(500, "internal_error")
    async with accounts_of(server, "revoked") as accounts:
        pull = accounts.pull(START, END)
        came, errors = await failures(pull)
        checkpoints = dict(pull.checkpoints)
    assert came["good"] == ids("good", 2500)
    assert came["better"] == ids("better", 3)
    assert came["odd"][:1500] == ids("odd", 1500)
    assert {name: type(each.__cause__) for name, each in errors.items()} == {
        "suspended": SuspendedError,
        "broken": ServerError,
        "odd": ResponseError,
        "revoked": AuthenticationError,
    }
    assert list(errors) == ["suspended", "broken", "odd", "revoked"]
    assert errors["odd"].category == "provider"
    assert errors["revoked"].category == "application"
    assert all(each.checkpoint == checkpoints[name] for name, each in errors.items())


async def test_a_server_that_is_not_there_is_the_failure_of_its_accounts() -> None:
    async with Accounts(
        {"a": "unl_test_a", "b": "unl_test_b"}, base_url="http://127.0.0.1:9/api/v1", retry=RetryPolicy(delays=())
    ) as accounts:
        _, errors = await failures(accounts.pull(START, END))
    assert [type(each.__cause__) for each in errors.values()] == [TransportError, TransportError]
    assert errors["b"].category == "network"
    assert "account 'b' failed: " in str(errors["b"])


async def test_an_account_error_survives_pickle_with_its_cause() -> None:
    async with accounts_of(server_of(good=1), "revoked") as accounts:
        with pytest.raises(AccountErrorGroup) as caught:
            await read(accounts.pull(START, END))
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 # ours
    (first,) = again.exceptions
    assert isinstance(first, AccountError)
    assert (first.account, first.category, first.checkpoint) == (
        "revoked",
        "application",
        caught.value.errors[0].checkpoint,
    )
    assert isinstance(first.__cause__, AuthenticationError)
    assert str(again) == str(caught.value) == "1 of 2 accounts failed: 'revoked' (1 sub-exception)"
    matched, rest = caught.value.split(AccountError)
    assert isinstance(matched, AccountErrorGroup)
    assert rest is None


# --- going on -------------------------------------------------------------------------------------------------------------


@pytest.mark.rest_slow
@pytest.mark.parametrize("batches", [1, 2, 3, 5])
async def test_a_pull_goes_on_from_its_checkpoints(batches: int) -> None:
    server = server_of(**SIZES, last=1200)
    async with accounts_of(server) as accounts:
        # `end=None` is read once: the checkpoints have it.
        pull = accounts.pull(START, at_once=2)
        first = await read(pull, batches)
        await pull.aclose()
        stored = {name: checkpoint.to_json() for name, checkpoint in pull.checkpoints.items()}
        later = accounts.pull(START, resume={name: Checkpoint.from_json(text) for name, text in stored.items()})
        rest = await read(later)
    for name, size in {**SIZES, "last": 1200}.items():
        assert first.get(name, []) + rest.get(name, []) == ids(name, size)
    assert len({checkpoint.end for checkpoint in later.checkpoints.values()}) == 1  # type: ignore[attr-defined] # of streams


async def test_another_iteration_goes_on_and_tries_failures_again() -> None:
    server = server_of(a=1500, b=1500)
    server.answers["b"] = error(403, "account_suspended")
    async with accounts_of(server) as accounts:
        pull = accounts.pull(START, END)
        came, _ = await failures(pull)
        assert came == {"a": ids("a", 1500)}
        del server.answers["b"]
        assert await read(pull) == {"b": ids("b", 1500)}
        assert await read(pull) == {}


async def test_a_step_that_timed_out_is_no_end() -> None:
    server, go = server_of(a=1500), asyncio.Event()

    async def later() -> web.StreamResponse | None:
        await go.wait()
        return None

    server.answers["a"] = later
    async with accounts_of(server) as accounts:
        batches = aiter(accounts.pull(START, END))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(batches), 0.01)
        go.set()
        came = [record.id async for _, batch in batches for record in batch]
    assert came == ids("a", 1500)


async def test_rows_that_cannot_be_read_can_be_kept() -> None:
    server = server_of(a=5, b=5)
    server.rows["a"][4] = RawRow(server.rows["a"][4].start, b'{"id": 1}')
    async with accounts_of(server) as accounts:
        pull = accounts.pull(START, END, unreadable="keep")
        assert await read(pull) == {"a": ids("a", 4), "b": ids("b", 5)}
        assert {name: len(kept) for name, kept in pull.unreadable.items()} == {"a": 1}


async def test_rows_that_were_offered_before_a_pull_was_left_are_kept_once() -> None:
    names, bad = ("a", "b", "c"), range(25, 200, 50)
    server = server_of(**dict.fromkeys(names, 200))
    for name in names:
        for place in bad:
            row = server.rows[name][place]
            server.rows[name][place] = RawRow(row.start, row_text(row.start, f"{name}.{place}", billsec="true"))
    async with accounts_of(server) as accounts:
        pull = accounts.pull(START, END, unreadable="keep", page_size=50)
        batches = aiter(pull)
        await anext(batches)
        while len(pull._offers) < len(names):  # noqa: ASYNC110 # what is waited for sets no event
            await asyncio.sleep(0)
        await batches.aclose()
        async for _ in pull:
            # The other accounts could go on meanwhile, and their offers wait.
            for _ in range(500):
                await asyncio.sleep(0)
        kept = {name: [row.body for row in rows] for name, rows in pull.unreadable.items()}
    assert kept == {name: [server.rows[name][place].text for place in bad] for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("takes", [False, True])
async def test_no_more_than_10_000_rows_of_an_account_are_kept(takes: bool) -> None:
    server = server_of(a=10_400)
    for place, row in enumerate(server.rows["a"]):
        if place % 50:
            server.rows["a"][place] = RawRow(row.start, row_text(row.start, f"{place}", billsec="true"))
    causes: list[BaseException | None] = []
    async with accounts_of(server) as accounts:
        pull = accounts.pull(START, END, unreadable="keep")
        try:
            async for account, _ in pull:
                if takes:
                    pull.unreadable.pop(account, None)
        except AccountErrorGroup as group:
            causes = [each.__cause__ for each in group.errors]
    assert [type(cause) for cause in causes] == ([] if takes else [ResponseError])
    assert takes or len(pull.unreadable["a"]) == 10_000
    assert not takes or pull.progress.records == 208


async def test_resume_is_checked_before_anything_is_sent() -> None:
    server = server_of(a=5, b=5)
    async with accounts_of(server) as accounts:
        pull = accounts.pull(START, END)
        await read(pull)
        before = server.requests
        with pytest.raises(CheckpointError, match=r"resume\['b'\]: resume is a checkpoint of another range"):
            accounts.pull(START + timedelta(hours=1), END, resume={"b": pull.checkpoints["b"]})
        with pytest.raises(TypeError, match=r"resume\['b'\]: resume must be a Checkpoint, not str"):
            accounts.pull(START, END, resume={"b": pull.checkpoints["b"].to_json()})  # type: ignore[dict-item] # on purpose
        # An account that is no longer there is left out.
        assert await read(accounts.pull(START, END, resume={**pull.checkpoints, "gone": pull.checkpoints["a"]})) == {}
        assert server.requests == before


# --- a slow reader, and the end -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.looptime
async def test_a_slow_reader_holds_back_all_accounts() -> None:
    server = AccountsServer({f"a{number}": rows(f"a{number}", 3000) for number in range(12)})
    async with accounts_of(server) as accounts:
        pull = accounts.pull(START, END, at_once=3)
        batches = aiter(pull)
        await anext(batches)
        await asyncio.sleep(600)
        assert {name for name, asked in server.asked.items() if asked} == {"a0", "a1", "a2"}
        assert len(pull.progress.under_way) == 3
        await batches.aclose()


@pytest.mark.rest_slow
@pytest.mark.parametrize("way", ["break", "aclose", "cancel", "accounts"])
async def test_a_pull_that_is_left_leaves_nothing(way: str) -> None:
    server = AccountsServer({f"a{number}": rows(f"a{number}", 1500) for number in range(6)})
    before = asyncio.all_tasks()
    async with accounts_of(server) as accounts:
        pull = accounts.pull(START, END, at_once=4)
        if way == "break":
            await read(pull, 2)
        elif way == "cancel":
            began = asyncio.Event()

            async def hang() -> web.StreamResponse:
                began.set()
                await asyncio.Event().wait()
                raise AssertionError

            server.answers["a2"] = hang
            task = asyncio.create_task(read(pull))
            await began.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
        else:
            batches = aiter(pull)
            await anext(batches)
            if way == "aclose":
                await pull.aclose()
                with pytest.raises(StopAsyncIteration):
                    await anext(batches)
            else:
                await accounts.aclose()
                with pytest.raises(ClientClosedError):
                    await anext(batches)
        if way == "break":
            await asyncio.sleep(0)  # the loop closes the generator of a bare `break`
            await pull.aclose()
        own = {task for task in asyncio.all_tasks() - before if "accounts.pull" in repr(task) or "_work" in repr(task)}
        assert not own


async def test_a_reader_that_waits_hears_that_the_accounts_are_closed() -> None:
    server = server_of(a=1)
    began = asyncio.Event()

    async def never() -> web.StreamResponse:
        began.set()
        await asyncio.Event().wait()
        raise AssertionError

    server.answers["a"] = never
    async with accounts_of(server) as accounts:
        reading = asyncio.create_task(read(accounts.pull(START, END)))
        await began.wait()
        await accounts.aclose()
        with pytest.raises(ClientClosedError):
            await reading
        with pytest.raises(ClientClosedError, match="these Accounts are closed"):
            accounts.pull(START, END)


async def test_two_iterations_at_once_are_refused() -> None:
    async with accounts_of(server_of(a=1500)) as accounts:
        pull = accounts.pull(START, END)
        first = aiter(pull)
        await anext(first)
        with pytest.raises(RuntimeError, match="one iteration at a time"):
            await anext(aiter(pull))
        await first.aclose()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"at_once": 0}, "at_once must be 1 or more, not 0"),
        ({"concurrency": 0}, "concurrency"),
        ({"page_size": 1001}, "page_size"),
        ({"strategy": "best"}, "strategy must be one of auto, divide"),
        ({"unreadable": "skip"}, "unreadable must be one of"),
        ({"settle": timedelta(-1)}, "settle must not be negative"),
        ({"resume": ["a"]}, "resume must be a mapping"),
    ],
)
async def test_wrong_arguments_are_refused_at_once(given: dict[str, Any], message: str) -> None:
    async with accounts_of(server_of(a=1)) as accounts:
        with pytest.raises((ValueError, TypeError), match=message):
            accounts.pull(START, END, **given)


# --- limits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.looptime
async def test_accounts_that_wait_out_a_429_hold_up_no_other() -> None:
    server = server_of(**{f"busy{number}": 5 for number in range(6)}, a=1500, b=3)
    for number in range(6):
        server.answers[f"busy{number}"] = refusing(1, 300)
    order = []
    loop = asyncio.get_running_loop()
    async with accounts_of(server) as accounts:
        began = loop.time()
        async for account, batch in accounts.pull(START, END, at_once=2):
            order += [(account, round(loop.time() - began)) for _ in batch[:1]]
    assert {account for account, seconds in order if seconds < 10} == {"a", "b"}
    assert len({account for account, seconds in order if 299 < seconds < 330}) == 6


@pytest.mark.slow
@pytest.mark.looptime
async def test_an_account_that_is_always_refused_is_given_up_like_a_stream() -> None:
    server = server_of(**{f"busy{number}": 5 for number in range(4)})
    for name in server.rows:
        server.answers[name] = refusing(None, 30)
    loop = asyncio.get_running_loop()
    async with accounts_of(server, retry=RetryPolicy(rate_limited_for=120)) as accounts:
        began = loop.time()
        came, errors = await failures(accounts.pull(START, END, at_once=1))
        # All wait at once, and not one after the other.
        assert 90 < loop.time() - began < 180
    assert not came
    assert len(errors) == 4


@pytest.mark.slow
@pytest.mark.looptime
async def test_a_server_that_fails_for_long_is_given_up_like_a_streams() -> None:
    server = server_of(down=5, other=5, also_down=5)

    async def unavailable() -> web.StreamResponse:
        return web.json_response({"error": "unavailable"}, status=503, headers={"Retry-After": "50"})

    server.answers = {"down": unavailable, "also_down": unavailable}
    loop = asyncio.get_running_loop()
    async with accounts_of(server, retry=RetryPolicy()) as accounts:
        began = loop.time()
        async with asyncio.timeout(1000):
            came, errors = await failures(accounts.pull(START, END, at_once=1))
        assert loop.time() - began < 400
    assert set(came) == {"other"}
    assert {name: type(each.__cause__) for name, each in errors.items()} == {
        "down": ServerError,
        "also_down": ServerError,
    }


@pytest.mark.rest_slow
@pytest.mark.parametrize("turns", range(8))
async def test_a_pull_that_is_cancelled_as_a_page_comes_goes_on_where_it_was(turns: int) -> None:
    server = server_of(a=2000)
    page_came = asyncio.Event()

    class Watch(Observer):
        def attempt(self, _info: Observation, /) -> None:
            page_came.set()

    async with accounts_of(server, observer=Watch()) as accounts:
        pull = accounts.pull(START, END, page_size=200)
        came: list[str] = []

        async def read_on() -> None:
            async for _, batch in pull:
                came.extend(record.id for record in batch)

        for _ in range(5):
            page_came.clear()
            task = asyncio.create_task(read_on())
            await page_came.wait()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        await read_on()
    assert came == ids("a", 2000)
