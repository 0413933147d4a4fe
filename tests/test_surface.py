"""The public names and signatures are those of the contract."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

import unlimcall_async as api
from unlimcall_async import _api, accounts, columns, proof, shared, sync, telemetry, webhooks

MODELS = {
    "Identity": ["customer_id", "company_name", "primary_contact_email"],
    "Balance": ["balance", "currency", "account_type", "credit_limit", "blocked", "stale"],
    "Agent": ["id", "sip_username", "label", "created_at"],
    "CallRecord": [
        *["id", "start_time", "duration", "billsec", "src", "dst", "disposition", "sip_username"],
        *["sell_price_cents", "currency", "country", "did"],
    ],
    "CdrPage": ["count", "calls", "complete"],
    "QueuedCall": ["call_id", "status"],
    "Hook": ["id", "secret", "event", "target_url"],
}


def test_all_is_sorted_and_real() -> None:
    assert api.__all__ == sorted(api.__all__)
    assert all(hasattr(api, name) for name in api.__all__)


def test_the_package_shows_what_its_api_imports_and_at_first_use() -> None:
    assert {name for name in vars(_api) if name[0] not in "_@"} | {"__version__"} == set(api.__all__)
    assert all(getattr(api, name) is each for name, each in vars(_api).items() if name[0] not in "_@")
    program = "import sys, unlimcall_async as u; assert 'unlimcall_async.client' not in sys.modules; u.shared; u.errors.APIError"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 # ours
    assert set(api.__all__) <= set(dir(api))
    with pytest.raises(AttributeError, match="no attribute 'AsyncClint'"):
        _ = api.AsyncClint  # type: ignore[attr-defined] # as a checker sees, too
    assert not hasattr(api, "no_module.name")


def test_nothing_public_is_left_out_of_all() -> None:
    submodules = {
        "accounts",
        "cli",
        "cdrs",
        "client",
        "columns",
        "errors",
        "http",
        "models",
        "operations",
        "report",
        "proof",
        "resources",
        "sandbox",
        "shared",
        "sync",
        "telemetry",
        "webhooks",
        "tracking",
        # Of the module that waits for the first use.
        "Any",
        "TYPE_CHECKING",
        "import_module",
    }
    # A name is there from its first use on.
    for name in api.__all__:
        getattr(api, name)
    # pytest adds names that begin with @ to what it rewrites: a package that brings a plugin.
    assert {name for name in vars(api) if name[0] not in "_@"} - submodules == set(api.__all__) - {"__version__"}


# `unlimcall_async` and `unlimcall_async.sandbox` have the names of these that users write.
SHOWN_ABOVE = {"unlimcall_async.tracking", "unlimcall_async.sandbox.traffic"}


def test_the_page_about_versions_lists_the_modules_that_have_public_names() -> None:
    package = Path(api.__file__).parent
    public = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in package.rglob("*.py")
        if re.search(r"^__all__\b", path.read_text(), re.MULTILINE)
    }
    page = (package.parent / "docs" / "stability.md").read_text()
    assert set(re.findall(r"^\| `(unlimcall_async[\w.]*)` \|", page, re.MULTILINE)) == public - SHOWN_ABOVE


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(api.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize(("name", "fields"), MODELS.items())
def test_a_model_has_its_fields_in_order_frozen_and_slotted(name: str, fields: list[str]) -> None:
    model = getattr(api, name)
    assert [field.name for field in attrs.fields(model)] == [*fields, "extra"]
    assert "__slots__" in vars(model)
    sample = model(*[None] * len(fields))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(sample, fields[0], 1)
    assert sample.extra == {}
    hash(sample)


def parameters(function: object) -> dict[str, object]:
    assert callable(function)
    found = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in found if p.name != "self"}


REQUIRED = inspect.Parameter.empty


def test_the_signatures_are_those_of_the_contract() -> None:
    client = api.AsyncClient("unl_test_token")
    assert parameters(api.AsyncClient) == {
        "token": None,
        "base_url": None,
        "timeout": 30.0,
        "max_wait": None,
        "retry": None,
        "rate_limits": None,
        "max_connections": 100,
        "session": None,
        "allow_plain_http": False,
        "observer": None,
        "proxy": None,
        "ssl": None,
    }
    options = {"timeout": None, "headers": None}
    assert parameters(client.me) == parameters(client.balance) == parameters(client.agents) == options
    assert parameters(client.cdrs.list) == {"start": None, "end": None, "limit": 100} | options
    assert parameters(client.cdrs.stream) == {
        "start": REQUIRED,
        "end": None,
        "newest_first": False,
        "concurrency": 4,
        "page_size": 1000,
        "settle": timedelta(0),
        "strategy": "auto",
        "unreadable": "raise",
        "resume": None,
        "manifest": False,
    }
    assert parameters(client.cdrs.verify) == {
        "pulled": REQUIRED,
        "start": None,
        "end": None,
        "counts_only": False,
        "concurrency": 4,
        "strategy": "auto",
        "on_progress": None,
    }
    assert parameters(sync.sync_cdrs) == {
        "client": REQUIRED,
        "destination": REQUIRED,
        "start": REQUIRED,
        "end": None,
        "settle": timedelta(0),
        "lookback": timedelta(days=2),
        "account": None,
        "table": "cdrs",
        "on_progress": None,
    }
    assert parameters(shared.SharedRateLimits) == {"url": REQUIRED, "limits": None, "on_outage": "wait"}
    assert parameters(sync.repair_cdrs) == {
        "client": REQUIRED,
        "destination": REQUIRED,
        "ranges": REQUIRED,
        "account": None,
        "table": "cdrs",
        "on_progress": None,
    }
    assert accounts.__all__ == [
        *("AccountError", "AccountErrorGroup", "Accounts", "AccountsProgress", "AccountsPull", "ClientOptions"),
    ]
    options_of_a_client = parameters(api.AsyncClient).keys() - {"token"}
    assert accounts.ClientOptions.__optional_keys__ == options_of_a_client
    assert parameters(accounts.Accounts.pull) == {
        **{name: value for name, value in parameters(client.cdrs.stream).items() if name != "manifest"},
        "at_once": 16,
        "concurrency": 2,
    }
    assert parameters(accounts.Accounts.sync) == {
        **{name: value for name, value in parameters(sync.sync_cdrs).items() if name not in {"client", "account"}},
        "at_once": 16,
    }
    assert parameters(accounts.Accounts.each) == {"work": REQUIRED, "at_once": 16}
    assert telemetry.__all__ == ["OpenTelemetryObserver"]
    assert parameters(telemetry.OpenTelemetryObserver) == {
        "tracer_provider": None,
        "meter_provider": None,
        "name": None,
    }
    assert [*parameters(webhooks.ReceiverStats)] == ["handled", "seen", "failed", "refused"]
    assert parameters(accounts.AccountError) == {"account": REQUIRED, "checkpoint": None}
    assert parameters(sync.read_manifest) == {"destination": REQUIRED, "account": None, "table": "cdrs"}
    assert parameters(sync.read_records) == parameters(sync.read_manifest) | {"start": None, "end": None}
    assert [field.name for field in attrs.fields(sync.SyncResult)] == [
        *("start", "end", "inserted", "revised", "removed", "unchanged", "unreadable", "requests", "watermark"),
    ]
    assert [field.name for field in attrs.fields(proof.Evidence)][:8] == [
        *("start", "end", "asked_from", "asked_till", "limit", "rows", "count", "reason"),
    ]
    assert [field.name for field in attrs.fields(proof.Verification)][:4] == ["ok", "days", "requests", "differences"]
    assert [field.name for field in attrs.fields(proof.Difference)] == [
        *("day", "expected", "found", "missing", "added", "revised"),
    ]
    assert [field.name for field in attrs.fields(proof.DayDigest)] == ["records", "digest"]
    assert parameters(client.calls.create) == {
        "ai_agent_id": REQUIRED,
        "to_number": REQUIRED,
        "from_number": None,
        "metadata": None,
        **options,
    }
    assert parameters(client.hooks.create) == {"event": REQUIRED, "target_url": REQUIRED} | options
    assert parameters(client.hooks.delete) == {"hook_id": REQUIRED} | options
    assert parameters(client.request) == {
        "method": REQUIRED,
        "path": REQUIRED,
        "params": None,
        "json": None,
        **options,
    }
    assert parameters(client.with_options) == {
        "timeout": None,
        "max_wait": None,
        "retry": None,
        "rate_limits": None,
        "observer": None,
    }
    assert parameters(client.limits) == {}
    assert (client.base_url, client.proxy) == ("https://app.unlimcall.com/api/v1", None)
    assert parameters(api.RetryPolicy).keys() == {
        *("delays", "jitter", "max_retry_after", "on_give_up", "rate_limited_for")
    }
    assert parameters(api.RateLimit) == {"per_minute": REQUIRED, "per_day": None, "burst": None}
    assert parameters(api.RateLimits).keys() == {"me", "balance", "cdrs", "agents", "calls", "hooks"}


def test_the_columns_are_as_in_the_contract() -> None:
    assert columns.__all__ == ["SCHEMA", "to_batch", "write_parquet"]
    assert parameters(api.CdrStream.arrow) == {"rows": 65_536}
    assert parameters(api.CdrStream.to_arrow) == parameters(api.CdrStream.to_list) == {}
    assert parameters(columns.write_parquet) == {"stream": REQUIRED, "path": REQUIRED}


def test_the_defaults_are_those_of_the_contract() -> None:
    policy = api.RetryPolicy()
    assert (policy.delays, policy.jitter, policy.max_retry_after, policy.on_give_up) == ((1, 2, 4), 0.1, 60, None)
    limits = api.RateLimits()
    assert limits.cdrs is not None
    assert limits.cdrs.per_minute == 60
    assert limits.cdrs.at_once() == 10
    assert policy.rate_limited_for is None
    assert list(api.AsyncClient("unl_test_token").limits()) == [*parameters(api.RateLimits)]
    assert api.AsyncClient("unl_test_token").limits()["cdrs"] == api.LimitState(limits.cdrs, 10, 0, 0)
    assert set(attrs.asdict(api.RateLimits.unlimited()).values()) == {None}
