"""Paths and what they name.  No I/O."""

from typing import get_args
from urllib.parse import unquote

from attrs import frozen

from unlimcall_async.sandbox.settings import EndpointName

__all__ = ["BASE_PATH", "Resource", "find_resource"]

BASE_PATH = "/api/v1"


@frozen
class Resource:
    """What a path names: an endpoint's template, and the id in it if it has one."""

    endpoint: EndpointName
    template: str
    id: str = ""


# An endpoint is named after its path; `/hooks` and `/hooks/{id}` share a name.
_FIXED = {f"{BASE_PATH}/{name}": Resource(name, f"/{name}") for name in get_args(EndpointName)}
_HOOKS = f"{BASE_PATH}/hooks/"


def find_resource(path: str) -> Resource | None:
    """Return what the path, as it was sent, names.

    Nothing is normalised: a doubled or trailing slash and `..` name nothing, so a client that builds such a path shows.
    """
    tail = path.removeprefix(_HOOKS)
    if tail not in {path, ""} and "/" not in tail:
        return Resource("hooks", "/hooks/{id}", unquote(tail))
    return _FIXED.get(path)
