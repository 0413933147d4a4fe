"""The part of `unlimcall health` for calls whose events a receiver did not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unlimcall_async.cli import options
from unlimcall_async.cli.output import write, write_json
from unlimcall_async.cli.wording import share

if TYPE_CHECKING:
    from unlimcall_async.operations import EventReconciler, Share

# Webhooks lose nothing as long as their hook is enabled. So a share that chance does not explain is an alarm.
_ABOVE: Final = 0.01
# As in `EventReconciler`.
_LEAST_MISSED: Final = 5


def show(reconciler: EventReconciler, *, as_json: bool) -> bool:
    """Write how many events were missed, and return whether that is an alarm."""
    missed = missed_of(reconciler)
    if as_json:
        write_json(facts(missed))
    else:
        write(line_of(missed))
    return is_high(missed)


def missed_of(reconciler: EventReconciler) -> Share:
    """Return the calls whose event did not come, out of all calls that are old enough. Recovered calls are among the missed."""
    from unlimcall_async.operations import Share  # noqa: PLC0415 # `--help` must be quick

    reconciler.sweep(now=options.now())
    missed = len(reconciler.missed) + len(reconciler.recovered)
    return Share(missed, missed + len(reconciler.matched))


def is_high(missed: Share) -> bool:
    """Return whether so many events are missed that chance does not explain them."""
    return missed.count >= _LEAST_MISSED and missed.interval[0] > _ABOVE


def facts(missed: Share) -> dict[str, Any]:
    """Return the share of missed events, for programs."""
    high = is_high(missed)
    return {"event": "call.ended", "calls": missed.of, "missed": missed.count, "share": missed.rate, "high": high}


def line_of(missed: Share) -> str:
    """Return the share of missed events as a line."""
    mark = f", above {_ABOVE:.0%}: is the hook disabled?" if is_high(missed) else ""
    part = share(missed.count, missed.of)
    return f"Calls whose call.ended did not come: {missed.count:,} of {missed.of:,} ({part}){mark}\n"
