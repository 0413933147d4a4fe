"""What `cdrs summary` shows: a table with small bars, JSON and CSV. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from unlimcall_async.cli.formats import csv_text
from unlimcall_async.cli.formulas import guarded
from unlimcall_async.cli.health import is_high
from unlimcall_async.cli.wording import plain
from unlimcall_async.operations import CallSummary, SummaryRow

if TYPE_CHECKING:
    from unlimcall_async.cli.tables import Cell

# Columns of a terminal from which on there is room for the bars, and for the minutes.
_WITH_BARS: Final = 100
_WITH_MINUTES: Final = 76
# Cells of a bar, and the eighths of one.
_BAR: Final = 12
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
# Groups of time are in order of time. The others begin with the most calls.
_TIMES: Final = {"day", "weekday", "hour"}


def in_order(by: Sequence[str], rows: Sequence[SummaryRow]) -> list[SummaryRow]:
    """Return the rows as people read them: by time, or the most calls first."""
    if _TIMES.isdisjoint(by):
        return sorted(rows, key=lambda row: -row.attempts)
    return [*rows]


def table(
    by: Sequence[str], rows: Sequence[SummaryRow], total: SummaryRow, width: int | None
) -> tuple[list[str], list[list[Cell]], str]:
    """Return the names of the columns, the rows with the total, and the sides of the columns.

    Args:
        by: The names of the groups.
        rows: The rows, in order.
        total: The sums of all calls.
        width: The columns of the terminal; `None` for a pipe or a file.
    """
    with_bars = width is not None and width >= _WITH_BARS and len(rows) > 1
    with_minutes = width is None or width >= _WITH_MINUTES
    head = [*by, "calls"] + ["" for _ in range(with_bars)] + ["ASR", "ACD"]
    head += ["minutes"] * with_minutes + ["failed", "spend"]
    sides = (
        "".join(">" if name == "hour" else "<" for name in by)
        + ">"
        + "<" * with_bars
        + ">>"
        + ">" * with_minutes
        + ">>"
    )
    most = max((row.attempts for row in rows), default=0)
    shown: list[list[Cell]] = []
    for row in [*rows, total] if by else [total]:
        is_total = row is total
        names = [*map(plain, row.labels)] or [*(["all"] + [""] * len(by))[: len(by)]]
        cells = [*names, f"{row.attempts:,}"]
        if with_bars:
            cells.append("" if is_total else bar(row.attempts, most))
        cells += [_percent(row.answer_rate, 1), "-" if row.mean_length_s is None else f"{row.mean_length_s:,.0f} s"]
        if with_minutes:
            cells.append(f"{row.billed_minutes:,.0f}")
        amounts = [f"{amount:,.2f} {plain(currency)}" for currency, amount in row.spend.items() if amount]
        cells += [_percent(row.failure_rate, 2), (", " if width is None else "\n").join(amounts) or "-"]
        style = "bold" if is_total and by else ""
        styled: list[Cell] = [(cell, style) for cell in cells]
        if with_bars:
            styled[len(names) + 1] = (cells[len(names) + 1], "blue")
        if is_high(row.failures):
            styled[-2] = (cells[-2], f"{style} red".strip())
        shown.append(styled)
    return head, shown, sides


def bar(part: int, most: int) -> str:
    """Return a bar whose length shows a part of the most."""
    eighths = round(part / most * _BAR * 8) if most else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _percent(rate: float | None, digits: int) -> str:
    return "-" if rate is None else f"{rate:.{digits}%}"


def facts(row: SummaryRow) -> dict[str, Any]:
    """Return a row for a program."""
    return {
        **row.group,
        **{name: getattr(row, name) for name in ("attempts", "answered", "failed")},
        "answer_rate": row.answer_rate,
        "failure_rate": row.failure_rate,
        "mean_length_s": row.mean_length_s,
        "billed_s": row.billed_s,
        "spend": dict(row.spend),
        "unpriced": row.unpriced,
    }


def csv_lines(by: Sequence[str], rows: Sequence[SummaryRow]) -> str:
    """Return the rows as CSV, with a column for each currency."""
    currencies = sorted({currency for row in rows for currency in row.spend})
    # The sums of no call have all columns, too.
    some = facts(rows[0] if rows else CallSummary(()).total)
    head = [*by, *(name for name in some if name not in {*by, "spend"})]
    lines: list[list[Any]] = [[*head, *(guarded(f"spend_{currency}") for currency in currencies)]]
    for row in rows:
        cells: Mapping[str, Any] = facts(row)
        texts = [guarded(cells[name]) if isinstance(cells[name], str) else cells[name] for name in head]
        lines.append([*texts, *(row.spend.get(currency) for currency in currencies)])
    return csv_text(lines)
