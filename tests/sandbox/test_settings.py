"""Settings are checked when they are made and when they are changed."""

from typing import Any

import pytest

from unlimcall_async.sandbox import Envelope, Sandbox, WebhookSettings
from unlimcall_async.sandbox.settings import routes

from .receiving import TARGET

LOCAL = ["http://127.0.0.1:8000/x", "http://localhost/", "http://[::1]:1/", "http://127.9.9.9"]


ELSEWHERE = [
    *("https://127.0.0.1/", "http://example.com/", "http://10.0.0.1/", "http://0.0.0.0/", "/x", "", "http://"),
    *("http://127.0.0.1@example.com/", "http://127.0.0.1.example.com/", "http://localhost.example.com/"),
    *("http://example.com\\@127.0.0.1/", "http://example.com#@127.0.0.1/", "http://[::1", "http://127.0.0.1:x/"),
    *("http://2130706434/", "ftp://localhost/", "http://[127.0.0.1]@"),
]


def test_routes_lead_to_this_machine_only() -> None:
    for local in LOCAL:
        assert routes({"https://example.com/": local}) == {"https://example.com/": local}
    for elsewhere in ELSEWHERE:
        with pytest.raises(ValueError, match=r"deliver_to: .* must be an http URL on this machine"):
            routes({"https://example.com/": elsewhere})


def test_routes_begin_at_what_can_be_subscribed() -> None:
    for target in ["http://example.com/", "", "https://", "https://e.com/" + "x" * 499]:
        with pytest.raises(ValueError, match=r"deliver_to: .* must be an https URL of at most 512 characters"):
            routes({target: LOCAL[0]})


def test_routes_are_a_copy_that_stays() -> None:
    given_map = {"https://example.com/": LOCAL[0]}
    kept = routes(given_map)

    given_map["https://example.com/"] = "http://example.com/"

    assert kept == {"https://example.com/": LOCAL[0]}
    with pytest.raises(TypeError):
        kept["https://example.com/"] = "http://example.com/"  # type: ignore[index] # as a checker sees, too


def test_routes_are_checked_wherever_they_are_set() -> None:
    assert Sandbox(deliver_to={TARGET: "http://[::1]:1/"}).settings.deliver_to == {TARGET: "http://[::1]:1/"}
    with pytest.raises(ValueError, match="deliver_to"):
        Sandbox(deliver_to={TARGET: "http://example.com/"})
    sandbox = Sandbox()
    with pytest.raises(ValueError, match="deliver_to"):
        sandbox.settings.deliver_to = {"http://example.com/": "http://127.0.0.1/"}
    assert sandbox.settings.deliver_to == {}


def test_an_envelope_has_no_other_names() -> None:
    for name in ["type", "id", "payload", "time", "time_format"]:
        with pytest.raises(ValueError, match=f"^{name} must be one of .*, not 'other'$"):
            Envelope(**{name: "other"})  # type: ignore[arg-type] # as a checker sees, too


WRONG: dict[str, list[Any]] = {
    "call_seconds": [-1, float("inf"), float("nan")],
    "speed": [0, -1, float("nan")],
    "first_delay": [0, 0.5],
    "timeout": [0, -1, float("inf")],
    "clock": ["wall"],
    "twins": [-0.1, 1.1],
    "repeats": [-0.1, 1.1],
    "disorder": [-1, float("inf")],
}


def test_settings_are_checked_when_they_are_made_and_when_they_are_changed() -> None:
    for name, value in [(name, value) for name, values in WRONG.items() for value in values]:
        with pytest.raises(ValueError, match=name):
            WebhookSettings(**{name: value})
        settings = WebhookSettings()
        before = getattr(settings, name)
        with pytest.raises(ValueError, match=name):
            setattr(settings, name, value)
        assert getattr(settings, name) == before


def test_settings_have_types() -> None:
    for name, value in {"resign": 1, "seed": "a", "envelope": {}, "speed": "1", "twins": None, "timeout": True}.items():
        with pytest.raises(TypeError, match=f"^{name} must be .*, not {type(value).__name__}$"):
            WebhookSettings(**{name: value})  # type: ignore[arg-type] # as a checker sees, too


def test_a_setting_that_does_not_exist_is_refused() -> None:
    wrong: list[tuple[str, Any]] = [
        ("order", "random"),
        ("order", ["newest_first"]),
        ("resolution", "us"),
        ("count", "all"),
        ("cap", 0),
        ("cap", "1000"),
        ("minute", 0),
        ("latency", -1),
        ("retry_after", "soon"),
        ("error_shape", "xml"),
        ("from_inclusive", "yes"),
        ("till_inclusive", None),
        ("rate_limits", {"cdr": 60}),
        ("rate_limits", {"cdrs": 0}),
        ("rate_limits", {"cdrs": "60"}),
        ("rate_limits", 60),
        ("deliver_to", TARGET),
    ]
    for name, value in wrong:
        # An endpoint's name stands within `rate_limits`.
        with pytest.raises((ValueError, TypeError), match=f"^({name}|endpoint).* must "):
            Sandbox(**{name: value})
        with pytest.raises((ValueError, TypeError)):
            setattr(Sandbox().settings, name, value)
