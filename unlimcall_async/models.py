"""The payloads of the API: frozen attrs classes with the names of the API reference, in snake case.

Enumerations (disposition, account type, status, event) are plain strings, because the API may add values. A value that this
release does not know arrives unchanged, and `pickle` keeps the value. Every class has an `extra`, which holds the fields that the
API adds later, under the API's own names.

`CallRecord` is also a msgspec struct, because call records are the bulk of all bytes. msgspec decodes a page straight into records,
for less than plain dicts cost, and the garbage collector does not track them. To users a record is an attrs class like the others.

All models have `Model` as their base. `_plain` turns them into plain values and JSON, and `_from_plain` back. `_schema` describes
them to pydantic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, SupportsIndex, TypeAlias, final, get_args, overload

import msgspec
from attrs import field, frozen, resolve_types

from unlimcall_async import _html
from unlimcall_async._model import Model

# The events of `POST /hooks`. `EventType` is open, because the API may add events; an editor suggests those that are known.
_KnownEvent: TypeAlias = Literal["call.ended", "call.transferred", "disposition.set", "dnc.added", "lead.completed"]
EventType: TypeAlias = _KnownEvent | str
EVENTS: Final[tuple[str, ...]] = get_args(_KnownEvent)

# The reference names `ANSWERED` alone, one of the five words of Asterisk. `Disposition` is open: the API may send others.
_KnownDisposition: TypeAlias = Literal["ANSWERED", "NO ANSWER", "BUSY", "FAILED", "CONGESTION"]
Disposition: TypeAlias = _KnownDisposition | str


def _extra() -> Any:
    """Return the attrs field `extra`. The hash leaves it out: a dict has no hash, and models belong in sets."""
    return field(factory=dict, hash=False, kw_only=True)


def _money(value: Decimal) -> Decimal:
    """Return the value as it is. A default `cattrs.Converter` refuses the types below in a field that has no converter."""
    return value


def _time(value: datetime) -> datetime:
    return value


def _window(value: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    return value


@frozen
class Identity(Model):
    """The customer that owns the token (reference: `GET /me`)."""

    customer_id: str
    company_name: str
    primary_contact_email: str
    extra: Mapping[str, Any] = _extra()


@frozen
class Balance(Model):
    """A snapshot of the account's balance (reference: `GET /balance`).

    Attributes:
        balance: Money in `currency`, digit for digit as the API wrote it.
        currency: The currency's code, for example `USD`.
        account_type: `prepaid`, or another type of account.
        credit_limit: Money in `currency`, or `None` if the account has no limit.
        blocked: Whether the account is blocked.
        stale: Whether the snapshot is out of date.
    """

    balance: Decimal = field(converter=_money)
    currency: str
    account_type: str
    credit_limit: Decimal | None
    blocked: bool
    stale: bool
    extra: Mapping[str, Any] = _extra()


@frozen
class Agent(Model):
    """A SIP line (reference: `GET /agents`). `created_at` is in UTC."""

    id: str
    sip_username: str
    label: str
    created_at: datetime = field(converter=_time)
    extra: Mapping[str, Any] = _extra()


def _refuse(*_args: object, **_more: object) -> Any:
    raise TypeError("an empty extra is shared by all records and cannot be changed")


class _EmptyExtra(dict[str, Any]):
    """An empty dict that cannot be changed. Copies of it, by `copy`, `pickle` or `attrs.asdict`, are plain dicts."""

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[()]]:
        return dict, ()


# The `extra` of every record that has only documented fields. A dict for each record would be a tenth of a record's memory.
EMPTY_EXTRA: Final[Mapping[str, Any]] = _EmptyExtra()

# The fields of `CallRecord` for attrs, in the order of the struct's fields.
_REQUIRED: Final = ("id", "start_time", "duration", "billsec")
_OPTIONAL: Final = (
    *("src", "dst", "disposition", "sip_username"),
    *("sell_price_cents", "currency", "country", "did"),
)


@final
@frozen(
    these={
        **{name: field(converter=_time if name == "start_time" else None) for name in _REQUIRED},
        **{name: field(default=None) for name in _OPTIONAL},
        "extra": field(default=EMPTY_EXTRA, hash=False),
    },
    # The struct already has slots, an `__init__` and a `__match_args__`.
    slots=False,
    init=False,
    match_args=False,
)
class CallRecord(Model, msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One call detail record (reference: `GET /cdrs`).

    Attributes:
        id: The call's id. The legs of one call may share an id.
        start_time: When the call started, in UTC.
        duration: Seconds from start to end.
        billsec: Seconds that are billed.
        src: The caller's number.
        dst: The number that was called.
        disposition: `ANSWERED`, or another outcome.
        sip_username: The SIP line that made the call.
        sell_price_cents: The price in cents of `currency`.
        currency: The currency's code.
        country: The destination's country.
        did: The DID number, if the call had one.
        extra: Fields that the API has added since, by name. All records without such fields share one read-only `extra`.
    """

    id: str
    start_time: datetime
    duration: int
    billsec: int
    src: str | None = None
    dst: str | None = None
    disposition: str | None = None
    sip_username: str | None = None
    sell_price_cents: int | None = None
    currency: str | None = None
    country: str | None = None
    did: str | None = None
    extra: Mapping[str, Any] = EMPTY_EXTRA

    def __init_subclass__(cls) -> None:
        if cls.__module__ != "unlimcall_async._pages":
            # A subclass would be a struct but not an attrs class: attrs would not copy or compare the fields that it adds.
            raise TypeError("CallRecord cannot be subclassed; keep a record as an attribute of your own class")


# attrs evaluates annotations only on request. `attrs.fields(CallRecord)` shall show types, not their text.
resolve_types(CallRecord)


@frozen
class CdrPage(Model):
    """The response to one `GET /cdrs` request.

    Attributes:
        count: The number of records that the server states. The reference does not say whether `count` counts rows or matches.
        calls: The records, in server order.
        complete: False if records of the window may be missing: the page holds `limit` rows, or fewer rows than `count`.
    """

    count: int
    calls: tuple[CallRecord, ...]
    complete: bool
    extra: Mapping[str, Any] = _extra()

    def __len__(self) -> int:
        return len(self.calls)

    @overload
    def __getitem__(self, name: SupportsIndex) -> CallRecord: ...
    @overload
    def __getitem__(self, name: slice) -> tuple[CallRecord, ...]: ...
    @overload
    def __getitem__(self, name: str) -> Any: ...
    def __getitem__(self, name: SupportsIndex | slice | str) -> Any:
        return super().__getitem__(name) if isinstance(name, str) else self.calls[name]

    def __iter__(self) -> Iterator[CallRecord]:
        return iter(self.calls)

    def _repr_html_(self) -> str:
        """Return the first records as a table, for notebooks."""
        shown = self.calls[: _html.MOST_ROWS]
        names = [*_REQUIRED, *_OPTIONAL, *(["extra"] if any(record.extra for record in shown) else [])]
        rows = ([getattr(record, name) for name in names] for record in shown)
        state = "complete" if self.complete else "records may be missing"
        title = f"CdrPage: {len(self.calls):,} of {self.count:,}, {state}"
        return _html.table(title, names, rows, len(self.calls) - len(shown))


@frozen
class QueuedCall(Model):
    """A call that was accepted (reference: `POST /calls`). `status` is `queued`."""

    call_id: str
    status: str
    extra: Mapping[str, Any] = _extra()


@frozen
class Hook(Model):
    """A webhook subscription (reference: `POST /hooks`). The API shows `secret` only in this response."""

    id: str
    secret: str = field(repr=False)
    event: str
    target_url: str
    extra: Mapping[str, Any] = _extra()


@frozen
class UnreadableRow(Model):
    """A row of a CDR response that is not a valid call record.

    Attributes:
        window: The `from` and `till` of the request.
        where: The place in the response, for example `calls[17].billsec`.
        reason: What was expected there.
        body: The text of the row, as the server sent it. The text may hold phone numbers.
    """

    window: tuple[datetime, datetime] = field(converter=_window)
    where: str
    reason: str
    body: bytes = field(repr=False)
