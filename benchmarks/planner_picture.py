"""The picture of `requests.py`: what halving and our planner ask, by traffic, order and number of records."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from attrs import frozen

_OURS, _HALVING, _TARGET, _ORACLE = "#1763c6", "#cdd3db", "#d1382c", "#f2a900"
_INK, _FAINT = "#1f2733", "#6b7482"
# Inches of a panel and of the margins, and pixels for each inch: sharp at the width of a README.
_PANEL: Final = (2.9, 2.5)
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 1.45, 0.25, 1.6, 0.7, 0.5
_DENSITY: Final = 130
# The title and the legend stand side by side.
_NARROWEST: Final = 10.5
_THICK: Final = 0.36


@frozen
class Bar:
    """What a pull cost, as a multiple of the fewest requests."""

    label: str
    halving: float
    ours: float
    oracle: float


@frozen
class Panel:
    """The pulls of one number of records from one kind of server, and the target."""

    column: str
    row: str
    target: float
    bars: tuple[Bar, ...]


def check_matplotlib() -> None:
    """Say how to get matplotlib, if it is missing: before the measuring, which takes minutes."""
    try:
        import_module("matplotlib")
    except ImportError:
        raise SystemExit("A picture needs matplotlib: pip install matplotlib") from None


def draw(path: Path, panels: Sequence[Panel], subtitle: str) -> None:
    """Draw the panels in a grid: an order in each column, a number of records in each row."""
    columns = list(dict.fromkeys(panel.column for panel in panels))
    rows = list(dict.fromkeys(panel.row for panel in panels))
    width = max(_NARROWEST, _LEFT + len(columns) * _PANEL[0] + _RIGHT)
    height = _TOP + len(rows) * _PANEL[1] + (len(rows) - 1) * _GAP + _BOTTOM
    # Without pyplot, which keeps figures; and by name, so that types are checked alike with and without matplotlib.
    figure = import_module("matplotlib.figure").Figure(figsize=(width, height), facecolor="white")
    grid = figure.subplots(len(rows), len(columns), sharex=True, squeeze=False)
    figure.subplots_adjust(
        left=_LEFT / width,
        right=1 - _RIGHT / width,
        top=1 - _TOP / height,
        bottom=_BOTTOM / height,
        wspace=0.1,
        hspace=_GAP / _PANEL[1],
    )
    longest = max(max(bar.halving, bar.ours) for panel in panels for bar in panel.bars)
    for panel in panels:
        place = rows.index(panel.row), columns.index(panel.column)
        first = place[0] == 0, place[1] == 0
        _draw_panel(grid[place], panel, first=first, last_row=place[0] == len(rows) - 1, longest=longest)
    _draw_head(figure, grid[0, 0], subtitle, height)
    figure.savefig(path, dpi=_DENSITY)


def _draw_panel(axes: Any, panel: Panel, *, first: tuple[bool, bool], last_row: bool, longest: float) -> None:
    first_row, first_column = first
    places = range(len(panel.bars))
    above, below = [place - _THICK / 2 for place in places], [place + _THICK / 2 for place in places]
    axes.barh(above, [bar.halving for bar in panel.bars], height=_THICK, color=_HALVING)
    axes.barh(below, [bar.ours for bar in panel.bars], height=_THICK, color=_OURS)
    for place, bar in zip(below, panel.bars, strict=True):
        axes.vlines(bar.oracle, place - _THICK / 2, place + _THICK / 2, color=_ORACLE, linewidth=2.4)
    for place, bar in enumerate(panel.bars):
        # Ours at the foot of its bar, where no line of a target crosses it.
        _write_value(axes, bar.halving, max(bar.halving, panel.target + 0.05), above[place], color=_FAINT)
        _write_value(axes, bar.ours, 0, below[place], color="white", fontweight="bold")
    axes.axvline(panel.target, color=_TARGET, linewidth=1.2, linestyle=(0, (4, 2)))
    axes.text(panel.target, -0.72, f"target {panel.target:.2f}", color=_TARGET, fontsize=8, ha="center", va="bottom")
    axes.set_xlim(0, longest * 1.12)
    axes.set_xticks(range(int(longest * 1.12) + 1))
    axes.set_ylim(len(panel.bars) - 0.4, -0.7)
    axes.set_yticks(places, [bar.label for bar in panel.bars] if first_column else [], fontsize=9.5, color=_INK)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.tick_params(axis="x", labelcolor=_FAINT, labelsize=8)
    if last_row:
        axes.set_xlabel("requests / fewest possible", fontsize=9, color=_FAINT)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(_FAINT)
    if first_row:
        axes.set_title(panel.column, fontsize=11, color=_INK, pad=24)
    if first_column:
        axes.annotate(
            panel.row, (0, 1), (-_LEFT * 72 + 10, 10), xycoords="axes fraction", textcoords="offset points",
            fontsize=11, fontweight="bold", color=_INK,
        )  # fmt: skip


def _write_value(axes: Any, value: float, x: float, y: float, **look: str) -> None:
    offset = {"xytext": (4, 0), "textcoords": "offset points"}
    axes.annotate(f"{value:.2f}", (x, y), **offset, ha="left", va="center_baseline", fontsize=8, **look)


def _draw_head(figure: Any, axes: Any, subtitle: str, height: float) -> None:
    """Write the title, and beside it what the colours mean."""
    width = figure.get_figwidth()
    title = "Requests to pull a year of call records"
    figure.text(0.14 / width, 1 - 0.36 / height, title, fontsize=15, fontweight="bold", color=_INK)
    figure.text(0.14 / width, 1 - 0.64 / height, subtitle, fontsize=10, color=_FAINT)
    line = import_module("matplotlib.lines").Line2D
    target = line([], [], color=_TARGET, linewidth=1.2, linestyle=(0, (4, 2)))
    oracle = line([], [], color=_ORACLE, linewidth=2.4)
    names = "halving", "unlimcall-async", "oracle: knows how dense calls are", "target: the project's own bound"
    figure.legend(
        [axes.patches[0], axes.patches[len(axes.patches) // 2], oracle, target], names,
        loc="upper right", bbox_to_anchor=(1 - _RIGHT / width, 1 - 0.1 / height),
        ncols=2, frameon=False, fontsize=9.5, labelcolor=_INK, handlelength=1.4,
    )  # fmt: skip
