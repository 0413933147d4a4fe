"""The charts of calls, as specifications of Vega-Lite made by altair; the data come later, or with them. No I/O.

Each chart has one set of data, called `rows`, and takes the place that its page has. Text and axes have the colour of the page's
text. The other colours can be seen on white and on black, so a chart need not know whether the page is dark.

The confidence intervals are those of `Share`, as expressions of Vega, because a page makes new sums when its reader filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from unlimcall_async._extras import of_extra
from unlimcall_async.operations.shares import FAILURE_BOUND, Z
from unlimcall_async.operations.summary_rows import WEEKDAYS

with of_extra("The charts of calls", "report", "altair"):
    import altair as alt

Step: TypeAlias = Literal["day", "week", "month"]
"""How long a bar over time is."""

_BLUE: Final = "#3b7dd8"
_RED: Final = "#d9534f"
_GREY: Final = "#8a939c"
# Pixels of a chart over time, and of a row of the other charts.
_HEIGHT: Final = 200
STEP: Final = 22
# Pixels between two bars over time, of which a bar of the days of a year has two.
_GAP: Final = 0.5
_LONGEST_LABEL: Final = 130
OUTCOMES: Final = ("answered", "failed", "other")

_CONFIG: Final[Mapping[str, Any]] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "gridColor": "currentColor",
        "gridOpacity": 0.15,
        "domainOpacity": 0.4,
        "tickOpacity": 0.4,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": _LONGEST_LABEL,
    },
    "legend": {"labelColor": "currentColor", "labelFontSize": 12, "orient": "top", "title": None},
    "text": {"color": "currentColor", "fontSize": 12},
    "rule": {"color": "currentColor"},
}

# The labels of numbers, each with a unit of its own: the engine's own have that of the largest, such as "0k" and "120m".
_COUNTS: Final = alt.Axis(labelExpr="datum.value % 1 ? '' : replace(format(datum.value, '~s'), 'G', 'B')", tickCount=4)
_MONEY: Final = alt.Axis(
    labelExpr="abs(datum.value) < 1000 ? format(datum.value, '~f') : replace(format(datum.value, '~s'), 'G', 'B')",
    tickCount=4,
)
_SHARES: Final = alt.Axis(labelExpr="format(datum.value, '~%')", tickCount=5)


def _rows() -> Any:
    return alt.Chart(alt.NamedData(name="rows"))


def _over_time(chart: Any, step: Step) -> Any:
    """Return the chart with `start` and `until`, the times between which a bar lies that begins on `day`."""
    # In UTC, because a day is a name here: the browser's time zone must not move it. `day` stays a text, for the tooltips.
    return chart.transform_calculate(start="toDate(datum.day)", until=f"utcOffset('{step}', toDate(datum.day), 1)")


def _time(*, bars: bool = False) -> Any:
    # The browser chooses the ticks. A part of a day has no label, and the first label and the first week of a year have the year.
    label = (
        "utchours(datum.value) ? '' : utcFormat(datum.value, "
        "!datum.index || !utcmonth(datum.value) && utcdate(datum.value) < 8 ? '%d %b %Y' : '%d %b')"
    )
    return (
        alt.X("start:T", bin="binned" if bars else alt.Undefined)
        .title(None)
        .scale(type="utc")
        .axis(labelExpr=label, labelOverlap=True, labelSeparation=8, grid=False)
    )


def _names() -> Any:
    # The engine keeps names as properties of objects, so a name such as `__proto__` would stop the chart.
    return alt.Y("key:N").title(None).sort(None).axis(ticks=False, domain=False, labelExpr="slice(datum.label, 1)")


def _with_key(chart: Any) -> Any:
    return chart.transform_calculate(key="'=' + datum.name")


def _with_interval(chart: Any, count: str) -> Any:
    """Return the chart with `rate`, `low` and `high` of a count out of `calls`."""
    share, noise = f"datum.{count} / datum.calls", f"{Z * Z} / datum.calls"
    reach = f"sqrt({noise} * (datum.rate * (1 - datum.rate) + {noise} / 4))"
    middle = f"datum.rate + {noise} / 2"
    return (
        chart.transform_filter("datum.calls > 0")
        .transform_calculate(rate=share)
        .transform_calculate(
            low=f"max(0, ({middle} - {reach}) / (1 + {noise}))", high=f"min(1, ({middle} + {reach}) / (1 + {noise}))"
        )
    )


def calls_by_day(step: Step) -> Any:
    """Return the chart of `day`, `outcome`, `calls` and `layer`: bars, with one outcome above the other."""
    outcome = alt.Color("outcome:N").scale(domain=OUTCOMES, range=[_BLUE, _RED, _GREY])
    tips = [alt.Tooltip("day:N"), alt.Tooltip("outcome:N"), alt.Tooltip("calls:Q").format(",")]
    return (
        _over_time(_rows(), step)
        .mark_bar(binSpacing=_GAP)
        .encode(
            x=_time(bars=True),
            x2="until:T",
            y=alt.Y("calls:Q").title("calls").axis(_COUNTS),
            color=outcome,
            order="layer:Q",
            tooltip=tips,
        )
        .properties(height=_HEIGHT)
    )


def spend_by_day(step: Step) -> Any:
    """Return the chart of `day` and `spend`, in one currency: bars."""
    tips = [alt.Tooltip("day:N"), alt.Tooltip("spend:Q").format(",.2f")]
    return (
        _over_time(_rows(), step)
        .mark_bar(color=_BLUE, binSpacing=_GAP)
        .encode(x=_time(bars=True), x2="until:T", y=alt.Y("spend:Q").title("spend").axis(_MONEY), tooltip=tips)
        .properties(height=_HEIGHT)
    )


def failures_by_day(step: Step) -> Any:
    """Return the chart of `day`, `failed` and `calls`: the rate, its interval, and the guide's bound."""
    rows = _over_time(_with_interval(_rows(), "failed"), step)
    rate = alt.Y("rate:Q").title("failed").axis(_SHARES)
    tips = [alt.Tooltip("day:N"), alt.Tooltip("failed:Q").format(","), alt.Tooltip("calls:Q").format(",")]
    tips += [alt.Tooltip(f"{name}:Q").format(".2%") for name in ("rate", "low", "high")]
    band = rows.mark_area(color=_RED, opacity=0.2, clip=True).encode(
        x=_time(), y=alt.Y("low:Q").title("failed"), y2="high:Q"
    )
    line = rows.mark_line(color=_RED, point=alt.OverlayMarkDef(color=_RED, size=22)).encode(
        x=_time(), y=rate, tooltip=tips
    )
    bound = (
        alt.Chart(alt.InlineData(values=[{"bound": FAILURE_BOUND}])).mark_rule(strokeDash=[4, 4]).encode(y="bound:Q")
    )
    return (band + line + bound).properties(height=_HEIGHT)


def calls_by_hour(step: Step) -> Any:  # noqa: ARG001 # as those over time
    """Return the chart of `weekday`, `hour`, `calls` and `answered`: a heat map. A fuller colour is for more calls."""
    hour = alt.X("hour:O").title(None).axis(labelAngle=0, labelExpr="datum.value % 3 ? '' : datum.label", ticks=False)
    weekday = alt.Y("weekday:N").title(None).sort(WEEKDAYS).axis(ticks=False, domain=False)
    # From nothing on, so that an hour without calls has no colour.
    shade = alt.FillOpacity("calls:Q").scale(range=[0.04, 1], domainMin=0).legend(None)
    tips = [alt.Tooltip("weekday:N"), alt.Tooltip("hour:O"), alt.Tooltip("calls:Q").format(",")]
    tips += [alt.Tooltip("answered:Q").format(",")]
    return (
        _rows()
        .mark_rect(fill=_BLUE, stroke=None)
        .encode(x=hour, y=weekday, fillOpacity=shade, tooltip=tips)
        .properties(height=7 * STEP)
    )


def answer_rate_by_country(step: Step) -> Any:  # noqa: ARG001 # as those over time
    """Return the chart of `name`, `answered` and `calls`: the rate of each country, and its interval."""
    rows = _with_key(_with_interval(_rows(), "answered"))
    tips = [alt.Tooltip("name:N"), alt.Tooltip("answered:Q").format(","), alt.Tooltip("calls:Q").format(",")]
    tips += [alt.Tooltip(f"{each}:Q").format(".1%") for each in ("rate", "low", "high")]
    interval = rows.mark_rule(color=_BLUE, strokeWidth=3, opacity=0.4).encode(
        x=alt.X("low:Q").title("answered").axis(_SHARES), x2="high:Q", y=_names(), tooltip=tips
    )
    rate = rows.mark_point(color=_BLUE, filled=True, size=60, opacity=1).encode(
        x=alt.X("rate:Q").title("answered"), y=_names(), tooltip=tips
    )
    return (interval + rate).properties(usermeta={"step": STEP})


def calls_by_name(step: Step) -> Any:  # noqa: ARG001 # as those over time
    """Return the chart of `name` and `calls`: bars, in the order of the data."""
    tips = [alt.Tooltip("name:N"), alt.Tooltip("calls:Q").format(",")]
    count = alt.X("calls:Q").title("calls").axis(_COUNTS)
    bars = _with_key(_rows()).mark_bar(color=_BLUE).encode(x=count, y=_names(), tooltip=tips)
    return bars.properties(usermeta={"step": STEP})


CHARTS: Final[Mapping[str, Callable[[Step], Any]]] = {
    "calls_by_day": calls_by_day,
    "spend_by_day": spend_by_day,
    "failures_by_day": failures_by_day,
    "calls_by_hour": calls_by_hour,
    "answer_rate_by_country": answer_rate_by_country,
    "calls_by_country": calls_by_name,
    "calls_by_agent": calls_by_name,
    "calls_by_disposition": calls_by_name,
}


def specification(
    name: str, rows: Iterable[Mapping[str, Any]] = (), *, step: Step = "day", width: int | None = None
) -> dict[str, Any]:
    """Return the specification of a chart.

    Args:
        name: The name of the chart in `CHARTS`.
        rows: The data, if they are known.
        step: How long a bar over time is.
        width: The pixels of the chart; `None` for those of its place on the page.
    """
    made: dict[str, Any] = CHARTS[name](step).properties(width="container" if width is None else width).to_dict()
    made["config"] = _CONFIG
    # The width alone is that of the place.
    made["autosize"] = {"type": "fit-x", "contains": "padding"}
    data = [*rows]
    made["datasets"] = {**made.get("datasets", {}), "rows": data}
    if "usermeta" in made:
        # One line of the chart for each row. Vega-Lite would warn of a step in a chart that fits its place.
        made["height"] = STEP * max(1, len(data))
    return made


def picture(name: str, rows: Sequence[Mapping[str, Any]], width: int) -> str:
    """Return a chart as SVG.

    Raises:
        ImportError: The extra `report` is not installed.
    """
    with of_extra("The charts of calls", "report", "vl_convert"):
        import vl_convert  # noqa: PLC0415 # loads an engine for JavaScript
    return str(vl_convert.vegalite_to_svg(specification(name, rows, width=width)))
