"""`POST /hooks` and `DELETE /hooks/{id}`."""

import re
import uuid
from typing import Any

from yarl import URL

from unlimcall_async.sandbox import Sandbox

from .support import Visitor, fields
from .test_endpoints_calls import BODIES_THAT_ARE_NO_OBJECT

TARGET = "https://example.com/hooks/unlimcall"


async def subscribe(visitor: Visitor, **changes: Any) -> Any:
    reply = await visitor.ask("POST", "/hooks", json={"event": "call.ended", "target_url": TARGET, **changes})
    assert reply.status == 200, reply.text
    return reply.json()


async def test_a_subscription_has_an_id_and_a_secret(visitor: Visitor, sandbox: Sandbox) -> None:
    hook = await subscribe(visitor)

    assert hook.keys() == {"id", "secret"}
    assert uuid.UUID(hook["id"]).version == 4
    assert re.fullmatch(r"whsec_[A-Za-z0-9]{32}", hook["secret"])
    held = sandbox.hooks[hook["id"]]
    assert (held.id, held.event, held.target_url, held.secret) == (hook["id"], "call.ended", TARGET, hook["secret"])
    assert held.enabled
    assert held.secret not in repr(held)


async def test_every_event_of_the_reference_can_be_subscribed_to(visitor: Visitor, sandbox: Sandbox) -> None:
    events = ["call.ended", "call.transferred", "disposition.set", "dnc.added", "lead.completed"]
    for event in events:
        await subscribe(visitor, event=event)

    assert [hook.event for hook in sandbox.hooks.values()] == events
    assert len({hook.secret for hook in sandbox.hooks.values()}) == 5


async def test_a_target_may_be_512_characters_long(visitor: Visitor) -> None:
    base = "https://example.com/"

    await subscribe(visitor, target_url=base + "x" * (512 - len(base)))


BAD_FIELDS = [
    *fields("event", None, "", "call.completed", "CALL.ENDED", 7, ["call.ended"], {}),
    *fields("target_url", None, 7, "", "x", "http://example.com/", "ftp://example.com", "https://"),
    *(
        {"target_url": value}
        for value in ["https:///path", "https://exa mple.com/", "https://example.com/\n", "https://["]
    ),
    *fields("target_url", "//example.com/", "https://example.com/" + "x" * 493),
]


async def test_a_field_that_fails_validation_is_invalid(visitor: Visitor, sandbox: Sandbox) -> None:
    for wrong in BAD_FIELDS:
        reply = await visitor.ask("POST", "/hooks", json={"event": "call.ended", "target_url": TARGET, **wrong})

        assert reply.error == (400, "invalid_input"), wrong
    for missing in [{"event": "call.ended"}, {"target_url": TARGET}]:
        assert (await visitor.ask("POST", "/hooks", json=missing)).error == (400, "invalid_input"), missing
    assert not sandbox.hooks


async def test_a_body_that_is_no_json_object_is_invalid(visitor: Visitor, sandbox: Sandbox) -> None:
    for data in BODIES_THAT_ARE_NO_OBJECT:
        assert (await visitor.ask("POST", "/hooks", data=data)).error == (400, "invalid_input"), data
    assert not sandbox.hooks


async def test_deleting_disables_once(visitor: Visitor, sandbox: Sandbox) -> None:
    hook = await subscribe(visitor)
    other = await subscribe(visitor)
    path = f"/hooks/{hook['id']}"

    reply = await visitor.ask("DELETE", path)

    assert (reply.status, reply.text) == (204, "")
    assert "Content-Type" not in reply.headers
    assert not sandbox.hooks[hook["id"]].enabled  # soft delete: it is still known
    assert sandbox.hooks[other["id"]].enabled
    assert (await visitor.ask("DELETE", path)).error == (404, "not_found")


async def test_an_id_has_no_case_and_may_be_percent_encoded(visitor: Visitor) -> None:
    first, second = await subscribe(visitor), await subscribe(visitor)

    assert (await visitor.ask("DELETE", f"/hooks/{first['id'].upper()}")).status == 204
    url = URL(f"{visitor.sandbox.url}/hooks/{second['id'].replace('-', '%2D')}", encoded=True)
    headers = {"Authorization": f"Bearer {visitor.sandbox.token}"}
    async with visitor.session.delete(url, headers=headers) as response:
        assert response.status == 204


async def test_an_unknown_uuid_is_not_found(visitor: Visitor) -> None:
    for version in "147":
        reply = await visitor.ask("DELETE", f"/hooks/8c6e3b7a-2d4f-{version}f9c-9e1a-7b0c5a8f2d31")

        assert reply.error == (404, "not_found"), version


async def test_what_is_no_uuid_is_invalid(visitor: Visitor) -> None:
    ids = ["x", "7", "8c6e3b7a2d4f4f9c9e1a7b0c5a8f2d31", "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d3g"]
    for text in [*ids, "%7B8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31%7D", "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31%0A"]:
        assert (await visitor.ask("DELETE", f"/hooks/{text}")).error == (400, "invalid_input"), text
