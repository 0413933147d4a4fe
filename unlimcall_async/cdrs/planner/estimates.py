"""How many records a part may hold, by all that its planner has learned of how records lie.

Pure: no I/O. `density`, `forecast` and `durations` have the estimates. This module has them learn from each part that was read, and
chooses the estimate for a part. A wrong estimate costs requests, never a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from unlimcall_async.cdrs.planner.density import Density, PastGuesses
from unlimcall_async.cdrs.planner.durations import Durations, Shown
from unlimcall_async.cdrs.planner.forecast import Estimate, Forecast
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.parts import Part
from unlimcall_async.cdrs.planner.seek import ServerOrder
from unlimcall_async.cdrs.rows import Row
from unlimcall_async.cdrs.times import Range, to_micros

# If each row of a sample stands for more records than this, the sample is too coarse to cut single pages.
COARSE: Final = 24
# The excess is the ratio of the records that came to those that the calls' durations promised. The weight of one part in it, and
# the least ratio that a part may bring in.
_WEIGHT, _LEAST_EXCESS = 0.3, 0.7
# Above this excess full pages are taken for random samples that were sorted afterwards. Each such page reduces the excess by this
# factor, so that durations are tried again some day.
_SAMPLES_ABOVE, _EXCESS_KEPT = 2.0, 0.99
# A part that was meant to hold less than this share of a page teaches nothing.
_LEAST_TO_LEARN: Final = 0.25


class Estimates:
    """What was learned of how records lie.

    Attributes:
        density: How many records ranges held lately.
        guesses: How far off the densities of neighbourhoods were.
        excess: How many times as many records there are as the calls' durations say.
    """

    def __init__(self, server_order: ServerOrder, page: int) -> None:
        self._server_order = server_order
        self._page = page
        self._durations = Durations()
        self._forecast = Forecast(page)
        self.density: Density = Density()
        self.guesses: PastGuesses = PastGuesses()
        self.excess: float = 1.0

    # --- learning -----------------------------------------------------------------------------------------------------

    def note(self, part: Part, page: Page) -> None:
        """Record when the records of a part start.

        Called after `learn`, which compares what came with what was expected without knowing that.
        """
        if self._server_order.unsorted:
            self._forecast.note(part.range, [*map(to_micros, page.starts_of(part.range))])

    def learn(self, part: Part, records: Sequence[Row]) -> None:
        """Record what a part held."""
        rows, micros, hints = len(records), len(part.range), part.hints
        self._learn_prediction(part, rows)
        self.density.learn(rows, micros)
        if hints.density is not None:
            if self._server_order.unsorted and hints.density.known:
                expected = hints.density.expect(part.range)
                if hints.sample is None:
                    self.guesses.learn(expected, rows)
                if rows < expected / 2:
                    # The neighbourhood is over: what comes next is unlike it.
                    hints.density.forget()
            hints.density.learn(rows, micros)
        if hints.sample is not None:
            hints.sample.learn(part.range, rows)
        if self._server_order.unsorted:
            self._durations.learn(records)
        self._learn_excess(part, rows)

    def learn_full(self, part: Part, expected: float) -> None:
        """Record that the page of a part was full, and that the part is taken to hold so many records."""
        if not self.density.known:
            self.density.learn(round(expected), len(part.range))
        self._learn_excess(part, expected)

    def learn_least(self, part: Part, least: float, expected: float) -> None:
        """Record how many records a part holds at least, whose full page is a sample, and how many it is taken to hold."""
        sample = part.hints.sample
        if sample is None:
            return
        self._learn_prediction(part, least)
        sample.learn_least(part.range, expected)

    def _learn_prediction(self, part: Part, rows: float) -> None:
        prediction = part.hints.prediction
        if self._server_order.unsorted and prediction is not None and prediction.range == part.range:
            self._forecast.learn(prediction, rows)

    def _learn_excess(self, part: Part, rows: float) -> None:
        if part.hints.expected > _LEAST_TO_LEARN * self._page:
            self.excess += _WEIGHT * (max(_LEAST_EXCESS, rows / part.hints.expected) - self.excess)

    def predict(self, part: Part) -> None:
        """Keep with a part that is about to be asked what the estimates expect of it, to compare that with what comes."""
        if self._server_order.unsorted:
            prediction = self._forecast.predict(part.range, part.hints.sample if self.forecasts(part) else None)
            part.hints = evolve(part.hints, prediction=prediction)

    # --- what is to be expected ---------------------------------------------------------------------------------------

    @property
    def need_durations(self) -> bool:
        """Whether parts will be cut by how long calls last, and nothing is known of that yet."""
        return self._server_order.unsorted and not self._durations.known

    def shown(self, page: Page, wanted: Range) -> Shown | None:
        """Return what a full page of a server that does not sort shows of one end of a range, or `None` if that is nothing."""
        if self.excess > _SAMPLES_ABOVE:
            self.excess *= _EXCESS_KEPT
            return None
        return self._durations.shown(page, wanted)

    def forecasts(self, part: Part) -> bool:
        """Whether a part of a server that does not sort was, or is to be, cut by the forecast."""
        if not self._server_order.unsorted or part.hints.expected:
            return False
        if if_known(part.hints.density) is not None and not self._forecast.is_good:
            return False
        return part.hints.sample is None or part.hints.sample.scale <= COARSE

    def forecast(self, part: Part) -> tuple[Estimate, float] | None:
        """Return the estimate to cut a part by, and how many records to ask for by it, or `None` if other estimates say more."""
        return self._forecast.best(part.hints.sample) if self.forecasts(part) else None

    def of(self, part: Part) -> Estimate:
        """Return how many records a range of a part, or beside it, may hold, as a function of the range."""
        forecast = self.forecast(part)
        if forecast is not None:
            return forecast[0]
        return (part.hints.sample or if_known(part.hints.density) or self.density).expect

    def expect(self, part: Part) -> float:
        """Return how many records a part should hold; 0 if nothing is known."""
        return self.of(part)(part.range)


def if_known(density: Density | None) -> Density | None:
    """Return a density if anything is known of it, else `None`."""
    return density if density is not None and density.known else None
