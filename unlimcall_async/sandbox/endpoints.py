"""The seven endpoints, in the order of the API reference: what each one accepts, refuses and returns.

No I/O; time is an argument. A request is read as strictly as the reference words it. If several errors apply, the response is the
error that stands higher in the reference's table of codes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn
from uuid import uuid4

from attrs import evolve, frozen

from unlimcall_async.sandbox.account import Account, random_text
from unlimcall_async.sandbox.calls import Window, epoch_ms, page_json
from unlimcall_async.sandbox.events import EVENTS
from unlimcall_async.sandbox.responses import RefusedError, Response, dump_json, json_response
from unlimcall_async.sandbox.settings import is_target
from unlimcall_async.sandbox.state import OriginatedCall, ReceivedRequest, State, Subscription

MAX_LIMIT: Final = 1000

_DAY_MS: Final = 24 * 60 * 60 * 1000

# A bare date and a time without offset are taken as UTC. JavaScript servers, which the API's camelCase suggests, read a bare date
# as UTC and a time without offset as the server's local time, and the local time of most servers is UTC.
_TIMESTAMP: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_NUMERIC: Final = re.compile(r"[0-9]+")
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


@frozen
class Admitted:
    """A request that has passed authentication and limits.

    Attributes:
        request: The request.
        resource_id: The id in its path, or an empty text if the path has no id.
        now: When the request is processed, in seconds of the event loop's clock.
        utc: The same moment of the calendar.
    """

    request: ReceivedRequest
    resource_id: str
    now: float
    utc: datetime


# --- GET /me -----------------------------------------------------------------------------------------------------------------


def get_me(state: State, _: Admitted) -> Response:
    """Return the identity of the customer that the token belongs to."""
    account = state.account
    return json_response(
        dump_json(
            {
                "customerId": account.customer_id,
                "companyName": account.company_name,
                "primaryContactEmail": account.primary_contact_email,
            }
        )
    )


# --- GET /balance ------------------------------------------------------------------------------------------------------------


def get_balance(state: State, _: Admitted) -> Response:
    """Return the account's balance."""
    account = state.account
    if account.balance_fails:
        raise RefusedError("internal_error", "Upstream snapshot fetch failed; retry.")
    # The values are JSON already, so that money keeps the digits that the user gave.
    members = {
        "balance": str(account.balance),
        "currency": json.dumps(account.currency),
        "accountType": json.dumps(account.account_type),
        "creditLimit": "null" if account.credit_limit is None else str(account.credit_limit),
        "blocked": json.dumps(account.blocked),
        "stale": json.dumps(account.stale),
    }
    return json_response("{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}")


# --- GET /cdrs ---------------------------------------------------------------------------------------------------------------


def get_cdrs(state: State, admitted: Admitted) -> Response:
    """Return one page of the call records that start in a window."""
    query, settings = admitted.request.query, state.settings
    now_ms = epoch_ms(admitted.utc)
    # "Default: 24h ago" is read literally: before now, not before `till`.
    from_ms = _timestamp(query, "from", default=now_ms - _DAY_MS)
    till_ms = _timestamp(query, "till", default=now_ms)
    if till_ms <= from_ms:
        raise RefusedError("till_must_be_after_from", "`till` must be after `from`.")
    if till_ms - from_ms > 31 * _DAY_MS:
        raise RefusedError("window_too_wide", "The window exceeds 31 days.")
    # "Default 100, max 1000". The reference does not describe any other `limit`. A larger integer is lowered to the maximum, and a
    # value that is not a positive integer is refused.
    limit = query.get("limit", "100")
    if not _INTEGER.fullmatch(limit) or int(limit) < 1:
        raise RefusedError("invalid_input", "`limit` must be a positive integer.")
    _require_trunk(state.account)

    window = Window.between(
        from_ms,
        till_ms,
        from_inclusive=settings.from_inclusive,
        till_inclusive=settings.till_inclusive,
        resolution=settings.resolution,
    )
    page_size = min(int(limit), MAX_LIMIT, settings.cap)
    rows, matches = state.calls.select(window, order=settings.order, limit=page_size)
    return json_response(page_json(matches if settings.count == "matches" else len(rows), rows))


def _timestamp(query: Mapping[str, str], name: str, *, default: int) -> int:
    """Return a time of the query in milliseconds since 1970 UTC."""
    text = query.get(name)
    if text is None:
        return default
    try:
        # Python also reads forms that RFC 3339 does not have, for example week dates. The pattern refuses those.
        moment = datetime.fromisoformat(text) if _TIMESTAMP.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise RefusedError("invalid_timestamp", f"`{name}` is not an ISO timestamp.")
    return epoch_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _require_trunk(account: Account) -> None:
    if not account.provisioned:
        raise RefusedError("account_not_provisioned", "Account has no trunk allocated yet.")


# --- GET /agents -------------------------------------------------------------------------------------------------------------


def get_agents(state: State, _: Admitted) -> Response:
    """Return the SIP lines (agents) of the account."""
    agents = [
        {
            "id": agent.id,
            "sipUsername": agent.sip_username,
            "label": agent.label,
            "createdAt": f"{agent.created_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z",
        }
        for agent in state.account.agents
    ]
    return json_response(dump_json({"count": len(agents), "agents": agents}))


# --- POST /calls -------------------------------------------------------------------------------------------------------------


def post_calls(state: State, admitted: Admitted) -> Response:
    """Place a call."""
    fields = _json_object(admitted.request.body)
    metadata = fields.get("metadata")
    if "metadata" in fields and not isinstance(metadata, dict):
        raise RefusedError("invalid_input", "`metadata` must be an object.")
    agent_id = _text(fields, "aiAgentId", _NUMERIC, "a numeric string")
    to_number = _text(fields, "toNumber", _E164, "a number in E.164 form")
    # `fromNumber` is optional, but not nullable: its type in the reference is a string.
    from_number = _text(fields, "fromNumber", _E164, "a number in E.164 form") if "fromNumber" in fields else None

    account = state.account
    agent = account.agent(agent_id)
    if agent is None:
        raise RefusedError("ai_agent_not_found", "No agent with that ID on this account.")
    if not agent.provisioned:
        raise RefusedError("ai_agent_not_provisioned", "Agent has no SIP extension yet, finish setup first.")
    _require_trunk(account)
    if not account.dialer:
        raise RefusedError("dialer_required", "Outbound originates require the dialer add-on.")
    if not account.engine:
        raise RefusedError("engine_not_configured", "Origination not available in this environment.")
    if account.originate_error is not None:
        raise RefusedError("originate_failed", account.originate_error)

    call = OriginatedCall(
        call_id=str(uuid4()),
        ai_agent_id=agent_id,
        to_number=to_number,
        from_number=from_number,
        metadata=metadata,
        received_at=admitted.now,
        placed_at=admitted.utc,
    )
    state.originated.add(call)
    state.ongoing[call.call_id] = evolve(call, metadata=None)
    state.placed(call)
    return json_response(dump_json({"callId": call.call_id, "status": "queued"}))


# --- POST /hooks, DELETE /hooks/{id} -----------------------------------------------------------------------------------------


def post_hooks(state: State, admitted: Admitted) -> Response:
    """Subscribe a URL to an event type."""
    fields = _json_object(admitted.request.body)
    event, target_url = fields.get("event"), fields.get("target_url")
    if event not in EVENTS:
        raise RefusedError("invalid_input", f"`event` must be one of {', '.join(EVENTS)}.")
    if not isinstance(target_url, str) or not is_target(target_url):
        raise RefusedError("invalid_input", "`target_url` must be an https URL of at most 512 characters.")
    # In the reference's example, too, 32 characters follow the prefix.
    hook = Subscription(str(uuid4()), str(event), target_url, secret=f"whsec_{random_text(32)}")
    state.hooks[hook.id] = hook
    return json_response(dump_json({"id": hook.id, "secret": hook.secret}))


def delete_hook(state: State, admitted: Admitted) -> Response:
    """Disable a subscription."""
    # A UUID of any version is a valid id.
    if not _UUID.fullmatch(admitted.resource_id):
        raise RefusedError("invalid_input", "`id` is not a UUID.")
    hook = state.hooks.get(admitted.resource_id.lower())
    if hook is None or not hook.enabled:
        raise RefusedError("not_found", "Hook does not exist, or is already disabled.")
    state.hooks[hook.id] = evolve(hook, enabled=False)
    return Response(204)


# --- the fields of a body ----------------------------------------------------------------------------------------------------


def _json_object(body: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        # Python's parser accepts NaN and Infinity, which JSON does not have.
        value = json.loads(body.decode(), parse_constant=refuse)
    except (ValueError, RecursionError):
        raise RefusedError("invalid_input", "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise RefusedError("invalid_input", "The body must be a JSON object.")
    return value


def _text(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str], meaning: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RefusedError("invalid_input", f"`{name}` must be {meaning}.")
    return value


# --- the table ---------------------------------------------------------------------------------------------------------------


@frozen
class Operation:
    """One method of one path.

    Attributes:
        scope: The scope that the token must have; `None` accepts any valid token.
        handle: Processes the request.
    """

    scope: str | None
    handle: Callable[[State, Admitted], Response]


# The reference's table of endpoints, by path and method.
OPERATIONS: Final[Mapping[str, Mapping[str, Operation]]] = {
    "/me": {"GET": Operation(None, get_me)},
    "/balance": {"GET": Operation("read:balance", get_balance)},
    "/cdrs": {"GET": Operation("read:cdrs", get_cdrs)},
    "/agents": {"GET": Operation("read:agents", get_agents)},
    "/calls": {"POST": Operation("write:calls", post_calls)},
    "/hooks": {"POST": Operation("write:hooks", post_hooks)},
    "/hooks/{id}": {"DELETE": Operation("write:hooks", delete_hook)},
}
