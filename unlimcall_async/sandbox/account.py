"""The customer's account as the API sees it: its data, its states, its agents and its tokens.

Pure: no I/O.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from attrs import Attribute, define, field, frozen

from unlimcall_async.sandbox.checks import all_of, instance
from unlimcall_async.sandbox.times import plain_time

# Reference, "Authentication". Two of the scopes open endpoints that v1 does not document; a token may have them anyway.
SCOPES: Final = frozenset(
    {"read:balance", "read:cdrs", "read:agents", "read:numbers", "read:invoices", "write:calls", "write:hooks"}
)

TOKEN_PREFIX: Final = "unl_test_"  # noqa: S105 # the public part of every token of the sandbox
DEFAULT_TOKEN: Final = f"{TOKEN_PREFIX}5andb0xA11Sc0pes0000001"

_ALPHANUMERIC: Final = string.ascii_letters + string.digits
_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")
_JSON_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def random_text(length: int) -> str:
    """Return `length` random ASCII letters and digits, fit for tokens and signing secrets."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))


def _created_at(value: datetime) -> datetime:
    return plain_time("created_at", value)


def _check_created_at(_: object, attribute: Attribute[Any], value: datetime) -> None:
    if value.microsecond:
        raise ValueError(f"{attribute.name} must be timezone-aware and on a whole second")


def _check_money(_: object, attribute: Attribute[Any], value: str | Decimal | None) -> None:
    # Money is written into the JSON digit for digit, so its text must be a JSON number.
    if value is not None and not _JSON_NUMBER.fullmatch(str(value)):
        raise ValueError(f"{attribute.name} must be written as a JSON number, for example 42.7831")


@frozen(kw_only=True)
class SandboxAgent:
    """A SIP line (agent) of `GET /agents`, which `POST /calls` may name.

    Attributes:
        id: Numeric id, as text.
        sip_username: SIP user name, which call records carry too.
        label: The name that people gave the seat.
        created_at: A timezone-aware time on a whole second, as the reference writes it.
        provisioned: `False` makes `POST /calls` fail with `ai_agent_not_provisioned`.
    """

    id: str
    sip_username: str = "unl_001"
    label: str = "SDR seat — Berlin"
    created_at: datetime = field(
        default=datetime(2026, 4, 30, 9, 14, tzinfo=UTC), converter=_created_at, validator=_check_created_at
    )
    provisioned: bool = field(default=True, validator=instance(bool))


DEFAULT_AGENTS: Final = (
    SandboxAgent(id="27"),
    SandboxAgent(id="28", sip_username="unl_002", label="SDR seat — Lisbon", provisioned=False),
)


def _agents(agents: Iterable[SandboxAgent]) -> tuple[SandboxAgent, ...]:
    return tuple(all_of("agents", agents, SandboxAgent))


@define(kw_only=True)
class Account:
    """One customer. Every attribute may be changed while the sandbox runs.

    Attributes:
        company_name: `companyName` of `GET /me`.
        customer_id: `customerId` of `GET /me`.
        primary_contact_email: `primaryContactEmail` of `GET /me`.
        balance: `balance` of `GET /balance`, written digit for digit.
        currency: `currency` of `GET /balance`.
        account_type: `accountType` of `GET /balance`.
        credit_limit: `creditLimit` of `GET /balance`, written digit for digit.
        blocked: `blocked` of `GET /balance`.
        stale: `stale` of `GET /balance`.
        balance_fails: `True` makes `GET /balance` fail with `internal_error`.
        suspended: `True` makes every endpoint fail with `suspended`.
        provisioned: `False` makes `/cdrs` and `/calls` fail with `account_not_provisioned`.
        dialer: `False` makes `/calls` fail with `dialer_required`.
        engine: `False` makes `/calls` fail with `engine_not_configured`.
        originate_error: A text makes `/calls` fail with `originate_failed`, and is the error's detail.
        agents: The agents that `GET /agents` lists.
    """

    company_name: str = "Acme Calling Co."
    customer_id: str = "1042"
    primary_contact_email: str = "ops@acme.example"
    balance: str | Decimal = field(default="42.7831", validator=_check_money)
    currency: str = "USD"
    account_type: str = "prepaid"
    credit_limit: str | Decimal | None = field(default=None, validator=_check_money)
    blocked: bool = field(default=False, validator=instance(bool))
    stale: bool = field(default=False, validator=instance(bool))
    balance_fails: bool = field(default=False, validator=instance(bool))
    suspended: bool = field(default=False, validator=instance(bool))
    provisioned: bool = field(default=True, validator=instance(bool))
    dialer: bool = field(default=True, validator=instance(bool))
    engine: bool = field(default=True, validator=instance(bool))
    originate_error: str | None = None
    agents: tuple[SandboxAgent, ...] = field(default=DEFAULT_AGENTS, converter=_agents)

    def agent(self, agent_id: str) -> SandboxAgent | None:
        """Return the agent with this id, or `None` if the account has no such agent."""
        return next((agent for agent in self.agents if agent.id == agent_id), None)


class Tokens:
    """The tokens that open the account, each with its fixed set of scopes (reference, "Authentication")."""

    def __init__(self) -> None:
        self._scopes: dict[str, frozenset[str]] = {}

    def add(self, scopes: Iterable[str], token: str | None = None) -> str:
        """Add a token with these scopes, a new one if none is given, and return it."""
        granted = frozenset(all_of("scopes", scopes, str))
        if unknown := granted - SCOPES:
            raise ValueError(f"no such scope: {', '.join(sorted(unknown))}")
        token = TOKEN_PREFIX + random_text(23) if token is None else token
        if not isinstance(token, str):
            raise TypeError(f"token must be a str, not {type(token).__name__}")
        if not _VISIBLE_ASCII.fullmatch(token):
            raise ValueError("token must be visible ASCII without spaces")
        self._scopes[token] = granted
        return token

    def revoke(self, token: str) -> None:
        """Make the token invalid at once, as deleting it in the portal does."""
        if token not in self._scopes:
            raise ValueError("this token is not valid, so there is nothing to revoke")
        del self._scopes[token]

    def scopes(self, token: str) -> frozenset[str] | None:
        """Return the token's scopes, or `None` if the token is not valid."""
        return self._scopes.get(token)
