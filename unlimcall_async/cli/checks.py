"""What `doctor` has found, as one row for each check. No I/O.

The checks stand in the order in which a request meets them: the host's name, the connection, the URL, the token. Behind the first
of them that fails, no request can show anything, so the rows that rest on it are "not checked". The first failed row decides on the
exit status.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from unlimcall_async import (
    APIError,
    AuthenticationError,
    Identity,
    LimitState,
    NotFoundError,
    RateLimitedError,
    ResponseError,
    ServerError,
    TransportError,
    UnlimCallError,
)
from unlimcall_async.cli.diagnosis import Server
from unlimcall_async.cli.wording import many, without_python

# Seconds by which a clock may be off before it matters: to the end of a pull that ends now, and to the age of a signature.
_SKEW: Final = 5.0

SCOPES: Final = ("read:balance", "read:agents", "read:cdrs")
UNTESTED: Final = ("read:numbers", "read:invoices", "write:calls", "write:hooks")

Result: TypeAlias = Literal["ok", "failed", "missing", "unknown", "not checked"]
# Who is to blame for a failed check: those of an error's category; the user, for an option or a setting; nobody who could be asked.
Blame: TypeAlias = Literal["application", "provider", "network", "usage", "machine"]

_EXAMPLE: Final = "https://app.unlimcall.com/api/v1"
_ONLINE: Final = "is this machine online? the network of a company may need a proxy (HTTPS_PROXY)"
_WRONG_URL: Final = (
    f"check the base URL, which is like {_EXAMPLE}; or the portal or the proxy of a network has answered"
)
_LIMITED: Final = "the rate limit refused the request"
_TRY_LATER: Final = "the API, or a proxy on the way, fails: try again later"
_ASK: Final = "the account may not be set up for this: ask the support of UnlimCall"
_REFUSED: Final = (
    "the token may be revoked, expired, cut off, or of another server; take a new one from the account's API settings"
)


@attrs.frozen
class Check:
    """One row.

    Attributes:
        name: What was checked.
        result: How the check ended. `"missing"` is a scope that the token lacks, which is not a failure.
        text: What was found.
        hint: What the user can do, or an empty text.
        blame: Who is to blame for a failure; `None` unless `result` is `"failed"`.
    """

    name: str
    result: Result
    text: str
    hint: str = ""
    blame: Blame | None = None


@attrs.frozen
class Lookup:
    """The result of the lookup of a host's name: addresses, or the reason why the lookup failed."""

    addresses: tuple[str, ...] = ()
    problem: str = ""


@attrs.define
class Findings:
    """All that `doctor` has found.

    Attributes:
        token_source: Where the token comes from, for people.
        base_url: The URL of the API; empty if the URL is not valid.
        url_problem: Why the URL is not valid, or an empty text.
        proxy_problem: Why the proxy that the environment names cannot be used, or an empty text.
        token_problem: Why there is no token to send, or an empty text.
        lookup: The lookup of the host's name; `None` if nothing was looked up.
        proxy: The host and the port of the proxy that requests go through, or an empty text.
        identity: The account that the token belongs to.
        refusal: Why `GET /me` failed, or `None`.
        skew: Seconds by which the server's clock is ahead of this one, at least; `None` if no response has told the time.
        requests: The requests that were made.
        latencies: Seconds that each request took that had a response as documented, with its waits.
        scopes: Whether the token has a scope; `None` if that is not known.
        problems: The errors, by the scope that was tried.
        limits: The rate limits that the client keeps to.
        server: How the server behaves.
    """

    token_source: str = ""
    base_url: str = ""
    url_problem: str = ""
    proxy_problem: str = ""
    token_problem: str = ""
    lookup: Lookup | None = None
    proxy: str = ""
    identity: Identity | None = None
    refusal: UnlimCallError | None = None
    skew: float | None = None
    requests: int = 0
    latencies: list[float] = attrs.field(factory=list)
    scopes: dict[str, bool | None] = attrs.field(factory=lambda: dict.fromkeys((*SCOPES, *UNTESTED)))
    problems: dict[str, UnlimCallError] = attrs.field(factory=dict)
    limits: Mapping[str, LimitState] = attrs.field(factory=dict)
    server: Server = attrs.field(factory=Server)


def facts(findings: Findings) -> dict[str, Any]:
    """Return the findings for a program."""
    identity = findings.identity
    rows = list(checks(findings))
    return {
        "checks": [
            {"check": row.name, "result": row.result, "text": row.text, "hint": row.hint or None} for row in rows
        ],
        "base_url": findings.base_url or None,
        "token_source": findings.token_source or None,
        "customer_id": identity and identity.customer_id,
        "company_name": identity and identity.company_name,
        "clock_skew_s": findings.skew,
        "latency_ms": _latency_ms(findings) if findings.latencies else None,
        "requests": findings.requests,
        "scopes": findings.scopes,
        "problems": {row.name: row.text for row in rows if row.result == "failed"},
        "server": attrs.asdict(findings.server),
    }


def checks(findings: Findings) -> Iterator[Check]:
    """Return the rows, in order."""
    way = [_name(findings), _connection(findings), _url(findings)]
    token = _token(findings)
    yield from way
    yield token
    # The first failure on the way is the reason why the other rows are not checked.
    blocked = next((_BLOCKED[row.name] for row in (*way, token) if row.result == "failed"), "")
    if not blocked and findings.identity is None:
        blocked = _LIMITED
    yield from _scopes(findings, blocked)
    yield _clock(findings)
    yield _latency(findings, blocked)
    yield _limits(findings, blocked)
    if not blocked and not findings.scopes["read:cdrs"]:
        lacks = findings.scopes["read:cdrs"] is False
        blocked = "the token lacks read:cdrs" if lacks else "GET /cdrs failed"
    yield from _server(findings.server, blocked)


# Why later rows are not checked, by the row that failed.
_BLOCKED: Final = {
    "name": "the host's name is not known",
    "connection": "there is no connection",
    "URL": "the URL is not that of the API",
    "token": "the token does not work",
}


# Why nothing was asked, by what is wrong.
_UNUSABLE: Final = {"URL": "the URL is not valid", "proxy": "the proxy cannot be used"}


def _name(findings: Findings) -> Check:
    lookup, host = findings.lookup, urlsplit(findings.base_url).hostname or ""
    if lookup is None:
        return Check("name", "not checked", _UNUSABLE["proxy" if findings.proxy_problem else "URL"])
    if lookup.addresses:
        more = f", and {len(lookup.addresses) - 2} more" if len(lookup.addresses) > 2 else ""
        found = "" if lookup.addresses == (host,) else f" is {', '.join(lookup.addresses[:2])}{more}"
        return Check("name", "ok", f"{host}{found}")
    if _reached(findings):
        return Check("name", "ok", f"this machine cannot resolve {host}; the proxy does")
    if findings.proxy:
        return Check("name", "not checked", f"the proxy {findings.proxy} resolves {host}")
    hint = f"check the host in the base URL; {_ONLINE}"
    return Check("name", "failed", f"{host}: {lookup.problem}", hint, "network")


def _reached(findings: Findings) -> bool:
    """Return whether a server has responded, whichever."""
    return findings.identity is not None or isinstance(findings.refusal, APIError | ResponseError)


def _connection(findings: Findings) -> Check:
    url, refusal = urlsplit(findings.base_url), findings.refusal
    if _reached(findings):
        way = f" through the proxy {findings.proxy}" if findings.proxy else ""
        trusted = "; the certificate is trusted" if url.scheme == "https" else ", without TLS"
        return Check("connection", "ok", f"{url.scheme} to {url.netloc}{way}{trusted}")
    if findings.proxy_problem:
        hint = "correct the variable, or unset it"
        return Check("connection", "failed", findings.proxy_problem, hint, "usage")
    if findings.url_problem:
        return Check("connection", "not checked", _UNUSABLE["URL"])
    if isinstance(refusal, TransportError) and _name(findings).result != "failed":
        hint = _hint(refusal) or f"check the host and the port in the base URL; {_ONLINE}"
        return Check("connection", "failed", refusal.reason, hint, "network")
    return Check("connection", "not checked", _BLOCKED["name"])


def _hint(error: UnlimCallError) -> str:
    """Return the hint that an error brings, or an empty text."""
    return without_python(error.hint) if isinstance(error, APIError | ResponseError | TransportError) else ""


def _url(findings: Findings) -> Check:
    refusal, url = findings.refusal, findings.base_url
    if findings.url_problem:
        # The URL may be missing because the file of settings cannot be read.
        hint = "correct the file" if ".toml:" in findings.url_problem else f"write it like {_EXAMPLE}"
        return Check("URL", "failed", findings.url_problem, hint, "usage")
    if not _reached(findings):
        return Check("URL", "not checked", f"{url}: no response came" if url else _UNUSABLE["proxy"])
    if isinstance(refusal, AuthenticationError | RateLimitedError) and refusal.code is None:
        return Check("URL", "unknown", f"{url}: the response has no error code of the API", _WRONG_URL)
    # The API has `/me`. All its errors have a code; a proxy, a firewall or another server answers without one.
    wrong = isinstance(refusal, ResponseError | NotFoundError) or getattr(refusal, "code", "") is None
    if refusal is not None and (wrong or isinstance(refusal, ServerError)):
        hint = _hint(refusal) or (_TRY_LATER if isinstance(refusal, ServerError) else _WRONG_URL)
        return Check("URL", "failed", f"{url}: {_bare(refusal)}", hint, refusal.category)
    return Check("URL", "ok", f"{url} is the API")


def _bare(error: UnlimCallError) -> str:
    """Return an error's text without its hint, which has a place of its own."""
    if isinstance(error, APIError | ResponseError | TransportError):
        return str(attrs.evolve(error, hint=""))
    return str(error)


def _token(findings: Findings) -> Check:
    refusal = findings.refusal
    source = f"from {findings.token_source}"
    if findings.token_problem:
        hint = "log in with `unlimcall login`, set UNLIMCALL_TOKEN, or give --token-file or --token-stdin"
        # The message may end with the same advice.
        return Check("token", "failed", findings.token_problem.removesuffix(f": {hint}"), hint, "usage")
    if (identity := findings.identity) is not None:
        return Check("token", "ok", f"{source}: {identity.company_name}, customer {identity.customer_id}")
    if (
        isinstance(refusal, APIError)
        and not isinstance(refusal, RateLimitedError)
        and _url(findings).result != "failed"
    ):
        hint = _REFUSED if isinstance(refusal, AuthenticationError) else _ASK
        return Check("token", "failed", f"{source}: {_bare(refusal)}", hint, "application")
    return Check("token", "not checked", source if findings.token_source else "no request was made")


def _scopes(findings: Findings, blocked: str) -> Iterator[Check]:
    for scope in SCOPES:
        problem = findings.problems.get(scope)
        if blocked:
            yield Check(scope, "not checked", blocked)
        elif isinstance(problem, RateLimitedError):
            yield Check(scope, "unknown", _LIMITED)
        elif problem is not None:
            hint = _hint(problem) or _TRY_AGAIN[problem.category]
            yield Check(scope, "failed", _bare(problem), hint, problem.category)
        elif findings.scopes[scope]:
            yield Check(scope, "ok", "the token has this scope")
        else:
            hint = "a token with this scope is needed for what reads them"
            yield Check(scope, "missing", "the token lacks this scope", hint)
    yield Check("other scopes", "unknown", f"{', '.join(UNTESTED)}: no harmless request can show them")


_TRY_AGAIN: Final = {
    "application": _ASK,
    "provider": "the API fails here: try again later",
    "network": "the connection broke: try again",
}


def _clock(findings: Findings) -> Check:
    skew = findings.skew
    if not _reached(findings):
        return Check("clock", "not checked", "no response came")
    if skew is None:
        return Check("clock", "unknown", "the server does not send its time")
    if not skew:
        return Check("clock", "ok", "agrees with the server's, to the second")
    text = f"{abs(skew):,.1f} s or more {'behind' if skew > 0 else 'ahead of'} the server's"
    if abs(skew) <= _SKEW:
        return Check("clock", "ok", text)
    hint = "set the clock of this machine: calls at the end of a range may be missed, and webhooks refused"
    return Check("clock", "failed", text, hint, "machine")


def _latency(findings: Findings, blocked: str) -> Check:
    if blocked or not findings.latencies:
        return Check("latency", "not checked", blocked)
    count = many(len(findings.latencies), "request", "requests")
    return Check("latency", "ok", f"{_latency_ms(findings):,.1f} ms, the median of {count}")


def _latency_ms(findings: Findings) -> float:
    return round(statistics.median(findings.latencies) * 1000, 1)


def _refused(findings: Findings) -> RateLimitedError | None:
    """Return the refusal by a rate limit, if there was one."""
    errors = (findings.refusal, *findings.problems.values())
    return next((error for error in errors if isinstance(error, RateLimitedError)), None)


def _limits(findings: Findings, blocked: str) -> Check:
    if (refusal := _refused(findings)) is not None:
        wait = "" if refusal.retry_after is None else f"; the next request may go out in {refusal.retry_after:,.0f} s"
        hint = "other programs may use the token, too: wait, and send less"
        return Check("limits", "failed", f"{_bare(refusal)}{wait}", hint, "application")
    if blocked:
        return Check("limits", "not checked", blocked)
    kept: dict[int, list[str]] = {}
    for name, state in findings.limits.items():
        if state.limit is not None:
            kept.setdefault(state.limit.per_minute, []).append(name)
    # Mostly one number for all endpoints.
    numbers = [f"{number:,} a minute to {', '.join(names)}" for number, names in kept.items()]
    keeps = f"; the client sends at most {'; '.join(numbers)}" if numbers else ""
    return Check("limits", "ok", f"no refusal in {many(findings.requests, 'request', 'requests')}{keeps}")


def _server(server: Server, blocked: str) -> Iterator[Check]:
    """Return how the server behaves."""
    included = {True: "included in a window", False: "not included in a window", None: ""}
    resolution = {"ms": "times are compared in milliseconds", "s": "times are compared in seconds", None: ""}
    count = {"rows": "counts the rows of the page", "matches": "counts all rows that match", None: ""}
    found = {
        "order": server.order or "",
        "from": included[server.from_included],
        "till": included[server.till_included],
        "resolution": resolution[server.resolution],
        "count": count[server.count],
        "cap": f"pages hold at most {server.cap:,} rows" if server.cap else "",
    }
    for name, text in found.items():
        if blocked:
            yield Check(name, "not checked", blocked)
        elif text:
            yield Check(name, "ok", text)
        elif name == "cap":
            yield Check(name, "unknown", f"not met in {many(server.rows, 'row', 'rows')}")
        else:
            yield Check(name, "unknown", f"{many(server.rows, 'call', 'calls')} in 31 days do not show it")
