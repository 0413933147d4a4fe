"""The receiving end of webhooks: verifies, sees to it that each event is handled once, and answers so that nothing is lost."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from unlimcall_async import _arguments
from unlimcall_async.errors import EventError, SignatureError
from unlimcall_async.webhooks.answers import NO_EVENT, TOO_LARGE, Answer, FailureRun, refusal
from unlimcall_async.webhooks.asgi import AsgiApp
from unlimcall_async.webhooks.claims import SeenStore
from unlimcall_async.webhooks.events import Event, parse_event
from unlimcall_async.webhooks.handling import Handling
from unlimcall_async.webhooks.memory import MemoryStore
from unlimcall_async.webhooks.signature import HEADER, check, key_ring, raw

if TYPE_CHECKING:
    from aiohttp import web

E = TypeVar("E", bound=Event)
R = TypeVar("R")

_logger = logging.getLogger("unlimcall_async")

# The sender retries for 24 hours and may keep its first signature; an hour more for its last attempt to arrive, and for clocks.
_BEHIND: Final = 25 * 3600.0
_AHEAD: Final = 300.0


class WebhookReceiver:
    """Takes webhook deliveries: verifies, handles each event once, and answers so that the sender's retries work for it.

    `handle` is all that it needs of a server; `aiohttp_app`, `aiohttp_route` and `asgi_app` bring it to one. It serves one event
    loop. How long a request may take to arrive is for that server to say, or for the proxy in front of it.

    All handlers of an event run, one after the other, also if one of them fails. If any did, the answer is 500, and all of them run
    again when the event comes again. What a handler does is therefore done at least once; what it gives to
    `SQLiteStore.at_commit` is done exactly once.

    Args:
        secrets: What `POST /hooks` returned, whole; one, or several.
        store: Remembers the events that were handled. Without one they are remembered in memory, until the process ends. A store
            that is handed in is not closed. Receivers that share one share its events, each of which one of them handles: they
            must have the same handlers.
        max_body: The largest body to accept, in bytes. A larger one is answered 413, and is lost.
        on_failing: Called with the length of a run of failed answers when it reaches 3, 5, 7 and 9. At 10 in a row the sender
            disables the endpoint. All answers of this receiver count as one run: give each hook its own, to have them counted
            apart. Requests of strangers count too, as they cannot be told from the sender's own under a secret that is missing;
            failures that cannot be theirs are counted once more without them.
        clock: Gives the Unix time in seconds.

    Raises:
        ValueError: No secret, an empty one, or a `max_body` below 1.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        secrets: str | Sequence[str],
        *,
        store: SeenStore | None = None,
        max_body: int = 1 << 20,
        on_failing: Callable[[int], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        _check_on_failing(on_failing)
        self._keys: tuple[bytes, ...] = key_ring(secrets)
        self._max_body = _arguments.whole("max_body", max_body)
        self._on_failing = on_failing
        self._clock = clock
        self._handling = Handling(MemoryStore() if store is None else store, clock)
        self._rotations = 0
        self._run = FailureRun()

    def on(self, kind: type[E]) -> Callable[[Callable[[E], R]], Callable[[E], R]]:
        """Decorate a handler of a class of events; `Event` stands for all, also of types that this release does not know.

        A handler is called with the event. It may be a coroutine function, or a plain one, which must not block.
        """
        _check_kind(kind)

        def register(handler: Callable[[E], R]) -> Callable[[E], R]:
            _check_handler(handler)
            self._handling.handlers.append((kind, handler))
            return handler

        return register

    def add_secret(self, secret: str) -> None:
        """Accept another secret too, such as that of a hook which was just created."""
        (key,) = key_ring([secret])
        if key not in self._keys:
            self._keys = (*self._keys, key)

    def remove_secret(self, secret: str) -> None:
        """Accept a secret no more. Retries of the deliveries of its hook come for 24 hours.

        Raises:
            ValueError: It is not among the secrets, or it is the last one.
        """
        (key,) = key_ring([secret])
        rest = tuple(other for other in self._keys if other != key)
        if not rest or rest == self._keys:
            raise ValueError("secret must be one of several that are accepted now")
        self._keys = rest

    @contextmanager
    def rotating(self) -> Iterator[None]:
        """While a hook is being created, until its secret is added: have deliveries under an unknown secret come again.

        Its first delivery may be here before the answer that holds its secret. Refused for good, it would be lost.
        """
        self._rotations += 1
        try:
            yield
        finally:
            self._rotations -= 1

    async def handle(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Take one delivery: the status and the body to answer with.

        It raises nothing but `CancelledError`, whatever came; a cancelled delivery is as one that never came, and can come again.

        Args:
            body: The request's body, byte for byte as it came.
            headers: The request's headers, their names in any case.

        Raises:
            TypeError: The body is not bytes, or the headers are no mapping of text to text.
        """
        content = raw("body", body)
        if not isinstance(headers, Mapping):
            raise TypeError(f"headers must be a mapping, not {type(headers).__name__}")
        answer = await self._answer(content, _signature(headers))
        length = self._run.note(answer[0])
        if length is not None:
            self._raise_alarm(length)
        return answer

    def aiohttp_app(self) -> web.Application:
        """Make an aiohttp application that takes deliveries on every path."""
        from unlimcall_async.webhooks.aiohttp_routes import app  # noqa: PLC0415 # aiohttp is slow to import, and not all need it

        return app(self.handle, self._max_body)

    def aiohttp_route(self, path: str) -> web.RouteDef:
        """Make a route for an aiohttp application: `app.add_routes([receiver.aiohttp_route("/hooks")])`."""
        from unlimcall_async.webhooks.aiohttp_routes import route  # noqa: PLC0415 # as above

        return route(self.handle, self._max_body, path)

    def asgi_app(self) -> AsgiApp:
        """Make an ASGI application, to be served as it is or as a route: `Route("/hooks", receiver.asgi_app())` in Starlette.

        Not under `Mount("/hooks", ...)`, unless the hook's URL ends in a slash: Starlette redirects one that does not.
        """
        return AsgiApp(self.handle, self._max_body)

    def __repr__(self) -> str:
        known = f"{len(self._keys)} secrets, {len(self._handling.handlers)} handlers"
        return f"<{type(self).__name__} {known}, {self._handling.store!r}>"

    # --- one delivery ---------------------------------------------------------------------------------------------

    async def _answer(self, body: bytes, header: str | None) -> Answer:
        if len(body) > self._max_body:
            return TOO_LARGE
        try:
            check(body, header, self._keys, now=self._clock(), behind=_BEHIND, ahead=_AHEAD)
            event = parse_event(body)
        except SignatureError as error:
            # Strangers knock at any open port. A wrong time is said of a genuine delivery only.
            _logger.log(logging.INFO if error.age is None else logging.WARNING, "webhook refused: %s", error)
            return refusal(error, rotating=self._rotations > 0)
        except EventError as error:
            _logger.error("webhook refused: %s", error)  # noqa: TRY400 # the traceback is of no interest
            return NO_EVENT
        return await self._handling.settle(_key(event, body), event)

    def _raise_alarm(self, length: int) -> None:
        _logger.warning("%d webhook deliveries in a row failed; at 10 the sender disables the endpoint", length)
        if self._on_failing is None:
            return
        try:
            self._on_failing(length)
        except Exception as error:  # noqa: BLE001 # the sender must get the answer that counts
            _logger.error("on_failing raised %s", type(error).__name__)  # noqa: TRY400 # by its type only, as everywhere


def _check_on_failing(value: object) -> None:
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise TypeError("on_failing must be a plain function of one argument, or None")


def _check_kind(value: object) -> None:
    if not (isinstance(value, type) and issubclass(value, Event)):
        raise TypeError("on takes a class of events, as in @receiver.on(CallEnded)")


def _check_handler(value: object) -> None:
    # Called, a generator function does nothing, and the event would count as handled.
    if not callable(value) or inspect.isgeneratorfunction(value) or inspect.isasyncgenfunction(value):
        raise TypeError("a handler must be a plain function or a coroutine function")


def _signature(headers: Mapping[str, str]) -> str | None:
    """Find the signature's header. One that comes twice is joined, by HTTP's own rule, and then judged as a whole."""
    wanted = HEADER.lower()
    found = [value for name, value in headers.items() if _text(name).lower() == wanted]
    return ",".join(map(_text, found)) if found else None


def _text(value: object) -> str:
    """Require what a server's headers are made of. Bytes or lists, not understood, would be a refusal for good."""
    if not isinstance(value, str):
        raise TypeError(f"headers must map str to str, not {type(value).__name__}")
    return value


def _key(event: Event, body: bytes) -> str:
    """Give what stands for the event in the store: of one size, whatever came, and without a number in it.

    The type is part of it, as an `id` on the outer level may be the contact's, and the events of one contact are not one event.
    """
    identity = body if event.id is None else json.dumps([event.type, event.id]).encode()
    return hashlib.sha256(identity).hexdigest()
