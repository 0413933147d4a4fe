"""Which deliveries are of one event.

Pure: no I/O. `events` decides what the id of an event is. The key made of the id is what the stores keep. A retry may be written
otherwise than the first delivery, so the same key with another body is the same event. An id that several events share looks the
same, and loses events. So the receiver logs a warning, for which it remembers hashes of the bodies.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from unlimcall_async.webhooks.events import Event

# Some 2 MB.
_MAX_BODIES: Final = 10_000


def key_of(event: Event, body: bytes) -> str:
    """Return the store's key of an event: 64 characters whatever came, in which no phone number can be found.

    Without an id, the body stands in. The kinds of keys never meet: the digest is over a JSON array or over the body, which is an
    object, and in JSON 5 and "5" differ. The type is part of the key: an `id` on the outer level may be a contact's, and the events
    of one contact are not one event.
    """
    identity = body if event.id is None else json.dumps([event.type, event.id]).encode()
    return hashlib.sha256(identity).hexdigest()


class Bodies:
    """Remembers the bodies of the last 10,000 events, to notice an event that comes with another body.

    The memory is of this process. For a warning that is enough, and the stores keep nothing but the keys.
    """

    def __init__(self) -> None:
        # Python's own hash: of 64 bits, and keyed anew in each process.
        self._hashes: dict[str, int] = {}

    def is_other(self, key: str, body: bytes) -> bool:
        """Return whether the event came with another body before. Remember the first body."""
        first = self._hashes.setdefault(key, hash(body))
        if len(self._hashes) > _MAX_BODIES:
            del self._hashes[next(iter(self._hashes))]
        return first != hash(body)
