"""The payloads of the API: frozen attrs classes, named as the reference names them, in snake case.

Enumerations (disposition, account type, status, event) are plain strings: the API may add values, and a value that
this release does not know must come through unchanged, also through `pickle`. Every class keeps the fields that the
API adds later in `extra`, under the names that the API gives them.

Call records are the bulk of all bytes, so `CallRecord` is also a struct of msgspec, which decodes a page straight into records: for
less than plain dicts cost, and out of sight of the garbage collector. It is an attrs class in all that a user sees of it, but for
what `REPEATING` tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Generic, final

import msgspec
from attrs import field, frozen, resolve_types
from typing_extensions import TypeVar


def _extra() -> Any:
    """Make the field `extra`. It is left out of the hash, because a dict has none and records belong into sets."""
    return field(factory=dict, hash=False, kw_only=True)


@frozen
class Identity:
    """The customer that owns the token (reference: `GET /me`)."""

    customer_id: str
    company_name: str
    primary_contact_email: str
    extra: Mapping[str, Any] = _extra()


@frozen
class Balance:
    """A snapshot of the account's balance (reference: `GET /balance`).

    Attributes:
        balance: Money in `currency`, digit for digit as the API wrote it.
        currency: The currency's code, such as `USD`.
        account_type: `prepaid`, or another type of account.
        credit_limit: Money in `currency`, or `None` where the account has no limit.
        blocked: Whether the account is blocked.
        stale: Whether the snapshot is out of date.
    """

    balance: Decimal
    currency: str
    account_type: str
    credit_limit: Decimal | None
    blocked: bool
    stale: bool
    extra: Mapping[str, Any] = _extra()


@frozen
class Agent:
    """A SIP line (reference: `GET /agents`). `created_at` is in UTC."""

    id: str
    sip_username: str
    label: str
    created_at: datetime
    extra: Mapping[str, Any] = _extra()


def _refuse(*_args: object, **_more: object) -> Any:
    raise TypeError("an empty extra is shared by records, and cannot be changed")


# A dict for each record would be a tenth of what a record takes. It is one to all that reads it; what is pickled, or copied by
# `copy` or `attrs.asdict`, is a plain one.
_WRITING: Final = ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update")
NOTHING: Final[Mapping[str, Any]] = type(
    "_Nothing", (dict,), {**dict.fromkeys(_WRITING, _refuse), "__reduce__": lambda _self: (dict, ())}
)()

_REQUIRED: Final = ("id", "start_time", "duration", "billsec")
_OPTIONAL: Final = (
    *("src", "dst", "disposition", "sip_username"),
    *("sell_price_cents", "currency", "country", "did"),
)

# Fields whose texts are the same in many records. For msgspec, which reads the class itself, they are parameters of `CallRecord`:
# who decodes a page may say what these texts can be (see `_vocabulary`), and gets records of that very class. To type checkers and
# to attrs they are texts. cattrs looks at the parameters too, and takes their default; `typing.get_type_hints`,
# `msgspec.structs.fields` and `help` show them.
REPEATING: Final = ("src", "disposition", "sip_username", "currency", "country", "did")

if TYPE_CHECKING:

    class _WithTexts: ...

else:
    _TEXTS = {name: TypeVar(name, bound=str | None, default=str | None) for name in REPEATING}
    _WithTexts = Generic[tuple(_TEXTS.values())]


@final
@frozen(
    these={
        **{name: field() for name in _REQUIRED},
        **{name: field(default=None) for name in _OPTIONAL},
        "extra": field(default=NOTHING, hash=False),
    },
    # Of the struct: it has slots, and takes its arguments.
    slots=False,
    init=False,
    match_args=False,
)
class CallRecord(msgspec.Struct, _WithTexts, frozen=True, rename="camel", gc=False, forbid_unknown_fields=True):
    """One call detail record (reference: `GET /cdrs`).

    Attributes:
        id: The call's id. The legs of one call may share it.
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
        did: The DID number, where there was one.
        extra: Fields that the API has added since, by name. An empty one is shared by records, and read-only.
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
    extra: Mapping[str, Any] = msgspec.field(default=NOTHING, name="")

    def __init_subclass__(cls) -> None:
        # It would be a struct and no attrs class: a field of its own would be missing wherever attrs copies or compares.
        raise TypeError("CallRecord cannot be subclassed; keep a record in a class of your own")


# attrs and msgspec look at the same annotations: attrs now, for the texts; msgspec at its first page, for the parameters.
resolve_types(CallRecord)
if not TYPE_CHECKING:
    CallRecord.__annotations__.update(_TEXTS)


@frozen
class CdrPage:
    """One answer of `GET /cdrs`.

    Attributes:
        count: The number of records that the server states; the reference leaves open whether rows or matches.
        calls: The records, in the server's order.
        complete: False where the page may have been clipped, because it holds `limit` rows or fewer than `count`.
    """

    count: int
    calls: tuple[CallRecord, ...]
    complete: bool
    extra: Mapping[str, Any] = _extra()


@frozen
class QueuedCall:
    """A call that was accepted (reference: `POST /calls`). `status` is `queued`."""

    call_id: str
    status: str
    extra: Mapping[str, Any] = _extra()


@frozen
class Hook:
    """A webhook subscription (reference: `POST /hooks`). The API shows `secret` this once."""

    id: str
    secret: str = field(repr=False)
    event: str
    target_url: str
    extra: Mapping[str, Any] = _extra()
