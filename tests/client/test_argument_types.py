"""Arguments of subclasses: whatever their methods return, an argument counts as the plain value that it holds."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import FunctionType, SimpleNamespace
from typing import Any

import pytest

import unlimcall_async
from tests.client.conftest import AT_ONCE
from tests.disguises import MAY, disguised, plain
from tests.operations.numbers import GB, TO_GB
from unlimcall_async import (
    AsyncClient,
    Balance,
    CallRecord,
    Checkpoint,
    RateLimit,
    RateLimits,
    RetryPolicy,
    operations,
    webhooks,
)
from unlimcall_async import sandbox as sandboxes
from unlimcall_async.cdrs.checkpoint import Place, StreamCheckpoint
from unlimcall_async.cdrs.follow_checkpoint import FollowCheckpoint, TailPlace
from unlimcall_async.cdrs.resource import Cdrs
from unlimcall_async.cdrs.times import to_micros
from unlimcall_async.operations import (
    BillCheck,
    CallerId,
    CallerIdHealth,
    CallerIdPool,
    CarrierMonitor,
    CreditMonitor,
    CreditWatch,
    EventLog,
    EventReconciler,
    InvoiceLine,
    KeptBalance,
    SpendTally,
    balance_falls,
    check_bill,
)
from unlimcall_async.resources import Calls, Hooks
from unlimcall_async.sandbox import Sandbox, SandboxAgent, SandboxCall, generate_traffic
from unlimcall_async.webhooks import CallEnded, SQLiteStore, sign, verify

Dress = Callable[[Any], Any]

HOUR = timedelta(hours=1)
HOOK = "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"
BODY, SECRET = b'{"event": "call.ended", "eventId": "1"}', "whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01"
BALANCE = Balance(30, "USD", "prepaid", None, blocked=False, stale=False)  # type: ignore[arg-type] # an int serves


SEEN = SQLiteStore(":memory:")
NO_RECORDS: Any = ()
NOBODY, WATCHED = AsyncClient("unl_test_token"), CreditMonitor(25, "USD")


async def streamed(stream: AsyncIterable[Any]) -> list[Any]:
    return [record async for record in stream]


# --- what goes over the wire ----------------------------------------------------------------------------------------

# Each method, with all of its arguments that are texts, numbers or times.
SENT: dict[str, Callable[[AsyncClient, Dress], Awaitable[object]]] = {
    "me": lambda client, d: client.me(timeout=d(9.0), headers=d({"X-Trace": "t"})),
    "balance": lambda client, d: client.balance(timeout=d(9), headers=d({"X-Trace": "t"})),
    "agents": lambda client, d: client.agents(timeout=d(9.0), headers=d({"X-Trace": "t"})),
    "cdrs.list": lambda client, d: client.cdrs.list(
        start=d(MAY - HOUR), end=d(MAY), limit=d(7), timeout=d(9.0), headers=d({"X-Trace": "t"})
    ),
    "cdrs.stream": lambda client, d: streamed(
        client.cdrs.stream(
            start=d(MAY - HOUR), end=d(MAY), concurrency=d(2), page_size=d(50), settle=d(HOUR), strategy=d("auto")
        )
    ),
    "cdrs.verify": lambda client, d: client.cdrs.verify(
        [], start=d(MAY - HOUR), end=d(MAY), concurrency=d(2), strategy=d("auto")
    ),
    "calls.create": lambda client, d: client.calls.create(
        ai_agent_id=d("27"),
        to_number=d("+14155551234"),
        from_number=d(GB),
        metadata=d({"a": "b", "c": [1, 2.5]}),
        timeout=d(9.0),
        headers=d({"X-Trace": "t"}),
    ),
    "hooks.create": lambda client, d: client.hooks.create(
        event=d("call.ended"),
        target_url=d("https://example.com/hooks"),
        timeout=d(9.0),
        headers=d({"X-Trace": "t"}),
    ),
    "hooks.delete": lambda client, d: client.hooks.delete(hook_id=d(HOOK), timeout=d(9.0), headers=d({"X-Trace": "t"})),
    "request": lambda client, d: client.request(
        method=d("GET"),
        path=d("/numbers"),
        params=d({"a": "b", "c": 1, "e": 2.5}),
        timeout=d(9.0),
        headers=d({"X-Trace": "t"}),
    ),
}


@pytest.fixture
async def full(sandbox: Sandbox) -> Sandbox:
    sandbox.add_calls(generate_traffic(120, start=MAY - HOUR, end=MAY))
    return sandbox


@pytest.mark.parametrize("name", SENT)
async def test_a_disguised_argument_sends_the_same_request(full: Sandbox, name: str) -> None:
    sent = []
    for dress in (plain, disguised):
        options: dict[str, Any] = {
            "token": dress(full.token), "base_url": dress(full.url), "timeout": dress(10.0), "max_connections": dress(9)
        }  # fmt: skip
        async with AsyncClient(**options, retry=AT_ONCE, rate_limits=RateLimits.unlimited()) as client:
            try:
                outcome = await SENT[name](client, dress)
            except unlimcall_async.NotFoundError as error:
                outcome = error.code
        asked = [(each.method, each.path, dict(each.query), dict(each.headers), each.body) for each in full.requests]
        sent.append((asked, outcome if name.startswith("cdrs") else None))
        full.requests.clear()
    assert sent[0][0], "nothing was sent"
    assert sent[1] == sent[0]


async def test_a_disguised_argument_begins_the_same_follow(full: Sandbox, client: AsyncClient) -> None:
    for dress in (plain, disguised):
        follow = client.cdrs.follow(dress(MAY - HOUR), interval=dress(HOUR), lookback=dress(HOUR))
        async with follow:
            first = [await anext(aiter(follow)) for _ in range(1)]
        assert first[0].start_time == min(call.start_time for call in full.calls)
        assert Checkpoint.from_json(dress(follow.checkpoint.to_json())) == follow.checkpoint


# --- what stays on this machine -------------------------------------------------------------------------------------


def pool() -> CallerIdPool:
    return CallerIdPool([CallerId(GB, campaign="spring")])


def billed(d: Dress) -> BillCheck:
    lines = [InvoiceLine(number=1, amount=Decimal("0.05"), currency="USD", start=MAY - HOUR)]
    calls = [CallRecord(id="1", start_time=MAY - HOUR, duration=1, billsec=1, sell_price_cents=5, currency="USD")]
    return check_bill(lines, calls, start=d(MAY - 2 * HOUR), end=d(MAY), start_tolerance=d(timedelta(seconds=3)))


def burned(d: Dress) -> object:
    given = pool()
    given.burn(d(GB), until=d(MAY))
    return given.burned(now=d(MAY - HOUR))


def restored(d: Dress) -> object:
    given = pool()
    given.burn(GB)
    given.restore(d(GB))
    text = given.to_json()
    given.remove(d(GB))
    return text, len(given)


def monitor(d: Dress) -> CreditMonitor:
    return CreditMonitor(d(25), d("USD"), ahead=d(HOUR), stale_after=d(HOUR))


def reconciler(d: Dress) -> EventReconciler:
    spans = ("grace", "delay", "arrival", "early", "tolerance", "horizon", "span")
    shares = {"start_above": d(0.5), "end_below": d(0.1), "minimum": d(7)}
    return EventReconciler(lines=[d("unl_001")], **{name: d(HOUR) for name in spans}, **shares)


def swept(d: Dress) -> object:
    given = reconciler(d)
    given.seen(CallEnded(type="call.ended", call_id="1"), at=d(MAY))
    given.sweep(now=d(MAY))
    return given.waiting, given.to_json()


def event_of(d: Dress) -> object:
    return sandboxes.events.new_event(
        "dnc.added", None, event_id="1", occurred_at=d(MAY), envelope=sandboxes.Envelope()
    )


KEPT: dict[str, Callable[[Dress], object]] = {
    "RateLimit": lambda d: RateLimit(d(60), per_day=d(9000), burst=d(7)),
    "RetryPolicy": lambda d: RetryPolicy(delays=d([1, 2.5]), jitter=d(0.5), max_retry_after=d(7)),
    "CallerId": lambda d: CallerId(d(GB), d("GB"), d("spring")),
    "CallerIdPool": lambda d: CallerIdPool(fallback=d(["country", "any"])).fallback,
    "CallerIdPool.burn, burned": burned,
    "CallerIdPool.restore, remove": restored,
    "CallerIdPool.select": lambda d: pool().select(d(TO_GB), campaign=d("spring"), now=d(MAY)),
    "CallerIdHealth": lambda d: vars(CallerIdHealth([], minimum=d(7), short_seconds=d(6), margin=d(0.5))),
    "CarrierMonitor": lambda d: [
        vars(CarrierMonitor(span=d(HOUR), start_above=d(0.5), end_below=d(0.1), minimum=d(7)))[name]
        for name in ("_step", "_start_above", "_end_below", "_minimum")
    ],
    "CreditMonitor": lambda d: vars(monitor(d)),
    "CreditMonitor.note": lambda d: monitor(d).note(BALANCE, at=d(MAY)),
    "CreditMonitor.missed": lambda d: monitor(d).missed(at=d(MAY)),
    "CreditWatch": lambda d: {
        name: value
        for name, value in vars(
            CreditWatch(NOBODY, WATCHED, interval=d(HOUR), spend_over=d(HOUR), spend_every=d(HOUR))
        ).items()
        if not callable(value)
    },
    "EventReconciler": lambda d: vars(reconciler(d))["_rules"],
    "EventReconciler.seen, sweep": swept,
    "EventReconciler.watch": lambda d: type(reconciler(d).watch(NO_RECORDS, every=d(HOUR))),
    "EventLog": lambda d: vars(EventLog(SEEN, keep=d(HOUR)))["_keep"],
    "InvoiceLine": lambda d: InvoiceLine(number=1, amount=Decimal(5), start=d(MAY)),
    "check_bill": lambda d: billed(d).rows(),
    "KeptBalance": lambda d: KeptBalance(d(MAY), Decimal(1), "USD"),
    "balance_falls": lambda d: balance_falls(
        [KeptBalance(MAY - HOUR, Decimal(3), "USD"), KeptBalance(MAY, Decimal(1), "USD")], d(MAY - HOUR), d(MAY)
    ),
    "SpendTally": lambda d: SpendTally(d(HOUR)).spend,
    "sign": lambda d: sign(d(BODY), d(SECRET), d(1_780_000_000)),
    "sign, a fraction": lambda d: sign(d(BODY), d(SECRET), d(1_780_000_000.5)),
    "verify": lambda d: verify(
        d(BODY), d(sign(BODY, SECRET, 1000)), d([SECRET]), tolerance=d(300), now=d(1000.5)
    ),
    "StreamCheckpoint": lambda d: StreamCheckpoint(d(MAY), d(MAY), newest_first=False, place=Place(to_micros(MAY))).to_json(),
    "FollowCheckpoint": lambda d: FollowCheckpoint(d(MAY), TailPlace(to_micros(MAY), to_micros(MAY))).to_json(),
    "SandboxCall": lambda d: sandboxes.calls.page_json(
        1,
        [SandboxCall(id=d("1"), start_time=d(MAY.replace(microsecond=0)), duration=d(1), src=d(GB), extra=d({"a": "b"}))],
    ),
    "SandboxAgent": lambda d: SandboxAgent(id="1", created_at=d(MAY.replace(microsecond=0))).created_at,
    "Sandbox.deliver": event_of,
    "generate_traffic": lambda d: generate_traffic(9, start=d(MAY - HOUR), end=d(MAY), kind="uniform"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_a_disguised_argument_has_the_same_effect(name: str) -> None:
    assert repr(KEPT[name](disguised)) == repr(KEPT[name](plain))


# --- the tables hold every argument ---------------------------------------------------------------------------------

# Each argument that is a time or a span, by the test above that passes it, or by the reason why no disguise can arrive.
TIMES: dict[str, str] = {
    "cdrs.resource.Cdrs.list start, end": "cdrs.list",
    "cdrs.resource.Cdrs.stream start, end, settle": "cdrs.stream",
    "cdrs.resource.Cdrs.verify start, end": "cdrs.verify",
    "cdrs.resource.Cdrs.follow start, interval, lookback": "the follow",
    "cdrs.checkpoint.StreamCheckpoint start, end": "StreamCheckpoint",
    "cdrs.follow_checkpoint.FollowCheckpoint start": "FollowCheckpoint",
    "cdrs.stats.FollowStats waiting_until": "the statistics, which a follow makes",
    "operations.carrier.CarrierMonitor span": "CarrierMonitor",
    "operations.credit.CreditMonitor ahead, stale_after": "CreditMonitor",
    "operations.credit.CreditMonitor.note at": "CreditMonitor.note",
    "operations.credit.CreditMonitor.missed at": "CreditMonitor.missed",
    "operations.events.EventReconciler grace, delay, arrival, early, tolerance, horizon, span": "EventReconciler",
    "operations.event_log.EventLog keep": "EventLog",
    "operations.events.EventReconciler.seen at": "EventReconciler.seen, sweep",
    "operations.events.EventReconciler.watch every": "EventReconciler.watch",
    "operations.events.EventReconciler.sweep now": "EventReconciler.seen, sweep",
    "operations.balances.KeptBalance at": "KeptBalance",
    "operations.balances.balance_falls start, end": "balance_falls",
    "operations.bill.lines.InvoiceLine start": "InvoiceLine",
    "operations.bill.reconciler.BillReconciler start, end, start_tolerance": "check_bill",
    "operations.bill.reconciler.check_bill start, end, start_tolerance": "check_bill",
    "operations.credit_watch.CreditWatch interval, spend_over, spend_every": "CreditWatch",
    "operations.pool.CallerIdPool.burn until": "CallerIdPool.burn, burned",
    "operations.pool.CallerIdPool.burned now": "CallerIdPool.burn, burned",
    "operations.pool.CallerIdPool.select now": "CallerIdPool.select",
    "operations.spending.SpendTally span": "SpendTally",
    "sandbox.account.SandboxAgent created_at": "SandboxAgent",
    "sandbox.calls.SandboxCall start_time": "SandboxCall",
    "sandbox.sandbox.Sandbox.deliver occurred_at": "Sandbox.deliver",
    "sandbox.traffic.generate_traffic start, end": "generate_traffic",
}
# What the package makes and users read.
MADE = {
    *(
        "CallRecord",
        "CdrKey",
        "Agent",
        "BalanceFall",
        "BillFinding",
        "StreamStats",
        "Progress",
        "CarrierAlert",
        "CreditAlert",
        "EventAlert",
        "EventMatch",
        "MissedCall",
        "NoCallerIdError",
        "SeenEvent",
        "Spend",
    ),
    *("Event", "CallEnded", "CallTransferred", "DispositionSet", "DncAdded", "LeadCompleted", "RecoveredCall"),
    "UnknownEvent",
    *(
        "CdrStream",
        "CdrFollow",
        "SandboxEvent",
        "OriginatedCall",
        "WindowSaturatedError",
        "ResponseError",
        "UnreadableRow",
    ),
}


def public_functions(module: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions of a package's surface, the constructors and methods of its classes included."""
    for exported in module.__all__:
        thing = getattr(module, exported)
        if exported in MADE or not callable(thing) or not hasattr(thing, "__qualname__"):
            continue
        where = f"{thing.__module__}.{thing.__qualname__}".removeprefix("unlimcall_async.")
        yield where, thing
        for name, method in vars(thing).items() if inspect.isclass(thing) else ():
            if not name.startswith("_") and isinstance(method, FunctionType):
                yield f"{where}.{name}", method


# What `client.cdrs` and its like are, and the checkpoints, as the surface of a module.
WITHIN = SimpleNamespace(
    Calls=Calls, Cdrs=Cdrs, Hooks=Hooks, StreamCheckpoint=StreamCheckpoint, FollowCheckpoint=FollowCheckpoint
)
WITHIN.__all__ = list(vars(WITHIN))
SURFACE: list[Any] = [unlimcall_async, operations, webhooks, sandboxes, WITHIN]


def arguments_of(*kinds: str) -> set[str]:
    """The functions that take such values, each with the names of the arguments."""
    found = set()
    for where, function in (each for module in SURFACE for each in public_functions(module)):
        try:
            parameters = inspect.signature(function).parameters.values()
        except ValueError:  # a type alias
            continue
        # A clock is a function, whose results are checked where they are used.
        names = [
            each.name
            for each in parameters
            if any(kind in str(each.annotation) for kind in kinds) and each.name != "clock"
        ]
        if names:
            found.add(f"{where} {', '.join(names)}")
    return found


def test_the_tables_hold_every_time_that_a_user_can_pass() -> None:
    assert arguments_of("datetime", "timedelta") == set(TIMES)
    assert {test for test in TIMES.values() if not test.startswith("the ")} <= SENT.keys() | KEPT.keys()


def test_the_tables_hold_every_method_that_sends_what_a_user_passes() -> None:
    methods = {each.partition(" ")[0] for each in arguments_of("str", "int", "float", "datetime")}
    resources = ("resources.Calls.", "resources.Hooks.", "cdrs.resource.Cdrs.", "client.AsyncClient.")
    sending = {each.rpartition(".")[2] for each in methods if each.startswith(resources)}
    assert sending - {"with_options", "follow"} == {name.rpartition(".")[2] for name in SENT}


# --- what only looks like a time ------------------------------------------------------------------------------------


class Missing(datetime):
    """The missing time of pandas, which is a datetime."""

    year = month = float("nan")  # type: ignore[assignment] # that is how pandas does it

    def utcoffset(self) -> timedelta:
        raise ValueError("NaTType does not support utcoffset")


class OwnDate(date):
    """A date like that of pendulum."""


HOW = r"write datetime\(2026, 5, 24, tzinfo=UTC\)"


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        (date(2026, 5, 24), TypeError, f"start must be a datetime, not date: {HOW}$"),
        (OwnDate(2026, 5, 24), TypeError, f"start must be a datetime, not OwnDate: {HOW}$"),
        ("2026-05-24", TypeError, f"start must be a datetime, not str: {HOW}, or datetime.fromisoformat"),
        (1779580800, TypeError, f"start must be a datetime, not int: {HOW}, or datetime.fromtimestamp"),
        (None, TypeError, f"start must be a datetime, not NoneType: {HOW}$"),
        (datetime(2026, 5, 24), ValueError, f"start must be timezone-aware: .* {HOW} for UTC"),  # noqa: DTZ001 # naive on purpose
        (Missing(2026, 5, 24), ValueError, "start must be a time from the year 1 to the year 9999"),  # as just said
    ],
)
def test_what_is_not_a_time_is_refused_with_the_way_to_write_it(
    client: AsyncClient, value: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        client.cdrs.stream(value, MAY)


def test_a_settle_beyond_the_calendar_is_named(client: AsyncClient) -> None:
    with pytest.raises(ValueError, match="settle must not reach back beyond the year 1"):
        client.cdrs.stream(MAY, settle=timedelta.max)
