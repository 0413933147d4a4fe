"""A report of calls: counts records as they pass, and makes one page of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, tzinfo

from unlimcall_async import CallRecord, _arguments
from unlimcall_async._zones import in_zone
from unlimcall_async.operations import FAILED_DISPOSITIONS, CallSummary, SummaryRow
from unlimcall_async.operations.summary import add_to_all
from unlimcall_async.proof import Manifest
from unlimcall_async.report.completeness import sentences
from unlimcall_async.report.cube import cube_of
from unlimcall_async.report.page import page


class CallReport:
    """Counts call records as they pass, and makes a page of charts (operations guide; reference: `GET /cdrs`).

        report = CallReport()
        async for record in client.cdrs.stream(start, end):
            report.add(record)
        Path("report.html").write_text(report.html(), "utf-8")

    The page is one file of HTML that works offline, on a phone and on paper. The page holds no record and no phone number: a line
    whose name looks like a number is shown as `(number 1)`.

    Args:
        title: The title of the page.
        zone: The time zone of days and hours.
        failed: The dispositions of attempts that the carrier failed, or a function, as for `CallSummary`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: A text cannot be written in UTF-8.
    """

    def __init__(
        self,
        title: str = "Calls",
        *,
        zone: tzinfo = UTC,
        failed: Collection[str] | Callable[[CallRecord], bool] = FAILED_DISPOSITIONS,
    ) -> None:
        self._title = _arguments.text("title", title)
        # Three small summaries, because one of everything would have a group for nearly every call.
        self._days = CallSummary(("day", "country", "agent"), zone=zone, failed=failed)
        self._hours = CallSummary(("weekday", "hour", "country", "agent"), zone=zone, failed=failed)
        self._outcomes = CallSummary(("disposition", "country", "agent"), failed=failed)
        self._all = (self._days, self._hours, self._outcomes)

    @property
    def total(self) -> SummaryRow:
        """The sums of all calls."""
        return self._outcomes.total

    def add(self, record: CallRecord) -> None:
        """Count a record.

        Raises:
            TypeError: `record` is not a `CallRecord`, or its `start_time` is not a datetime.
            ValueError: The record's `start_time` has no timezone.
        """
        add_to_all(self._all, record)

    def html(
        self,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        manifest: Manifest | None = None,
    ) -> str:
        """Return the page.

        Args:
            start: The start of the range, timezone-aware, for the line below the title; `None` if nobody knows it.
            end: The end of the range, as above.
            manifest: The manifest of the records, which says why none is missing.

        Raises:
            ImportError: The extra `report` is not installed.
            ValueError, TypeError: An argument is not valid.
        """
        start, end = _arguments.window(start, end)
        zone = self._days.zone
        span = (None if start is None else in_zone(start, zone), None if end is None else in_zone(end, zone))
        if manifest is not None and not isinstance(manifest, Manifest):
            raise TypeError(f"manifest must be a Manifest, not {type(manifest).__name__}")
        total = self.total
        said = sentences(manifest, total.attempts)
        return page(cube_of(*self._all), total, self._title, span, said)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.total.attempts} attempts>"
