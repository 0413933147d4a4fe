"""Texts that callers pass in, phone numbers, ids and events; and that a refusal names the argument but no secret."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from yarl import URL

from tests.core.refusals import NAN, UUID, Options, Text, refused
from unlimcall_async import _arguments as arguments
from unlimcall_async import models
from unlimcall_async.cli import hooks
from unlimcall_async.webhooks import events

FULLWIDTH = str.maketrans("0123456789", "".join(chr(0xFF10 + digit) for digit in range(10)))
ARABIC = str.maketrans("0123456789", "".join(chr(0x0660 + digit) for digit in range(10)))

Check = Callable[[Any], object]

# Each check of a text, its argument's name, and a good value.
TEXTS: dict[str, tuple[Check, str]] = {
    "to_number": (lambda value: arguments.number("to_number", value), "+14155551234"),
    "from_number": (lambda value: arguments.number("from_number", value), "+442071838750"),
    "ai_agent_id": (arguments.agent_id, "27"),
    "event": (arguments.event, "call.ended"),
    "hook_id": (arguments.hook_id, UUID),
    "target_url": (arguments.target_url, "https://example.com/hooks"),
    "method": (arguments.method, "DELETE"),
    "path": (arguments.path, "/numbers"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_good_text_comes_back_as_it_is(name: str) -> None:
    check, good = TEXTS[name]
    assert check(good) == good


@pytest.mark.parametrize("name", TEXTS)
def test_a_str_of_a_subclass_is_taken_for_its_text(name: str) -> None:
    check, good = TEXTS[name]
    for value in (Text(good), *(member for member in Options if member.value == good)):
        taken = check(value)
        assert isinstance(taken, str)
        assert f"{taken}" == str.__str__(taken) == good


@pytest.mark.parametrize("value", [None, 27, 2.7, True, b"27", ["27"], URL("https://example.com"), Decimal(27)])
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_text_is_a_type_error(name: str, value: object) -> None:
    shown = refused(name, lambda: TEXTS[name][0](value), TypeError)
    assert type(value).__name__ in shown


@pytest.mark.parametrize(
    "spoil", ["{}\n", "\n{}", "{} ", " {}", "{}\x00", "{}\r\nX-Evil: 1", "{}\u2028", "{}\ud800", "\ufeff{}"]
)
@pytest.mark.parametrize("name", TEXTS)
def test_a_stray_character_is_refused(name: str, spoil: str) -> None:
    check, good = TEXTS[name]
    if name == "path" and spoil == "{} ":
        assert check(f"{good} ") == f"{good} "  # it is quoted
    else:
        refused(name, lambda: check(spoil.format(good)))


# --- phone numbers, ids, events -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["+14155551234", "+49", "+123456789012345", "+998901234567"])
def test_numbers_in_e164_are_taken(value: str) -> None:
    assert arguments.number("to_number", value) == value


BAD_NUMBERS = [
    "", "+", "+1", "+0", "+0442071838750", "442071838750", "00442071838750", "++442071838750", "+44 20 7183 8750",
    "+44-20-7183-8750", "+442071838CALL", "+4420718387501234", "tel:+442071838750", "+442071838750;ext=1",
    "+4420718387.50", "+44_2071838750", "-442071838750", "+442071838750".translate(FULLWIDTH),
    "+442071838750".translate(ARABIC), "\uff0b442071838750", "+44207183875\u00b2",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_NUMBERS, ids=ascii)
def test_other_numbers_are_refused_and_not_shown(value: str) -> None:
    shown = refused("from_number", lambda: arguments.number("from_number", value))
    assert len(value) < 3 or value not in shown


@pytest.mark.parametrize("value", ["27", "0", "007", "9" * 40])
def test_agent_ids_are_ascii_digits(value: str) -> None:
    assert arguments.agent_id(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-1",
        "+27",
        "2.7",
        "1e3",
        "1_0",
        "0x1b",
        "twenty",
        "27".translate(FULLWIDTH),
        "27".translate(ARABIC),
        "2\u00b2",
    ],
    ids=ascii,
)
def test_other_agent_ids_are_refused(value: str) -> None:
    refused("ai_agent_id", lambda: arguments.agent_id(value))


ALLOWED_EVENTS = ["call.ended", "call.transferred", "disposition.set", "dnc.added", "lead.completed"]


def test_the_names_of_events_are_the_same_everywhere() -> None:
    """The client, the command and the table of fields that the webhooks have for each event."""
    assert list(models.EVENTS) == ALLOWED_EVENTS == list(hooks.EVENTS) == list(events._KINDS)


@pytest.mark.parametrize("value", ALLOWED_EVENTS)
def test_the_events_of_the_reference_are_allowed(value: str) -> None:
    assert arguments.event(value) == value


@pytest.mark.parametrize("value", ["", "call", "Call.Ended", "call.completed", "call.ended,dnc.added", "*"])
def test_other_events_are_refused_with_the_list_of_those_allowed(value: str) -> None:
    shown = refused("event", lambda: arguments.event(value))
    assert all(allowed in shown for allowed in ALLOWED_EVENTS)


@pytest.mark.parametrize("value", [UUID, UUID.upper(), "00000000-0000-0000-0000-000000000000"])
def test_hook_ids_are_uuids(value: str) -> None:
    assert arguments.hook_id(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "", "27", UUID[:-1], f"{UUID}0", UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}", UUID.replace("8", "g"),
        f"../{UUID}", f"{UUID}/..", UUID.translate(FULLWIDTH), UUID.replace("-", "_"), "8c6e3b7a2-d4f-4f9c-9e1a-7b0c5a8f2d31",
    ],
    ids=ascii,
)  # fmt: skip
def test_other_hook_ids_are_refused(value: str) -> None:
    refused("hook_id", lambda: arguments.hook_id(value))


# --- secrets --------------------------------------------------------------------------------------------------------

TOKEN = "unl_live_0123456789abcdefghijklm"


@pytest.mark.parametrize("value", [TOKEN, "x", "!~", "abc/def+ghi="])
def test_a_token_is_visible_ascii(value: str) -> None:
    assert arguments.token_problem(value) is None


@pytest.mark.parametrize(
    "value",
    ["", " ", f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN} x", f"{TOKEN}\r\nX-Evil: 1", f"{TOKEN}\u00e9", f"{TOKEN}\x7f"],
    ids=ascii,
)
def test_another_token_is_refused_and_not_shown(value: str) -> None:
    problem = arguments.token_problem(value)
    assert isinstance(problem, ValueError)
    assert str(problem).startswith("token")
    assert TOKEN not in repr(problem)


@pytest.mark.parametrize("value", [None, 7, TOKEN.encode(), [TOKEN]])
def test_a_token_is_a_text(value: object) -> None:
    problem = arguments.token_problem(value)
    assert isinstance(problem, TypeError)
    assert str(problem).startswith("token")
    assert TOKEN not in repr(problem)


PHONE = "+442071838750"
SECRET = "whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01"


def base(value: str) -> URL:
    return arguments.base_url(value, allow_plain_http=False)


MISTAKES: dict[str, tuple[str, str, Callable[[], object]]] = {
    "a number with a blank": ("to_number", PHONE, lambda: arguments.number("to_number", f"{PHONE} ")),
    "a number as a list": ("to_number", PHONE, lambda: arguments.number("to_number", [PHONE])),
    "a number as the agent": ("ai_agent_id", PHONE, lambda: arguments.agent_id(PHONE)),
    "a number without its plus as the limit": ("limit", PHONE[1:], lambda: arguments.limit(PHONE[1:])),
    "the secret as the id of a hook": ("hook_id", SECRET, lambda: arguments.hook_id(SECRET)),
    "the token as the id of a hook": ("hook_id", TOKEN, lambda: arguments.hook_id(TOKEN)),
    "the target as the event": ("event", "pass", lambda: arguments.event("https://user:pass@example.com")),
    "the path as the method": ("method", PHONE, lambda: arguments.method(f"/lookup/{PHONE}")),
    "credentials in a target": ("target_url", "pass", lambda: arguments.target_url("http://user:pass@example.com")),
    "credentials in a bad target": ("target_url", "pass", lambda: arguments.target_url("https://user:pass@example.com:99999")),
    "credentials in a base": ("base_url", "pass", lambda: base("https://user:pass@example.com")),
    "credentials in a bad base": ("base_url", "pass", lambda: base("https://user:pass@example.com:99999")),
    "credentials for plain http": ("base_url", "pass", lambda: base("http://user:pass@example.com")),
    "a token in a base": ("base_url", TOKEN, lambda: base(f"https://example.com/?t={TOKEN}")),
    "credentials in a path": ("path", "pass", lambda: arguments.path("https://user:pass@example.com/me")),
    "a number in a query": ("path", PHONE, lambda: arguments.path(f"/lookup?number={PHONE}")),
    "a number in params": ("params", PHONE, lambda: arguments.params({"number": [PHONE]})),
    "a token in a header's value": ("headers", TOKEN, lambda: arguments.headers({"X-Token": f"{TOKEN}\n"})),
    "a token in a header's name": ("headers", TOKEN, lambda: arguments.headers({f"X-Token: {TOKEN}": ""})),
    "a token in Authorization": ("headers", TOKEN, lambda: arguments.headers({"Authorization": f"Bearer {TOKEN}"})),
    "a number in metadata": ("metadata", PHONE, lambda: arguments.encoded("metadata", {"number": {PHONE}})),
    "a number as metadata": ("metadata", PHONE, lambda: arguments.metadata(PHONE)),
    "a number in JSON": ("json", PHONE, lambda: arguments.encoded("json", {"number": PHONE, (PHONE,): 1})),
    "a number beside NaN": ("json", PHONE, lambda: arguments.encoded("json", {PHONE: NAN})),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_refusal_names_the_argument_and_hides_the_secret(mistake: str) -> None:
    name, secret, check = MISTAKES[mistake]
    with pytest.raises((TypeError, ValueError)) as caught:
        check()
    assert str(caught.value).startswith(name)
    # As a log would show it, without the lines of source, which hold the mistake itself.
    assert secret not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
