"""A summary of calls: how many, how many of them answered and failed, how long, and for how much. Pure: no I/O, no clock.

A summary keeps sums and no record, so its memory depends on the number of groups alone. Money is exact, and amounts of two
currencies are never added.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final, Self

from unlimcall_async import CallRecord
from unlimcall_async._extras import of_extra
from unlimcall_async._lazy import LazyModule
from unlimcall_async.operations import _checks, summary_notebook
from unlimcall_async.operations.dispositions import FAILED_DISPOSITIONS, failure_test
from unlimcall_async.operations.summary_rows import By, Key, KeyOf, SummaryRow, Sums, checked_names, in_order

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped] # pyarrow has no types
else:
    # For tools that evaluate annotations.
    pa = LazyModule("pyarrow")

# The disposition of an answered call (reference: `GET /cdrs`).
_ANSWERED: Final = "ANSWERED"


class CallSummary:
    """Counts call records as they pass, by group (operations guide; reference: `GET /cdrs`).

        summary = CallSummary(by=("day", "country"))
        async for record in client.cdrs.stream(start, end):
            summary.add(record)
        for row in summary.rows():
            print(row.group, row.attempts, row.answer_rate, row.spend)

    Records come in any order. Two summaries of the same kind add up with `merge`, also over processes: a summary can be pickled, if
    `failed` can.

    Args:
        by: What the calls of a group share: any of `day`, `weekday`, `hour` (of the day), `country` (of the destination), `agent`
            (the SIP line, `sip_username`), `disposition` and `currency`. With no name, all calls are one group.
        zone: The time zone of days, weekdays and hours. A call counts where it starts.
        failed: The dispositions of attempts that the carrier failed, or a function, as for `CarrierMonitor`. An answered attempt
            never counts as failed.

    Raises:
        ValueError: A name in `by` is unknown, or occurs twice.
        TypeError: An argument is of the wrong type.
    """

    def __init__(
        self,
        by: Sequence[By] = ("day", "country"),
        *,
        zone: tzinfo = UTC,
        failed: Collection[str] | Callable[[CallRecord], bool] = FAILED_DISPOSITIONS,
    ) -> None:
        if not isinstance(zone, tzinfo):
            raise TypeError(f"zone must be a tzinfo, for example ZoneInfo('Europe/Berlin'), not {type(zone).__name__}")
        self._by = checked_names(by)
        self._zone = zone
        self._failed = failure_test(failed)
        self._key_of = KeyOf(self._by, zone)
        self._groups: dict[tuple[Key, ...], Sums] = {}

    @property
    def by(self) -> tuple[By, ...]:
        """What the calls of a group share."""
        return self._by

    @property
    def zone(self) -> tzinfo:
        """The time zone of days, weekdays and hours."""
        return self._zone

    def add(self, record: CallRecord) -> None:
        """Count a record.

        Raises:
            TypeError: `record` is not a `CallRecord`, or its `start_time` is not a datetime.
            ValueError: The record's `start_time` has no timezone.
        """
        self._count(record, *_read(record, self._failed))

    def _count(self, record: CallRecord, start: datetime, answered: bool, failed: bool) -> None:
        key = self._key_of(record, start)
        sums = self._groups.get(key)
        if sums is None:
            sums = self._groups[key] = Sums()
        sums.add(record, answered, failed)

    def merge(self, other: CallSummary) -> None:
        """Add the sums of another summary to this one. The other one stays as it is.

        Raises:
            TypeError: `other` is not a `CallSummary`.
            ValueError: The other one has other groups or another time zone.
        """
        if not isinstance(other, CallSummary):
            raise TypeError(f"other must be a CallSummary, not {type(other).__name__}")
        if other._by != self._by:  # of the same class
            raise ValueError(f"other is grouped by {other.by}, and this summary by {self._by}")
        # By their names, because one zone may be two objects that are not equal.
        same = self._zone == other._zone or str(self._zone) == str(other._zone)  # as above
        if not same and not {"day", "weekday", "hour"}.isdisjoint(self._by):
            raise ValueError(f"other has days and hours in {other.zone}, and this summary in {self._zone}")
        self._take(other, self._by)

    def regrouped(self, by: Sequence[By]) -> Self:
        """Return a new summary of the same records with fewer groups, for example the totals with `by=()`.

        Raises:
            TypeError: `by` is not a sequence of names.
            ValueError: This summary is not grouped by a name of `by`.
        """
        names = checked_names(by)
        for name in names:
            if name not in self._by:
                raise ValueError(f"by has {name!r}, and this summary is grouped by {self._by}")
        new = type(self)(names, zone=self._zone, failed=self._failed)
        new._take(self, names)  # noqa: SLF001 # as above
        return new

    def _take(self, other: CallSummary, names: Sequence[By]) -> None:
        places = [other._by.index(name) for name in names]  # of the same class
        for key, sums in list(other._groups.items()):  # as above
            self._groups.setdefault(tuple(key[place] for place in places), Sums()).merge(sums)

    def rows(self) -> list[SummaryRow]:
        """Return the sums of each group that has calls, in the order of the groups. Without groups there is always one row."""
        if not self._by and not self._groups:
            return [Sums().row((), ())]
        return [
            sums.row(self._by, key) for key, sums in sorted(self._groups.items(), key=lambda each: in_order(each[0]))
        ]

    @property
    def total(self) -> SummaryRow:
        """The sums of all calls."""
        return self.regrouped(()).rows()[0]

    def to_arrow(self) -> pa.Table:
        """Return the rows as a table of Arrow.

        The columns are those of `by`, then `attempts`, `answered`, `failed`, `answer_rate`, `mean_length_s`, `billed_s`, a
        column `spend_USD` for each currency, of decimals with two digits, and `unpriced`.

        Raises:
            ImportError: The extra `arrow` is not installed.
            pyarrow.ArrowInvalid, OverflowError: A sum has more than 64 bits, or more than 38 digits.
        """
        with of_extra("CallSummary.to_arrow", "arrow", "pyarrow"):
            import pyarrow as pa  # noqa: PLC0415 # an extra
        rows = self.rows()
        kinds: dict[str, Any] = {"day": pa.date32(), "weekday": pa.int8(), "hour": pa.int8()}
        columns = dict[str, Any]()
        for group in self._by:
            columns[group] = pa.array([row.group[group] for row in rows], kinds.get(group, pa.string()))
        for name in ("attempts", "answered", "failed"):
            columns[name] = pa.array([getattr(row, name) for row in rows], pa.int64())
        for name in ("answer_rate", "mean_length_s"):
            columns[name] = pa.array([getattr(row, name) for row in rows], pa.float64())
        columns["billed_s"] = pa.array([row.billed_s for row in rows], pa.int64())
        for currency in sorted({currency for row in rows for currency in row.spend}):
            spent = [row.spend.get(currency) for row in rows]
            columns[f"spend_{currency}"] = pa.array(spent, pa.decimal128(38, 2))
        columns["unpriced"] = pa.array([row.unpriced for row in rows], pa.int64())
        return pa.table(columns)

    def __getstate__(self) -> tuple[Any, ...]:
        return self._by, self._zone, self._failed, self._groups

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._by, self._zone, self._failed, self._groups = state
        self._key_of = KeyOf(self._by, self._zone)

    def __len__(self) -> int:
        """The number of groups that have calls."""
        return len(self._groups)

    def __repr__(self) -> str:
        total = self.total
        return f"<{type(self).__name__} by {self._by}: {total.attempts} attempts in {len(self)} groups>"

    def _repr_html_(self) -> str:
        return summary_notebook.of_summary(self)


def _read(record: CallRecord, failed: Callable[[CallRecord], bool]) -> tuple[datetime, bool, bool]:
    """Return the start of a record, whether it is of an answered attempt, and whether of a failed one."""
    start, disposition = _checks.start("record", record), record.disposition
    if disposition == _ANSWERED or (disposition is not None and disposition.upper() == _ANSWERED):
        return start, True, False
    return start, False, failed(record)


def add_to_all(summaries: Sequence[CallSummary], record: CallRecord) -> None:
    """Count a record in several summaries, whose `failed` is that of the first one. To read the record once saves a third.

    Raises:
        TypeError, ValueError: As for `CallSummary.add`. No summary has changed.
    """
    read = _read(record, summaries[0]._failed)  # noqa: SLF001 # the function belongs to the class
    for summary in summaries:
        summary._count(record, *read)  # noqa: SLF001 # as above


def groups_of(summary: CallSummary) -> Mapping[tuple[Any, ...], Sums]:
    """Return the sums of each group as the summary holds them: in no order, in cents, and not to be changed.

    A summary may have a group for nearly every call. The rows of so many groups would take longer than the count.
    """
    return summary._groups  # noqa: SLF001 # the function belongs to the class
