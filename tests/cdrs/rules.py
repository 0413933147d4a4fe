"""Each rule of the planner is disabled in turn: then the hostile cases must fail. A rule whose loss nobody notices guards nothing.

    python -m tests.cdrs.rules                  all of them, some ten minutes of one core
    python -m tests.cdrs.rules --only margins   one, and the case that caught it

Exits with 1 if the cases fail with all rules in force, or if a rule was disabled and no case failed.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final
from unittest.mock import patch

from attrs import evolve, frozen

from tests.cdrs.cases import failure, make_case
from tests.cdrs.hostile import BrokenError, Order
from tests.cdrs.hostile_server import ServerPage
from unlimcall_async.cdrs import planner as package
from unlimcall_async.cdrs.planner.bounds import KnownBounds
from unlimcall_async.cdrs.planner.claims import Claims
from unlimcall_async.cdrs.planner.page import Page
from unlimcall_async.cdrs.planner.page_cap import PageCap
from unlimcall_async.cdrs.planner.parts import Claimed, Part, Question, Read, Seam, Waiting
from unlimcall_async.cdrs.planner.plan import Plan
from unlimcall_async.cdrs.planner.seek import OVERLAP, SeamCheck, ServerOrder, claim_of
from unlimcall_async.cdrs.planner.shown import Shown
from unlimcall_async.cdrs.planner.tasks import Claim
from unlimcall_async.cdrs.times import SECOND, WIDEST, Range, Window

MODULES: Final = tuple(import_module(each.name) for each in iter_modules(package.__path__, f"{package.__name__}."))


@frozen
class Rule:
    """A rule: what it says, how to do without it, and the server order that shows its loss, if hardly any other does."""

    name: str
    says: str
    without: Callable[[], AbstractContextManager[Any]]
    shown_by: Order | None = None


@contextmanager
def everywhere(name: str, value: Any) -> Iterator[None]:
    """Have a name mean something else in every module of the planner that has it."""
    with ExitStack() as stack:
        owners = [module for module in MODULES if hasattr(module, name)]
        if not owners:
            raise LookupError(f"{name} is no longer there")
        for module in owners:
            stack.enter_context(patch.object(module, name, value))
        yield


def wrapped(owner: Any, name: str, change: Callable[..., Any]) -> AbstractContextManager[Any]:
    """Have a function changed: it is called with the original, and then with what that is called with."""
    original = getattr(owner, name)

    def changed(*args: Any, **named: Any) -> Any:
        return change(original, *args, **named)

    return patch.object(owner, name, changed)


def always(owner: Any, name: str, value: Any) -> AbstractContextManager[Any]:
    """Have a function give one value, whatever it is asked."""
    return patch.object(owner, name, lambda *_args, **_named: value)


# --- windows and pages ----------------------------------------------------------------------------------------------------


def no_margins(wanted: Range, seam: Seam | None = None, **_: object) -> Window:
    """Ask for a range as it is."""
    start, till = wanted.start, wanted.end
    if seam is not None:
        start, till = (start, max(till, seam.reach)) if seam.descending else (min(start, seam.reach), till)
    return Window(start, till)


def complete_by_size(original: Callable[..., Page], server_page: ServerPage, window: Window) -> Page:
    """Look at the size, and not at `count`."""
    page = original(server_page, window)
    return evolve(page, count=page.size, complete=page.size < server_page.limit)


def in_one_order(original: Callable[..., None], plan: Plan, part: Part, pieces: list[Part]) -> None:
    """Put the oldest first, whatever the output wants."""
    with patch.object(plan, "_newest_first", new=False):
        original(plan, part, pieces)


# --- orders and claims ----------------------------------------------------------------------------------------------------


def sorted_at_its_ends(newest_first: bool) -> Any:  # it is the only thing to say
    """Look at the first and the last row alone."""

    def look(page: Page) -> bool:
        if not page.starts:
            return True
        first, last = page.starts[0], page.starts[-1]
        return first >= last if newest_first else first <= last

    return property(look)


@contextmanager
def pages_sorted_at_their_ends() -> Iterator[None]:
    """Take a page for sorted by its ends."""
    with (
        patch.object(Page, "seconds_fall", sorted_at_its_ends(newest_first=True)),
        patch.object(Page, "seconds_rise", sorted_at_its_ends(newest_first=False)),
    ):
        yield


def believe(original: Callable[..., bool], order: ServerOrder, page: Page) -> bool:
    """Take an order for proven as soon as it shows."""
    withdrawn = original(order, page)
    if order.proven is None:
        order.proven = order.candidate
    return withdrawn


def prove_anything(
    original: Callable[..., None], claims: Claims, part: Part, claim: Claim, page: Page, *, complete: bool
) -> None:
    """Take a claim for proven, whatever is there."""
    original(claims, part, evolve(claim, page=page) if complete else claim, page, complete=complete)


def claim_too_much(original: Callable[..., Any], question: Question, page: Page, number: int, **named: bool) -> Any:
    """Claim the page's last second too: a claim ends two seconds before the far end of that second (`margins`)."""
    found = original(question, page, number, **named)
    if found is None:
        return None
    claimed, left, claim = found
    more, rest = claimed.range, left.range
    if named["descending"]:
        more, rest = Range(more.start - 2 * SECOND, more.end), Range(rest.start, rest.end - 2 * SECOND)
    else:
        more, rest = Range(more.start, more.end + 2 * SECOND), Range(rest.start + 2 * SECOND, rest.end)
    if rest.start >= rest.end:
        return None
    claim = evolve(claim, records=page.rows_of(more))
    claimed = Part(more, Claimed(claim))
    return claimed, Part(rest, Waiting(Read(evolve(left.seam, claimed=claimed)))), claim


# --- a second that is taken apart -----------------------------------------------------------------------------------------


def first_hypothesis(known: KnownBounds, wanted: Range) -> Window:
    """Make the window by one hypothesis."""
    return known.left[0].narrowest(*known.ends_of(wanted, known.left[0]))


def shown_by_any_page(_original: Callable[..., bool], shown: Shown, _wanted: Range, _known: KnownBounds) -> bool:
    """Take a part for shown by any complete page."""
    return bool(shown.pages)


def learn_nothing(*_args: Any) -> None:
    """Leave all hypotheses."""


RULES: Final[Sequence[Rule]] = (
    Rule("margins", "windows have margins", lambda: everywhere("with_margins", no_margins)),
    Rule("full page", "a full page is not its whole window", lambda: always(PageCap, "holds_window", value=True)),
    Rule(
        "count",
        "nor is one whose `count` is above its rows",
        lambda: wrapped(ServerPage, "as_page", complete_by_size),
    ),
    Rule(
        "within",
        "a part takes the rows within it, and no others",
        lambda: patch.object(Page, "rows_of", lambda page, _wanted: [*page.rows]),
    ),
    Rule("inside", "a row outside its window is an error", lambda: everywhere("check_inside", lambda *_: None)),
    Rule(
        "output order",
        "parts stand in the order of the output",
        lambda: wrapped(Plan, "replace", in_one_order),
    ),
    Rule("31 days", "no window is wider than the API answers", lambda: everywhere("WIDEST_PART", WIDEST)),
    Rule("inversion", "a page that goes back and forth refutes the order", pages_sorted_at_their_ends),
    Rule("proof", "an order that shows is not proven yet", lambda: wrapped(ServerOrder, "observe", believe)),
    Rule(
        "exactly",
        "a proof holds exactly what was claimed",
        lambda: wrapped(Claims, "prove", prove_anything),
        shown_by="sorted_after_limit",
    ),
    Rule(
        "seam",
        "an answer must agree with the page before it",
        lambda: everywhere("check_seam", lambda *_, **__: (SeamCheck.AGREES, OVERLAP)),
    ),
    Rule(
        "last second",
        "a page does not claim its last second",
        lambda: everywhere("claim_of", partial(claim_too_much, claim_of)),
    ),
    Rule(
        "withdrawing",
        "without the order, all that rests on it is asked again",
        lambda: always(Claims, "withdraw_order", None),
    ),
    Rule(
        "every hypothesis",
        "a window without margins covers its range whatever the bounds are",
        lambda: patch.object(KnownBounds, "window_for", first_hypothesis),
    ),
    Rule(
        "surely",
        "an answer counts only if its window covers the part",
        lambda: always(KnownBounds, "surely_covers", value=True),
    ),
    Rule(
        "together",
        "a part is done once pages together show all of it",
        lambda: wrapped(Shown, "shows_all", shown_by_any_page),
    ),
    Rule("learning", "answers refute hypotheses", lambda: patch.object(KnownBounds, "learn", learn_nothing)),
    Rule(
        "informative",
        "windows are asked to tell hypotheses apart",
        lambda: always(KnownBounds, "informative_windows", []),
    ),
)


@frozen
class Caught:
    """What came of doing without a rule: the case that a promise was broken in; and what went wrong otherwise."""

    seed: int | None = None
    wrong: str = ""
    otherwise: str = ""


def try_without(name: str | None, seeds: range) -> Caught:
    """Find a case in which a promise is broken without a rule, or with all of them in force."""
    rule = next((rule for rule in RULES if rule.name == name), None)
    order = None if rule is None else rule.shown_by
    otherwise = ""
    for seed in seeds:
        case = make_case(random.Random(seed), order=order, seek=None if order is None else True)
        with rule.without() if rule else nullcontext():
            wrong = failure(case)
        # A planner that falls over without a rule is not caught yet: it may be that only what disables the rule is out of date.
        if wrong.startswith(BrokenError.__name__) or (wrong and rule is None):
            return Caught(seed, wrong)
        otherwise = otherwise or wrong
    return Caught(otherwise=otherwise)


def _print(rule: str | None, caught: Caught) -> bool:
    """Tell what came of it, and whether that is as it should be."""
    fine = (caught.seed is None) == (rule is None)
    what = f"case {caught.seed}: {caught.wrong}" if caught.wrong else f"no promise was broken {caught.otherwise}"
    print(f"{'  ' if fine else '! '}{rule or 'all rules in force':20} {what[:100]}", flush=True)
    return fine


def main() -> int:
    """Disable each rule, and tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=3000, help="how many to try for each rule")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", help="the name of a rule")
    options = parser.parse_args()
    names = [None, *(rule.name for rule in RULES)] if options.only is None else [options.only]
    first = options.seed * 10**6
    attempt = partial(try_without, seeds=range(first, first + options.cases))
    with ProcessPoolExecutor(options.jobs) as pool:
        results = zip(names, pool.map(attempt, names), strict=True)
        fine = [_print(name, caught) for name, caught in results]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
