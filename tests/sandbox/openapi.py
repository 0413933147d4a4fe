"""The description of the API, and `python -m tests.sandbox.openapi`, which writes the description into the sandbox as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
STORED = ROOT / "unlimcall_async/sandbox/openapi.json"

DESCRIPTION: dict[str, Any] = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text(encoding="utf-8"))


def as_json() -> str:
    return json.dumps(DESCRIPTION, ensure_ascii=False, indent=1) + "\n"


def resolved(value: Any) -> Any:
    """Return what a reference leads to, or the value itself."""
    while isinstance(value, Mapping) and "$ref" in value:
        found: Any = DESCRIPTION
        for name in value["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        value = found
    return value


def operations(part: str = "paths") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the method, the path and the description of each operation."""
    for path, item in DESCRIPTION[part].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def codes(response: Any) -> frozenset[str]:
    """Return the error codes that a response may have: the names of its examples."""
    content = resolved(response).get("content", {}).get("application/json", {})
    return frozenset(content.get("examples", ()))


if __name__ == "__main__":
    STORED.write_text(as_json(), encoding="utf-8")
