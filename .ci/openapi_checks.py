"""What schemathesis checks of the sandbox beyond its own checks."""

import json
from typing import Any

import schemathesis

# A valid request may name a window that is not.
WINDOWS = {"till_must_be_after_from", "window_too_wide"}


def _resolved(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in value:
        found: Any = document
        for name in value["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        value = found
    return value


@schemathesis.check
def code_is_documented(_ctx: Any, response: Any, case: Any) -> None:
    """Require an error code that the description lists for the operation and the status."""
    document = case.operation.schema.raw_schema
    responses = document["paths"][case.operation.path][case.operation.method]["responses"]
    if response.status_code < 400 or str(response.status_code) not in responses:
        return
    listed = _resolved(document, responses[str(response.status_code)])["content"]["application/json"]["examples"]
    code = json.loads(response.content)["error"]
    if code not in listed:
        raise AssertionError(
            f"{response.status_code} has the code {code!r}, and the description lists {', '.join(listed)}"
        )
    valid = case.meta is not None and case.meta.generation.mode.is_positive
    if valid and case.operation.path == "/cdrs" and response.status_code == 400 and code not in WINDOWS:
        raise AssertionError(f"a valid request has the code {code!r}")


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Leave out a limit above the maximum: the reference does not say whether such a limit is refused or lowered."""
    limit = (case.query or {}).get("limit")
    try:
        return case.operation.path != "/cdrs" or int(limit) <= 1000
    except (TypeError, ValueError):
        return True
