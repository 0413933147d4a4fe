"""What the sandbox answers itself, on paths that the API does not have: the end of a call, and the description of the API."""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import unquote

from unlimcall_async.sandbox.api import BASE_PATH, authenticate
from unlimcall_async.sandbox.call_ends import OngoingCalls
from unlimcall_async.sandbox.checks import require_duration
from unlimcall_async.sandbox.description import describe
from unlimcall_async.sandbox.responses import RefusedError, Response, dump_json, json_response
from unlimcall_async.sandbox.state import ReceivedRequest, State

_END_OF_CALL: Final = re.compile(rf"{BASE_PATH}/sandbox/calls/([^/]+)/end")


class Control:
    """Answers what is asked of the sandbox itself."""

    def __init__(self, state: State, calls: OngoingCalls) -> None:
        self._state = state
        self._calls = calls

    def respond(self, request: ReceivedRequest) -> Response | None:
        """Return the response, or `None` if the request is one of the API's own."""
        if (shown := describe(request.method, request.path)) is not None:
            return shown
        asked = _END_OF_CALL.fullmatch(request.path)
        if asked is None or request.method != "POST":
            return None
        try:
            authenticate(self._state, request)
            return self._end_call(unquote(asked[1]), request.body)
        except RefusedError as refusal:
            return refusal.response(self._state.settings.error_shape)

    def _end_call(self, call_id: str, body: bytes) -> Response:
        if call_id not in self._state.ongoing:
            raise RefusedError("not_found", "There is no such call, or it has ended.")
        try:
            duration = json.loads(body)["duration"]
            require_duration(duration)
        except (ValueError, LookupError, TypeError):
            raise RefusedError("invalid_input", "`duration` must be a whole number of seconds.") from None
        event = self._calls.end(call_id, duration, {})
        return json_response(dump_json({"callId": call_id, "eventId": event.id}))
