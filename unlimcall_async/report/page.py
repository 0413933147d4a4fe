"""The page of a report: one file of HTML that loads nothing, with the data, the charts and the engine that draws them.

The page is for people who do not know each other: it holds sums, and no record. All texts of the server are escaped. The browser
runs the scripts of this file alone, and asks no server for anything, by the page's own policy (Content Security Policy).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from unlimcall_async._extras import of_extra
from unlimcall_async.operations import Share, SummaryRow
from unlimcall_async.operations.shares import FAILURE_BOUND, FAILURE_MINIMUM
from unlimcall_async.report.cube import Cube
from unlimcall_async.report.names import printable, shown_names

# The charts in their order on the page: the title, and whether the chart is as wide as the page.
_CHARTS: Final[Mapping[str, tuple[str, bool]]] = {
    "calls_by_day": ("Calls by {step}", True),
    "spend_by_day": ("Spend by {step}{currency}", True),
    "failures_by_day": ("Failed calls by {step}, against 1 %", True),
    "calls_by_hour": ("Calls by weekday and hour", False),
    "calls_by_disposition": ("Dispositions", False),
    "calls_by_country": ("Countries with the most calls", False),
    "answer_rate_by_country": ("Their answer rates, with the interval at 99 %", False),
    "calls_by_agent": ("Lines with the most calls", True),
}


@cache
def _asset(name: str) -> str:
    return files("unlimcall_async.report").joinpath(name).read_text("utf-8")


@cache
def load_engine() -> str:
    """Return the script that draws charts. The first call takes some two seconds.

    Raises:
        ImportError: The extra `report` is not installed.
    """
    with of_extra("The report", "report", "vl_convert"):
        import vl_convert  # noqa: PLC0415 # an extra
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def page(
    cube: Cube, total: SummaryRow, title: str, span: tuple[datetime | None, datetime | None], said: Sequence[str]
) -> str:
    """Return the page.

    Args:
        cube: The sums.
        total: The sums of all calls.
        title: The title.
        span: The start and the end of the range, in the zone of the days; `None` if they are not known.
        said: What is said of completeness: sentences.

    Raises:
        ImportError: The extra `report` is not installed.
    """
    from unlimcall_async.operations import charts  # noqa: PLC0415 # altair is of an extra

    # Vega warns of a chart without data.
    names = [*_CHARTS] if total.attempts else []
    shown = {name: charts.specification(name, step=cube.step) for name in names}
    report = {"cube": cube.values, "charts": shown, "step": cube.step, "bound": [FAILURE_BOUND, FAILURE_MINIMUM]}
    js, engine = _asset("page.js"), load_engine()
    currencies = cube.values["currencies"]
    return Template(_asset("page.html")).substitute(
        title=escape(printable(title)),
        range=escape(_range(span)),
        scripts=" ".join(map(_hash, (engine, js))),
        css=_asset("page.css"),
        js=js,
        engine=engine,
        currency='<label>Currency<select id="currency"></select></label>' if len(currencies) > 1 else "",
        totals="\n".join(_total(*facts) for facts in _totals(total)),
        charts="\n".join(_chart(name, cube.step, currencies) for name in names),
        completeness="<ul>" + "".join(f'<li class="digest">{escape(each)}</li>' for each in said) + "</ul>",
        # A text of the server may hold what ends a script, or begins a comment.
        report=json.dumps(report, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _range(span: tuple[datetime | None, datetime | None]) -> str:
    start, end = span
    if start is None or end is None:
        return "All records of the source."
    first, last = (f"{each.date()} {each:%H:%M}" for each in (start, end))
    if start.tzname() != end.tzname():
        # The clocks changed in between.
        return f"{first} ({start.tzname()}) till {last} ({end.tzname()})"
    return f"{first} till {last} ({start.tzname()})"


def _totals(total: SummaryRow) -> list[tuple[str, ...]]:
    """Return the id, the title, the value, the remark and the attributes of each total."""
    names = shown_names(total.spend, "")
    spend = "\n".join(f"{amount:,.2f} {names[currency]}" for currency, amount in total.spend.items() if amount)
    length = "-" if total.mean_length_s is None else f"{total.mean_length_s:,.0f} s"
    high = ' class="high"' if _is_high(total.failures) else ""
    return [
        ("calls", "Calls", f"{total.attempts:,}", ""),
        ("answered", "Answered (ASR)", _percent(total.answer_rate, 1), _interval(total.answers, 1)),
        ("length", "Mean length (ACD)", length, ""),
        ("minutes", "Billed minutes", f"{total.billed_minutes:,.0f}", ""),
        ("spend", "Spend", spend or "-", ""),
        ("failed", "Failed, against 1 %", _percent(total.failure_rate, 2), _interval(total.failures, 2), high),
    ]


def _percent(rate: float | None, digits: int) -> str:
    return "-" if rate is None else f"{rate * 100:.{digits}f}\u00a0%"


def _interval(share: Share, digits: int) -> str:
    if not share.of:
        return ""
    low, high = share.interval
    return f"{_percent(low, digits)} to {_percent(high, digits)} at 99\u00a0%"


def _is_high(failures: Share) -> bool:
    return failures.of >= FAILURE_MINIMUM and (failures.rate or 0.0) > FAILURE_BOUND


def _total(name: str, title: str, value: str, remark: str, style: str = "") -> str:
    small = f"<small>{escape(remark)}</small>" if remark else ""
    return f'<div{style}><dt>{title}</dt><dd id="{name}">{escape(value)}{small}</dd></div>'


def _chart(name: str, step: str, currencies: Sequence[str]) -> str:
    title, wide = _CHARTS[name]
    # Of several currencies the reader chooses one above.
    title = escape(title.format(step=step, currency=f", in {currencies[0]}" if len(currencies) == 1 else ""))
    return (
        f"<section{' class=wide' if wide else ''}><h2>{title}</h2>"
        f'<div class="chart" id="{name}" role="img" aria-label="{title}; the numbers follow"></div>'
        f'<details data-numbers="{name}"><summary aria-label="Numbers: {title}">Numbers</summary>'
        f'<div class="numbers" role="region" aria-label="{title}" tabindex="0"></div></details></section>'
    )
