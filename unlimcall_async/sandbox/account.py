"""The customer's account as the API sees it: its data, its states, its agents and its tokens.  No I/O."""

import re
import secrets
import string
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from attrs import Attribute, define, field, frozen

__all__ = ["DEFAULT_AGENTS", "DEFAULT_TOKEN", "SCOPES", "Account", "SandboxAgent", "Tokens", "random_text"]

# Reference, "Authentication".  Two of them open endpoints that v1 does not document; a token may hold them anyway.
SCOPES = frozenset(
    {"read:balance", "read:cdrs", "read:agents", "read:numbers", "read:invoices", "write:calls", "write:hooks"}
)

TOKEN_PREFIX = "unl_test_"  # noqa: S105  # the public part of every token of the sandbox
DEFAULT_TOKEN = f"{TOKEN_PREFIX}5andb0xA11Sc0pes0000001"

_ALPHANUMERIC = string.ascii_letters + string.digits
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def random_text(length: int) -> str:
    """Return `length` random ASCII letters and digits, fit for tokens and signing secrets."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))


def _check_number(_: object, attribute: "Attribute[Any]", value: str | Decimal | None) -> None:
    """Money is written to the JSON digit for digit, so its text must be a JSON number."""
    if value is not None and not _JSON_NUMBER.fullmatch(str(value)):
        raise ValueError(f"{attribute.name} must be written as a JSON number, not {str(value)!r}")


def _check_whole_second(_: object, attribute: "Attribute[Any]", value: datetime) -> None:
    if value.tzinfo is None or value.microsecond:
        raise ValueError(f"{attribute.name} must be timezone-aware and on a whole second")


@frozen(kw_only=True)
class SandboxAgent:
    """A SIP line (agent) of `GET /agents`, which `POST /calls` may name.

    Attributes:
        id: Numeric id, as text.
        sip_username: SIP user name, which CDRs carry too.
        label: The name that people gave the seat.
        created_at: Aware, on a whole second, as the reference writes it.
        provisioned: False makes `POST /calls` answer `ai_agent_not_provisioned`.
    """

    id: str
    sip_username: str = "unl_001"
    label: str = "SDR seat — Berlin"
    created_at: datetime = field(default=datetime(2026, 4, 30, 9, 14, tzinfo=UTC), validator=_check_whole_second)
    provisioned: bool = True


DEFAULT_AGENTS = (
    SandboxAgent(id="27"),
    SandboxAgent(id="28", sip_username="unl_002", label="SDR seat — Lisbon", provisioned=False),
)


def _agent_tuple(agents: Iterable[SandboxAgent]) -> tuple[SandboxAgent, ...]:
    return tuple(agents)


@define(kw_only=True)
class Account:
    """One customer, changeable while the sandbox runs.

    Attributes:
        customer_id: `customerId` of `GET /me`; so are the two below.
        company_name: `companyName`.
        primary_contact_email: `primaryContactEmail`.
        balance: `balance` of `GET /balance`, written digit for digit; so is `credit_limit`.
        currency: `currency`, as all below up to `stale` a field of `GET /balance`.
        account_type: `accountType`.
        credit_limit: `creditLimit`.
        blocked: `blocked`.
        stale: `stale`.
        balance_fails: True answers `internal_error` on `GET /balance`.
        suspended: True answers `suspended` everywhere.
        provisioned: False answers `account_not_provisioned` on `/cdrs` and `/calls`.
        dialer: False answers `dialer_required` on `/calls`.
        engine: False answers `engine_not_configured` on `/calls`.
        originate_error: Text answers `originate_failed` on `/calls`, with the text as its detail.
        agents: What `GET /agents` lists.
    """

    customer_id: str
    company_name: str
    primary_contact_email: str
    balance: str | Decimal = field(validator=_check_number)
    currency: str
    account_type: str
    credit_limit: str | Decimal | None = field(validator=_check_number)
    blocked: bool
    stale: bool
    balance_fails: bool
    suspended: bool
    provisioned: bool
    dialer: bool
    engine: bool
    originate_error: str | None
    agents: tuple[SandboxAgent, ...] = field(converter=_agent_tuple)

    def agent(self, agent_id: str) -> SandboxAgent | None:
        """Return the agent with this id, if the account has one."""
        return next((agent for agent in self.agents if agent.id == agent_id), None)


class Tokens:
    """The tokens that open the account, each with its fixed set of scopes (reference, "Authentication")."""

    def __init__(self) -> None:
        self._scopes: dict[str, frozenset[str]] = {}

    def add(self, scopes: Iterable[str], token: str | None = None) -> str:
        """Mint a token, or take the given one, with these scopes; return it."""
        granted = frozenset(scopes)
        if unknown := granted - SCOPES:
            raise ValueError(f"no such scope: {', '.join(sorted(unknown))}")
        token = token or TOKEN_PREFIX + random_text(23)
        self._scopes[token] = granted
        return token

    def revoke(self, token: str) -> None:
        """Make the token invalid at once, as deleting it in the portal does."""
        if token not in self._scopes:
            raise ValueError("this token is not valid, so there is nothing to revoke")
        del self._scopes[token]

    def scopes(self, token: str) -> frozenset[str] | None:
        """Return what the token may do, or `None` for a token that is not valid."""
        return self._scopes.get(token)
