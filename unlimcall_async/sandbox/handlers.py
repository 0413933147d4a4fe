"""The seven endpoints, from an admitted request to its answer.  No I/O; time is an argument.

Where several errors apply, the answer is the one that stands higher in the reference's table of codes.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from attrs import evolve, frozen

from unlimcall_async.sandbox.account import Account, SandboxAgent, random_text
from unlimcall_async.sandbox.answers import Answer, RefusedError, json_answer, json_body, json_members
from unlimcall_async.sandbox.calls import Window, page_json
from unlimcall_async.sandbox.state import OriginatedCall, ReceivedRequest, State, Subscription
from unlimcall_async.sandbox.validation import CallRequest, call_request, cdr_query, hook_id, hook_request

__all__ = ["OPERATIONS", "Admitted", "Operation"]


@frozen
class Admitted:
    """A request that has passed authentication and limits.

    Attributes:
        request: The request.
        resource_id: The id in its path, where the path has one.
        now: When it is processed, in seconds of the event loop's clock.
        utc: The same moment by the calendar.
    """

    request: ReceivedRequest
    resource_id: str
    now: float
    utc: datetime


@frozen
class Operation:
    """One method of one path.

    Attributes:
        scope: What the token must be allowed; `None` for any valid token.
        handle: What happens.
    """

    scope: str | None
    handle: Callable[[State, Admitted], Answer]


def _me(state: State, _: Admitted) -> Answer:
    account = state.account
    return json_answer(
        {
            "customerId": account.customer_id,
            "companyName": account.company_name,
            "primaryContactEmail": account.primary_contact_email,
        }
    )


def _balance(state: State, _: Admitted) -> Answer:
    account = state.account
    if account.balance_fails:
        raise RefusedError("internal_error", "Upstream snapshot fetch failed; retry.")
    return json_members(
        {
            "balance": str(account.balance),
            "currency": json.dumps(account.currency),
            "accountType": json.dumps(account.account_type),
            "creditLimit": "null" if account.credit_limit is None else str(account.credit_limit),
            "blocked": json.dumps(account.blocked),
            "stale": json.dumps(account.stale),
        }
    )


def _cdrs(state: State, admitted: Admitted) -> Answer:
    settings = state.settings
    query = cdr_query(admitted.request.query, admitted.utc)
    _require_trunk(state.account)
    window = Window.between(
        query.from_ms,
        query.till_ms,
        from_inclusive=settings.from_inclusive,
        till_inclusive=settings.till_inclusive,
        resolution=settings.resolution,
    )
    rows, matches = state.calls.select(window, order=settings.order, limit=min(query.limit, settings.cap))
    count = matches if settings.count == "matches" else len(rows)
    return json_body(page_json(count, rows))


def _agents(state: State, _: Admitted) -> Answer:
    agents = [_agent_json(agent) for agent in state.account.agents]
    return json_answer({"count": len(agents), "agents": agents})


def _agent_json(agent: SandboxAgent) -> dict[str, Any]:
    created = agent.created_at.astimezone(UTC).replace(tzinfo=None)
    return {
        "id": agent.id,
        "sipUsername": agent.sip_username,
        "label": agent.label,
        "createdAt": created.isoformat(timespec="seconds") + "Z",
    }


def _create_call(state: State, admitted: Admitted) -> Answer:
    wanted = call_request(admitted.request.body)
    _check_origination(state.account, wanted)
    call = OriginatedCall(
        call_id=str(uuid4()),
        ai_agent_id=wanted.ai_agent_id,
        to_number=wanted.to_number,
        from_number=wanted.from_number,
        metadata=wanted.metadata,
        received_at=admitted.now,
        placed_at=admitted.utc,
    )
    state.originated.append(call)
    state.ongoing[call.call_id] = call
    state.placed(call)
    return json_answer({"callId": call.call_id, "status": "queued"})


def _check_origination(account: Account, wanted: CallRequest) -> None:
    agent = account.agent(wanted.ai_agent_id)
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


def _require_trunk(account: Account) -> None:
    if not account.provisioned:
        raise RefusedError("account_not_provisioned", "Account has no trunk allocated yet.")


def _create_hook(state: State, admitted: Admitted) -> Answer:
    wanted = hook_request(admitted.request.body)
    # 32 characters follow the prefix in the reference's example, too.
    hook = Subscription(str(uuid4()), wanted.event, wanted.target_url, secret=f"whsec_{random_text(32)}")
    state.hooks[hook.id] = hook
    return json_answer({"id": hook.id, "secret": hook.secret})


def _delete_hook(state: State, admitted: Admitted) -> Answer:
    hook = state.hooks.get(hook_id(admitted.resource_id))
    if hook is None or not hook.enabled:
        raise RefusedError("not_found", "Hook does not exist, or is already disabled.")
    state.hooks[hook.id] = evolve(hook, enabled=False)
    return Answer(204)


# The reference's table of endpoints, by path and method.
OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    "/me": {"GET": Operation(None, _me)},
    "/balance": {"GET": Operation("read:balance", _balance)},
    "/cdrs": {"GET": Operation("read:cdrs", _cdrs)},
    "/agents": {"GET": Operation("read:agents", _agents)},
    "/calls": {"POST": Operation("write:calls", _create_call)},
    "/hooks": {"POST": Operation("write:hooks", _create_hook)},
    "/hooks/{id}": {"DELETE": Operation("write:hooks", _delete_hook)},
}
