"""The rows of a page: call records, and bad rows, which cannot be read as records.

Pure: no I/O.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import TypeAlias

from attrs import field, frozen

from unlimcall_async.cdrs.times import Window, to_datetime
from unlimcall_async.models import CallRecord, UnreadableRow


@frozen(kw_only=True)
class UnplacedRow:
    """A row that cannot be read, and whose start cannot be read either. Only the windows that show the row tell its place.

    Attributes:
        where: The place in the page, for example `calls[17].startTime`.
        reason: What was expected there.
        body: The text of the row, as the server sent it.
        window: The window of the page.
        before: How many rows with a start come before this one in the page.
        hint: About when the row may start, in microseconds since 1970, or `None`. A wrong hint costs requests, never a row.
        scope: A wider window whose complete page showed no row with this text that was not handed out with this one, or before.
    """

    where: str
    reason: str
    body: bytes = field(repr=False)
    window: Window
    before: int
    hint: int | None = None
    scope: Window | None = None

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal characters that stand for `body`."""
        return blake2b(self.body, digest_size=8).hexdigest()

    def shown(self) -> UnreadableRow:
        """Return the row as users see it."""
        window = to_datetime(self.window.start), to_datetime(self.window.till)
        return UnreadableRow(window, self.where, self.reason, self.body)


@frozen(kw_only=True)
class BadRow(UnplacedRow):
    """A row that cannot be read, but whose start can. A bad row has a place in the output, behind the records of its instant.

    Attributes:
        start_time: The start of the row, in UTC.
    """

    start_time: datetime

    @property
    def id(self) -> str:
        """A text that tells the row from other rows with its start."""
        return self.digest

    @property
    def duration(self) -> int:
        """Seconds: none, as far as anybody can tell."""
        return 0


Row: TypeAlias = CallRecord | BadRow
