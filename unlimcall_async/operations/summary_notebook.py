"""What a notebook shows of a summary: the totals, a chart of each kind of group, and the largest groups. No I/O.

The charts are pictures, so they need no script, and are seen wherever the notebook is. Without the extra `report` they are left
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from unlimcall_async import _html
from unlimcall_async.operations.summary_rows import SummaryRow

if TYPE_CHECKING:
    from unlimcall_async.operations.summary import CallSummary

# Pixels: as wide as the cell of a notebook beside another window.
_WIDTH: Final = 640
# Names of a chart, as on the page of a report.
_MOST_NAMES: Final = 20


def of_summary(summary: CallSummary) -> str:
    """Return a summary in HTML."""
    total = summary.total
    facts = _html.facts("CallSummary", {**_sums(total), "spend": _money(total.spend)})
    rows = sorted(summary.rows(), key=lambda row: -row.attempts)
    shown = [[*row.labels, *_sums(row).values(), _money(row.spend)] for row in rows]
    head = [*summary.by, *_sums(total), "spend"]
    more = max(0, len(shown) - _html.MOST_ROWS)
    table = _html.table("Groups", head, shown[: _html.MOST_ROWS], more) if summary.by else ""
    return f"<div>{facts}{''.join(_pictures(summary))}{table}</div>"


def _sums(row: SummaryRow) -> dict[str, object]:
    rate, length = row.answer_rate, row.mean_length_s
    return {
        "attempts": f"{row.attempts:,}",
        "answered": "" if rate is None else f"{row.answered:,} ({rate:.1%})",
        "mean length": "" if length is None else f"{length:,.0f} s",
        "billed minutes": f"{row.billed_minutes:,.0f}",
        "failed": "" if row.failure_rate is None else f"{row.failed:,} ({row.failure_rate:.2%})",
    }


def _money(spend: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{amount:,.2f} {currency}" for currency, amount in spend.items())


def _pictures(summary: CallSummary) -> list[str]:
    if find_spec("altair") is None or find_spec("vl_convert") is None or not len(summary):
        return []
    from unlimcall_async.operations import charts  # noqa: PLC0415 # of an extra

    shown: dict[str, list[dict[str, Any]]] = {}
    by = set(summary.by)
    if "day" in by:
        days = summary.regrouped(("day",)).rows()
        shown["calls_by_day"] = [
            {"day": str(row.group["day"]), "outcome": outcome, "layer": layer, "calls": calls}
            for row in days
            for layer, (outcome, calls) in enumerate(
                zip(charts.OUTCOMES, (row.answered, row.failed, row.attempts - row.answered - row.failed), strict=True)
            )
        ]
    if {"weekday", "hour"} <= by:
        shown["calls_by_hour"] = [
            {
                "weekday": row.labels[0],
                "hour": row.group["hour"],
                "calls": row.attempts,
                "answered": row.answered,
            }
            for row in summary.regrouped(("weekday", "hour")).rows()
        ]
    for name, chart in (
        ("country", "answer_rate_by_country"),
        ("agent", "calls_by_agent"),
        ("disposition", "calls_by_disposition"),
    ):
        if name in by:
            rows = sorted(summary.regrouped((name,)).rows(), key=lambda row: -row.attempts)
            shown[chart] = [
                {"name": row.labels[0], "calls": row.attempts, "answered": row.answered} for row in rows[:_MOST_NAMES]
            ]
    return [charts.picture(chart, rows, _WIDTH) for chart, rows in shown.items()]
