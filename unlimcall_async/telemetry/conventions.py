"""Observations in the words of OpenTelemetry's semantic conventions for HTTP clients.

Pure: no I/O. The conventions: https://opentelemetry.io/docs/specs/semconv/http/. Names that begin with `unlimcall.` are the
package's own, for what the conventions do not name.

An observation holds no phone number and no token, so no attribute does. In `url.full`, which the conventions require, `REDACTED`
stands for the parts that an observation leaves out. The query is left out as a whole.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from unlimcall_async import APIError, Observation, ResponseError, errors

# The conventions that the names are those of.
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.42.0"

Attributes: TypeAlias = dict[str, str | int | float | bool | tuple[str, ...]]

_PORTS: Final = {"http": 80, "https": 443}
_OTHER_PATH: Final = "(other)"
_REDACTED: Final = "REDACTED"

# The errors that a response makes. For them the conventions want its status as the type of the error, if that is 400 or above.
_OF_RESPONSES: Final = frozenset(
    name
    for name, found in vars(errors).items()
    if isinstance(found, type) and issubclass(found, (APIError, ResponseError))
)


# Beyond this, the requests of thousands of base URLs are written out anew each time.
@lru_cache(maxsize=4096)
def _of_url(base_url: str, method: str, path: str) -> tuple[tuple[tuple[str, str | int], ...], str]:
    url = urlsplit(base_url)
    request: list[tuple[str, str | int]] = [("http.request.method", method)]
    if url.hostname:
        request.append(("server.address", url.hostname))
        request.append(("server.port", url.port or _PORTS.get(url.scheme, 443)))
    if path == _OTHER_PATH:
        return tuple(request), f"{base_url}/{_REDACTED}"
    request.append(("url.template", url.path + path))
    return tuple(request), base_url + path.replace("{id}", _REDACTED)


def request_attributes(info: Observation) -> Attributes:
    """Return the method, the server and the template of the path: what all signals say of a request."""
    return dict(_of_url(info.base_url, info.method, info.path)[0])


def outcome_attributes(info: Observation) -> Attributes:
    """Return the status of the response, and the type of the error, as far as there are any."""
    found: Attributes = {}
    if info.status is not None:
        found["http.response.status_code"] = info.status
    if (kind := error_type(info)) is not None:
        found["error.type"] = kind
    return found


def result_attributes(call: Observation) -> Attributes:
    """Return how a call ended, for its duration: the type of the error, and whether the call may have taken effect."""
    found: Attributes = {}
    if (kind := error_type(call)) is not None:
        found["error.type"] = kind
    if call.outcome_unknown:
        found["unlimcall.call.outcome_unknown"] = True
    return found


def error_type(info: Observation) -> str | None:
    """Return the status if the response was an error, else the name of the error's class; `None` after a success.

    A 404 may be a success: that of a repeated DELETE, whose first attempt has removed the hook.
    """
    if info.error is not None and info.status is not None and info.status >= 400 and info.error in _OF_RESPONSES:
        return str(info.status)
    return info.error


def span_name(info: Observation) -> str:
    """Return the method and the template of the path, or the method alone for a path that the reference does not describe."""
    template = request_attributes(info).get("url.template")
    return info.method if template is None else f"{info.method} {template}"


def span_attributes(call: Observation) -> Attributes:
    """Return the attributes of the span of a call. A call with 0 attempts has sent nothing."""
    found = request_attributes(call) | outcome_attributes(call) | result_attributes(call)
    found["url.full"] = _of_url(call.base_url, call.method, call.path)[1]
    found["unlimcall.endpoint"] = call.endpoint
    found["unlimcall.call.attempts"] = call.number
    found["unlimcall.call.wait"] = call.waited_s
    return found | _of_attempt(call)


def event_attributes(attempt: Observation) -> Attributes:
    """Return the attributes of the event of an attempt."""
    found = outcome_attributes(attempt)
    found["unlimcall.attempt.number"] = attempt.number
    found["unlimcall.attempt.wait"] = attempt.waited_s
    found["unlimcall.attempt.duration"] = attempt.elapsed_s
    return found | _of_attempt(attempt)


def _of_attempt(info: Observation) -> Attributes:
    """Return how often the request was sent again, and what the API called it."""
    found: Attributes = {}
    if info.number > 1:
        found["http.request.resend_count"] = info.number - 1
    if info.request_id is not None:
        found["http.response.header.x-request-id"] = (info.request_id,)
    return found
