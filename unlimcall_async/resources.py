"""`client.calls` and `client.hooks`: the endpoints that change something."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from unlimcall_async import _arguments
from unlimcall_async._codec import decode, decode_hook
from unlimcall_async.http.caller import Caller
from unlimcall_async.http.endpoints import CREATE_CALL, CREATE_HOOK, DELETE_HOOK
from unlimcall_async.http.raw import RawMethods, raw
from unlimcall_async.models import Hook, QueuedCall


class Calls:
    """Outbound calls (reference: `POST /calls`, scope `write:calls`)."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(
        self,
        *,
        ai_agent_id: str,
        to_number: str,
        from_number: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> QueuedCall:
        """Place a call: an AI agent calls a number.

        Once the request may have reached the server it is never sent again, because each request is a phone call. The one exception
        is a 429, which says that no call was placed. After an error whose `outcome_unknown` is true, the call may have been placed.

        Args:
            ai_agent_id: The agent's id, as in `Agent.id`.
            to_number: The destination in E.164 form, for example `+14155551234`.
            from_number: Another caller id, in E.164 form. The API checks the number, but does not use it yet.
            metadata: Notes of any form. The API accepts notes, but does not keep them yet.
            timeout: Seconds for each attempt; `None` for those of the client.
            headers: Further headers. A header that the client sets itself is refused.

        Raises:
            ValueError, TypeError: An argument is wrong; nothing was sent.
            AgentNotFoundError, AgentNotProvisionedError, AccountNotProvisionedError, DialerRequiredError: No call was placed.
            OriginateFailedError, EngineNotConfiguredError: No call was placed.
            UnlimCallError: Any other failure; see its `outcome_unknown`.
        """
        body: dict[str, Any] = {
            "aiAgentId": _arguments.agent_id(ai_agent_id),
            "toNumber": _arguments.number("to_number", to_number),
        }
        if from_number is not None:
            body["fromNumber"] = _arguments.number("from_number", from_number)
        if metadata is not None:
            body["metadata"] = _arguments.metadata(metadata)
        return await self._caller.fetch(
            CREATE_CALL,
            partial(decode, model=QueuedCall),
            body=_arguments.encoded("metadata", body),
            timeout=timeout,
            headers=headers,
        )


class Hooks:
    """Webhook subscriptions (reference: `POST /hooks` and `DELETE /hooks/{id}`, scope `write:hooks`)."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(
        self,
        *,
        event: str,
        target_url: str,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Hook:
        """Subscribe a URL to an event. Store the `secret` of the returned hook: the API never shows that secret again.

        Args:
            event: One of `call.ended`, `call.transferred`, `disposition.set`, `dnc.added`, `lead.completed`.
            target_url: The URL to deliver to: https, and at most 512 characters.
            timeout: Seconds for each attempt; `None` for those of the client.
            headers: Further headers. A header that the client sets itself is refused.

        Raises:
            ValueError, TypeError: An argument is wrong; nothing was sent.
            UnlimCallError: Any other failure; see its `outcome_unknown`.
        """
        event, target_url = _arguments.event(event), _arguments.target_url(target_url)
        body = _arguments.encoded("target_url", {"event": event, "target_url": target_url})
        return await self._caller.fetch(
            CREATE_HOOK,
            partial(decode_hook, event=event, target_url=target_url),
            body=body,
            timeout=timeout,
            headers=headers,
        )

    async def delete(
        self, hook_id: str, *, timeout: float | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Remove a webhook subscription.

        Args:
            hook_id: The hook's id, as in `Hook.id`: a UUID.
            timeout: Seconds for each attempt; `None` for those of the client.
            headers: Further headers. A header that the client sets itself is refused.

        Raises:
            ValueError, TypeError: An argument is wrong; nothing was sent.
            NotFoundError: The hook does not exist. Not raised if an earlier attempt of the same call may have removed the hook, and
                only its response was lost.
            UnlimCallError: Any other failure.
        """
        path = f"/hooks/{_arguments.hook_id(hook_id)}"
        await self._caller.call(DELETE_HOOK, path, timeout=timeout, headers=headers)


class RawCalls(RawMethods[Calls]):
    """`client.raw.calls`."""

    create: Final = raw(Calls.create)


class RawHooks(RawMethods[Hooks]):
    """`client.raw.hooks`."""

    create: Final = raw(Hooks.create)
    delete: Final = raw(Hooks.delete)
