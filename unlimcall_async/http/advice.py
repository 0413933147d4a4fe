"""What a user can do about a response that does not look like the API's.

Pure: no I/O. Mostly the base URL is wrong, or something on the way has answered: a proxy, a firewall, the portal of a network. Of a
URL the texts show the scheme, the host and the port alone.
"""

from __future__ import annotations

from typing import Final

from yarl import URL

from unlimcall_async._urls import url_of
from unlimcall_async.http.endpoints import BASE_PATH
from unlimcall_async.http.messages import Request

_NOT_OURS: Final = (
    "this does not look like an error of the API: a proxy or a firewall on the way may have sent it, or the base URL names another "
    "server"
)


def refusal_hint(request: Request, status: int, code: str | None, *, is_page: bool, is_json: bool) -> str:
    """Return the hint for an error, or an empty text if nothing speaks against the API itself.

    Args:
        request: The request.
        status: The status of the response.
        code: Its documented code, or `None`.
        is_page: Whether its body is a web page.
        is_json: Whether its body is JSON.
    """
    url = request.url
    # The API itself says `not_found` of a path that it does not have.
    if status == 404 and code in {None, "not_found"} and (path := _base_path_hint(url)):
        return path
    if code is not None or status == 429 or status >= 500:
        return ""
    if status == 407:
        return "a proxy on the way wants a user name and a password"
    if status == 404 and request.endpoint.success is None:
        return "the API may not have this path"
    # How a server that speaks TLS refuses plain http. No such server answers in JSON.
    if status == 400 and url.scheme == "http" and not is_json:
        return f"does {url.host_subcomponent}:{url.port} speak https? the base URL says http"
    return _NOT_OURS if is_page or status == 404 else ""


def page_hint(url: URL) -> str:
    """Return the hint for a web page with a good status."""
    return _base_path_hint(url) or (
        "this is a web page: the base URL may name a web site, or the portal or the proxy of a network has answered"
    )


def redirect_hint(url: URL, location: str) -> str:
    """Return the hint for a redirect to `location`."""
    try:
        target = url.join(url_of(location))
        place = f"{target.scheme}://{target.host_subcomponent or ''}"
        port = target.port
    except ValueError:
        return "is the base URL right?"
    if target.host == url.host and (url.scheme, target.scheme) == ("http", "https"):
        return "the server wants https: write https:// in the base URL"
    if not target.host or (target.host, target.port) == (url.host, url.port):
        return _base_path_hint(url) or "the server points to another path: is the base URL right?"
    place = place if target.is_default_port() else f"{place}:{port}"
    return f"the server points to {place}: is the base URL right?"


def _base_path_hint(url: URL) -> str:
    """Return the hint for a URL without the path that all URLs of the API have, or an empty text."""
    if f"{BASE_PATH}/" in url.raw_path:
        return ""
    return f"the base URL has no {BASE_PATH}: {url.origin()}{BASE_PATH} may be meant"
