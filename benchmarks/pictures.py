"""The pictures of `records.py`, `overlap.py` and `limits.py`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks.planner_picture import check_matplotlib

__all__ = ["CostBar", "OverlapPanel", "check_matplotlib", "draw_costs", "draw_grants", "draw_overlap"]

_OURS, _FLOOR, _OTHER, _TARGET = "#1763c6", "#cdd3db", "#e6a96b", "#d1382c"
_INK, _FAINT = "#1f2733", "#6b7482"
_DENSITY: Final = 130
# Where the axis of the costs begins: on a logarithmic one there is no zero.
_LEAST: Final = 0.1


@frozen
class CostBar:
    """What a way costs, as a multiple of plain dicts; its group is `floor`, `ours` or `other`."""

    label: str
    ratio: float
    group: str


def _figure(width: float, height: float, title: str, subtitle: str) -> Any:
    # Without pyplot, which keeps figures; and by name, so that types are checked alike with and without matplotlib.
    figure = import_module("matplotlib.figure").Figure(figsize=(width, height), facecolor="white")
    figure.text(0.14 / width, 1 - 0.36 / height, title, fontsize=15, fontweight="bold", color=_INK)
    figure.text(0.14 / width, 1 - 0.64 / height, subtitle, fontsize=10, color=_FAINT)
    return figure


def _plain(axes: Any, *, left: bool = True) -> None:
    for side in ("top", "right", *([] if left else ["left"])):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)
    axes.tick_params(length=0, labelcolor=_INK, labelsize=9)


def draw_costs(path: Path, bars: Sequence[CostBar], subtitle: str) -> None:
    """Draw the cost of each way as a bar; the axis is logarithmic."""
    width, height = 9.5, 1.95 + 0.3 * len(bars)
    figure = _figure(width, height, "CPU of the client for each record", subtitle)
    axes = figure.add_axes((2.75 / width, 0.75 / height, 1 - 3.35 / width, 1 - 2.0 / height))
    colours = {"floor": _FLOOR, "ours": _OURS, "other": _OTHER}
    places = range(len(bars))
    axes.barh(places, [bar.ratio - _LEAST for bar in bars], 0.68, _LEAST, color=[colours[bar.group] for bar in bars])
    for place, bar in zip(places, bars, strict=True):
        weight = "bold" if bar.group == "ours" else "normal"
        label = f"{bar.ratio:.2f}" if bar.ratio < 10 else f"{bar.ratio:.0f}"
        axes.annotate(
            # The line at 1 would cross the label of a bar that ends a little before the line.
            label, (1 if 0.6 < bar.ratio < 1 else bar.ratio, place), (5, 0), textcoords="offset points",
            va="center", fontsize=9, color=_INK, fontweight=weight,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(_LEAST, max(bar.ratio for bar in bars) * 1.6)
    axes.axvline(1, color=_FAINT, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_xticks([], minor=True)
    ticks = [tick for tick in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if tick < max(bar.ratio for bar in bars) * 1.5]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_yticks(places, [bar.label for bar in bars])
    axes.set_xlabel("as a multiple of aiohttp + orjson into untyped dicts (logarithmic)", fontsize=9, color=_FAINT)
    _plain(axes)
    groups = {"floor": "a floor: no typed stream", "ours": "unlimcall-async", "other": "another SDK, at its own API"}
    shown = [group for group in groups if any(bar.group == group for bar in bars)]
    patch = import_module("matplotlib.patches").Patch
    figure.legend(
        [patch(color=colours[group]) for group in shown], [groups[group] for group in shown],
        loc="upper left", bbox_to_anchor=(0.02 / width, 1 - 0.78 / height),
        ncols=len(shown), frameon=False, fontsize=9.5, labelcolor=_INK,
    )  # fmt: skip
    figure.savefig(path, dpi=_DENSITY)


@frozen
class OverlapPanel:
    """The seconds of a pull by concurrency, beside the ideal, at one latency and traffic."""

    title: str
    concurrency: tuple[int, ...]
    seconds: tuple[float, ...]
    ideal: tuple[float, ...]


def draw_overlap(path: Path, panels: Sequence[OverlapPanel], subtitle: str) -> None:
    """Draw a panel beside the other."""
    width, height = max(8.5, 2.7 * len(panels) + 0.6), 3.9
    figure = _figure(width, height, "Seconds to pull the records, by concurrency", subtitle)
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    grid[0].set_ylabel("seconds", fontsize=9, color=_FAINT)
    figure.subplots_adjust(left=0.6 / width, right=1 - 0.15 / width, top=1 - 1.25 / height, bottom=0.5 / height)
    for axes, panel in zip(grid, panels, strict=True):
        places = range(len(panel.concurrency))
        axes.bar(places, panel.seconds, width=0.62, color=_OURS)
        for place, seconds, ideal in zip(places, panel.seconds, panel.ideal, strict=True):
            axes.plot([place - 0.36, place + 0.36], [ideal, ideal], color=_TARGET, linewidth=1.6)
            axes.annotate(
                f"{seconds:.1f}", (place, seconds), (0, 3), textcoords="offset points", ha="center", fontsize=9, color=_INK
            )  # fmt: skip
        axes.set_ylim(0, max(panel.seconds) * 1.12)
        axes.set_xticks(places, [str(each) for each in panel.concurrency])
        axes.set_xlabel("requests at once", fontsize=9, color=_FAINT)
        axes.set_title(panel.title, fontsize=11, color=_INK)
        _plain(axes)
    line = import_module("matplotlib.lines").Line2D([], [], color=_TARGET, linewidth=1.6)
    figure.legend(
        [grid[0].patches[0], line], ["stream.batches()", "the fewest requests, each as long as the latency"],
        loc="upper right", bbox_to_anchor=(1 - 0.1 / width, 1 - 0.1 / height),
        ncols=2, frameon=False, fontsize=9.5, labelcolor=_INK,
    )  # fmt: skip
    figure.savefig(path, dpi=_DENSITY)


def draw_grants(path: Path, grants: Sequence[float], limit: int, subtitle: str) -> None:
    """Draw how many requests went out by when, below the fastest schedule that the limit allows."""
    width, height = 8.5, 3.9
    figure = _figure(width, height, f"Requests under a limit of {limit} a minute", subtitle)
    axes = figure.add_axes((0.8 / width, 0.55 / height, 1 - 1.05 / width, 1 - 1.45 / height))
    minutes = [each / 60 for each in grants]
    allowed = [number // limit for number in range(len(grants))]
    numbers = range(1, len(grants) + 1)
    axes.step(
        allowed,
        numbers,
        where="post",
        color=_TARGET,
        linewidth=1.4,
        label="the fastest that the limit allows",
    )
    axes.step(minutes, numbers, where="post", color=_OURS, linewidth=2.2, label="sent by the client")
    axes.set_xlim(left=-0.05)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes since the first request", fontsize=9, color=_FAINT)
    axes.set_ylabel("requests sent, in all", fontsize=9, color=_FAINT)
    axes.legend(frameon=False, fontsize=10, labelcolor=_INK, loc="upper left")
    _plain(axes)
    figure.savefig(path, dpi=_DENSITY)
