"""The receiver of webhooks: verifies each delivery, handles each event once, and responds so that no event is lost."""

from __future__ import annotations

import inspect
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from unlimcall_async import _arguments, _log_setup, _watched
from unlimcall_async._argument_kinds import require_methods
from unlimcall_async._lazy import LazyModule
from unlimcall_async.errors import EventError, SignatureError
from unlimcall_async.webhooks.adapters import AsgiApp, aiohttp_app, aiohttp_route
from unlimcall_async.webhooks.events import Event, parse_event
from unlimcall_async.webhooks.handling import Handling
from unlimcall_async.webhooks.identity import Bodies, key_of
from unlimcall_async.webhooks.responses import (
    HANDLED,
    NO_EVENT,
    SEEN,
    TOO_LARGE,
    UNREADABLE,
    FailureRun,
    ReceiverStats,
    Response,
    refusal,
)
from unlimcall_async.webhooks.signature import check, key, key_ring, raw
from unlimcall_async.webhooks.stores import MemoryStore, SeenStore
from unlimcall_async.webhooks.wire import AlteredError, Fields, Headers, TooLargeError, unpacked

if TYPE_CHECKING:
    from aiohttp import web
else:
    web = LazyModule("aiohttp.web")

E = TypeVar("E", bound=Event)
R = TypeVar("R")

_logger = logging.getLogger("unlimcall_async")

# The sender retries for 24 hours and may keep its first signature. One hour more allows for the last attempt to arrive, and for
# clocks that differ.
_BEHIND: Final = 25 * 3600.0
_AHEAD: Final = 300.0

_ALTERED: Final = (
    "webhook not accepted: its body is not as it was sent, by Content-Length or Content-Encoding; "
    "does the server, or a middleware, read or unpack bodies before the receiver?"
)


# What becomes of a delivery that is accepted, by its response; any other response is a failure.
_OUTCOMES: Final = {HANDLED: "handled", SEEN: "seen"}


class WebhookReceiver:
    """Receives webhook deliveries: verifies them, handles each event once, and responds so that the sender's retries work.

        receiver = WebhookReceiver(secret, store=SQLiteStore("seen.sqlite"))

        @receiver.on(CallEnded)
        async def update(event: CallEnded) -> None: ...

        web.run_app(receiver.aiohttp_app(), port=8080)

    Mount a receiver with `aiohttp_app`, `aiohttp_route` or `asgi_app`, or call `handle` from a server of your own. A receiver
    serves one event loop.

    All handlers of an event run, one after the other, also if one of them fails. If any of them failed, the response is 500, and
    all of them run again when the sender repeats the event. So the work of a handler is done at least once. Work that a handler
    gives to `SQLiteStore.at_commit` is done exactly once.

    Responses: 200 for an event that is handled, or was handled before. 401, 400 or 413 for a delivery that no repetition can mend.
    500 or 503 if a handler or the store failed, or the clock or the server here is wrong: the sender repeats the event for up to 24
    hours.

    Args:
        secrets: The secret that `POST /hooks` returned, whole, with its `whsec_`; or several secrets, one of each hook.
        store: Remembers the events that were handled. The default is a `MemoryStore`, which forgets them when the process ends. A
            store that you pass is not closed. Receivers that share a store share its events, and each event is handled by one of
            them: give them the same handlers.
        max_body: The largest body to accept, in bytes. The response to a larger body is 413, and its event is lost.
        handler_timeout: Seconds that a handler may take; `None` for no limit. A coroutine that takes longer is cancelled, the event
            is free for its next delivery, and the response is 500. A plain function runs in the event loop, and nothing can cut it
            short.
        body_timeout: Seconds in which the body of a request must have arrived, under `aiohttp_app`, `aiohttp_route` and `asgi_app`;
            `None` for no limit. After that the response is 503, and the connection is closed.
        on_failing: Called with the length of a run of failed responses when it reaches 3, 5, 7 and 9. At 10 in a row the sender
            disables the hook. All responses of this receiver make one run, so give each hook a receiver of its own to count their
            failures apart. Requests of strangers count too, because the sender's own look the same under a secret that is missing
            here. Failures that no stranger can cause are counted a second time without them.
        clock: Returns Unix time in seconds.

    Raises:
        ValueError: `secrets` is empty, a secret is not visible ASCII, `max_body` is below 1, or a timeout is not a finite number
            above 0.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        secrets: str | Sequence[str],
        *,
        store: SeenStore | None = None,
        max_body: int = 1 << 20,
        handler_timeout: float | None = 60,
        body_timeout: float | None = 30,
        on_failing: Callable[[int], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if on_failing is not None and (inspect.iscoroutinefunction(on_failing) or not callable(on_failing)):
            raise TypeError("on_failing must be a plain function of one argument, or None")
        if store is not None:
            require_methods("store", store, "an object with the methods of SeenStore", "claim", "confirm", "release")
        if not _arguments.is_plain_function(clock):
            raise TypeError("clock must be a plain function without arguments")
        _log_setup.heed_environment()
        self._keys: tuple[bytes, ...] = key_ring(secrets)
        self._max_body = _arguments.whole("max_body", max_body)
        self._on_failing = on_failing
        self._clock = clock
        limit = None if handler_timeout is None else _arguments.seconds("handler_timeout", handler_timeout)
        self._body_timeout = None if body_timeout is None else _arguments.seconds("body_timeout", body_timeout)
        self._handling = Handling(MemoryStore() if store is None else store, clock, limit)
        self._rotations = 0
        self._run = FailureRun()
        self._bodies = Bodies()
        self._has_warned = False
        # How many deliveries had each outcome: `handled`, `seen`, `failed`, or the reason of a refusal.
        self._outcomes = Counter[str]()

    def on(self, kind: type[E]) -> Callable[[Callable[[E], R]], Callable[[E], R]]:
        """Return a decorator that registers a handler of a class of events.

        `@receiver.on(Event)` registers a handler of all events, also of types that this release does not know. The handler is
        called with the event. The handler may be a coroutine function, or a plain function, which must not block.

        Raises:
            TypeError: `kind` is not a class of events; or, from the decorator, the handler is not a function of the two kinds.
        """
        if Event not in getattr(kind, "__mro__", ()):  # also for what is not a class
            raise TypeError("on takes a class of events, as in @receiver.on(CallEnded)")

        def register(handler: Callable[[E], R]) -> Callable[[E], R]:
            # A call of a generator function does nothing, and the event would count as handled.
            if _arguments.makes_generator(handler) or not callable(handler):
                raise TypeError("a handler must be a plain function or a coroutine function")
            self._handling.handlers.append((kind, handler))
            return handler

        return register

    def add_secret(self, secret: str) -> None:
        """Accept deliveries under another secret too, for example that of a hook that was just created.

        Raises:
            ValueError: The secret is not visible ASCII.
            TypeError: The secret is not a `str`.
        """
        added = key("secret", secret)
        if added not in self._keys:
            self._keys = (*self._keys, added)

    def remove_secret(self, secret: str) -> None:
        """Refuse deliveries under a secret from now on. Wait 24 hours after deleting its hook, as retries come until then.

        Raises:
            ValueError: The receiver does not accept this secret, or it is the last one.
            TypeError: The secret is not a `str`.
        """
        removed = key("secret", secret)
        rest = tuple(other for other in self._keys if other != removed)
        if not rest or rest == self._keys:
            raise ValueError("secret must be one of several that are accepted now")
        self._keys = rest

    @contextmanager
    def rotating(self) -> Iterator[None]:
        """Respond 503 instead of 401 to deliveries under an unknown secret, while the block runs.

        Create a hook and add its secret in the block. The first delivery of the hook may come before the response to `POST /hooks`,
        which holds the secret. A 401 would lose that event; after a 503 the sender repeats it.
        """
        self._rotations += 1
        try:
            yield
        finally:
            self._rotations -= 1

    @property
    def stats(self) -> ReceiverStats:
        """What became of the deliveries so far."""
        refused = dict(self._outcomes)
        handled, seen, failed = (refused.pop(outcome, 0) for outcome in ("handled", "seen", "failed"))
        return ReceiverStats(handled, seen, failed, refused)

    async def handle(self, body: bytes, headers: Headers) -> tuple[int, bytes]:
        """Verify and handle one delivery, and return the status and the body of the response.

        Whatever the body and the headers hold, and whatever a handler raises, the result is a response. A delivery that is
        cancelled is not handled: the sender can repeat it.

        Args:
            body: The body of the request, byte for byte, before anything has decoded it. A body with a `Content-Encoding` may be
                packed, or unpacked by the server: the signature is checked over both, and `max_body` holds for both.
            headers: The headers of the request as the framework has them: a mapping or an iterable of pairs, of `str` or `bytes`,
                with names in any case; or the environment of a WSGI request.

        Raises:
            TypeError: `body` is not bytes, or `headers` are not headers.
        """
        response, outcome = await self._respond(raw("body", body), Fields.of(headers))
        self._outcomes[outcome] += 1
        _watched.tell(self)
        length = self._run.note(response)
        if length is not None:
            _logger.warning("%d webhook deliveries in a row failed; at 10 the sender disables the endpoint", length)
            try:
                if self._on_failing is not None:
                    self._on_failing(length)
            except BaseException as error:  # noqa: BLE001 # the sender must get its response, whatever this raises
                # By its type only, as everywhere in this package: the text may hold a phone number.
                _logger.error("on_failing raised %s", type(error).__name__)  # noqa: TRY400 # as just said
        return response

    async def handle_event(self, event: Event) -> Literal["handled", "seen", "failed"]:
        """Handle an event that did not come as a delivery, for example one of `recovered_event`.

        The store remembers the event by its type and id, as it does for a delivery. No response is sent, and nothing counts for
        `on_failing`.

        Returns:
            `"handled"` if all handlers succeeded, `"seen"` if the event was handled before, and `"failed"` if a handler or the
            store failed. The log has the failure, and the event can be given again.

        Raises:
            TypeError: `event` is not an event.
            ValueError: The event has no id.
        """
        if not isinstance(event, Event):
            raise TypeError(f"event must be an Event, not {type(event).__name__}")
        if event.id is None:
            raise ValueError("event must have an id, by which the store remembers it")
        response = await self._handling.settle(key_of(event, b""), event, None)
        return "handled" if response == HANDLED else "seen" if response == SEEN else "failed"

    async def _respond(self, body: bytes, fields: Fields) -> tuple[Response, str]:
        """Return the response to a delivery, and what became of the delivery."""
        try:
            event, content, signed_at = self._read(body, fields)
        except TooLargeError:
            return TOO_LARGE, "too_large"
        except AlteredError:
            # Strangers send requests to any open port, and can cause this: one warning is enough.
            _logger.log(logging.INFO if self._has_warned else logging.WARNING, _ALTERED)
            self._has_warned = True
            return UNREADABLE, "altered"
        except SignatureError as error:
            # Only a genuine delivery has an age.
            if error.age is None:
                _logger.info("webhook refused: %s", error)
            else:
                _logger.warning("webhook not accepted: %s; is the clock of this machine right?", error)
            return refusal(error, rotating=self._rotations > 0), error.reason
        except EventError as error:
            _logger.error("webhook refused: %s", error)  # noqa: TRY400 # the error says all; its traceback adds nothing
            return NO_EVENT, "no_event"
        event_key = key_of(event, content)
        response = await self._handling.settle(event_key, event, signed_at)
        if response in (HANDLED, SEEN) and self._bodies.is_other(event_key, content):
            _logger.warning("a %s that was handled before came with another body", type(event).__name__)
        return response, _OUTCOMES.get(response, "failed")

    def _read(self, body: bytes, fields: Fields) -> tuple[Event, bytes, float]:
        """Return the event of a delivery whose signature is valid, the unpacked body, and the time of the signature.

        The reference does not say whether a packed body is signed before or after it was packed, so both are checked.
        """
        if len(body) > self._max_body:
            raise TooLargeError
        content = unpacked(body, fields.coding, self._max_body)
        limits = {"now": self._clock(), "behind": _BEHIND, "ahead": _AHEAD}
        try:
            signed_at = check(body, fields.signature, self._keys, **limits)
        except SignatureError as error:
            if error.reason == "mismatch" and (content is None or fields.are_of_another_body(body)):
                raise AlteredError from None
            if error.reason != "mismatch" or content is body or content is None:
                raise
            signed_at = check(content, fields.signature, self._keys, **limits)
        if content is not None:
            return parse_event(content), content, signed_at
        try:
            return parse_event(body), body, signed_at  # the server has unpacked it
        except EventError:
            raise AlteredError from None  # in a coding that is not known here

    def aiohttp_app(self) -> web.Application:
        """Return an aiohttp application that accepts deliveries on every path."""
        return aiohttp_app(self.handle, self._max_body, self._body_timeout)

    def aiohttp_route(self, path: str) -> web.RouteDef:
        """Return a route for your own aiohttp application: `app.add_routes([receiver.aiohttp_route("/hooks")])`."""
        return aiohttp_route(self.handle, self._max_body, self._body_timeout, path)

    def asgi_app(self) -> AsgiApp:
        """Return an ASGI application, to serve by itself or as a route: `Route("/hooks", receiver.asgi_app())` in Starlette.

        Prefer `Route` to `Mount`: Starlette redirects `/hooks` to `/hooks/` under `Mount("/hooks", ...)`, and the sender does not
        follow redirects.
        """
        return AsgiApp(self.handle, self._max_body, self._body_timeout)

    def __repr__(self) -> str:
        known = f"{len(self._keys)} secrets, {len(self._handling.handlers)} handlers"
        return f"<{type(self).__name__} {known}, {self._handling.store!r}>"
