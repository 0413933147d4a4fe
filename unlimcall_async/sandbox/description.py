"""What the sandbox shows of the API: a description for tools, at `/openapi.json`, and a page to try the API, at `/` and `/docs`.

The description is that of `docs/openapi.yaml`, as JSON, so that the sandbox needs no reader of YAML. The page takes everything that
it shows from the description.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Final

from unlimcall_async.sandbox.api import BASE_PATH
from unlimcall_async.sandbox.responses import Response, dump_json, json_response

# The page asks this server alone, loads nothing, and no other page may frame it.
_PAGE_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


def describe(method: str, path: str) -> Response | None:
    """Return the description or the page, or `None` if the request asks for neither."""
    if method not in {"GET", "HEAD"}:
        return None
    if path == "/openapi.json":
        return _description()
    return _page() if path in {"/", "/docs"} else None


@cache
def _description() -> Response:
    document = json.loads(_read("openapi.json"))
    # A tool that reads the description from a sandbox must not place calls in production.
    document["servers"] = [{"url": BASE_PATH, "description": "This sandbox"}]
    return json_response(dump_json(document))


@cache
def _page() -> Response:
    return Response(200, _read("page.html"), _PAGE_HEADERS)


def _read(name: str) -> bytes:
    return files("unlimcall_async.sandbox").joinpath(name).read_bytes()
