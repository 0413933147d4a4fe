"""The counts of streams, follows and receivers, added up, also of those that are gone.

An exporter asks for the counts in a thread of its own, at any time. Nothing guards the `stats` of a stream against a second thread.
So they are read in the thread of the stream's event loop alone: whenever the stream tells of a change, and if the exporter itself
runs in that thread. Any other thread gets what was read last.

A watched object is held by nobody here. It tells of its last change before it can vanish, so the counts that were read last are its
last ones. They are added to those of all objects that are gone.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import define, field, frozen

from unlimcall_async import CdrFollow, CdrStream, FollowStats, _watched
from unlimcall_async.webhooks import WebhookReceiver

# The name of an instrument, and attributes.
Labels: TypeAlias = tuple[tuple[str, str], ...]
Series: TypeAlias = tuple[str, Labels]

RECORDS, UNREADABLE = "unlimcall.cdrs.records", "unlimcall.cdrs.unreadable"
REQUESTS, RETRIES, WAITED = "unlimcall.cdrs.requests", "unlimcall.cdrs.retries", "unlimcall.cdrs.wait.time"
LATE, LAG = "unlimcall.cdrs.late", "unlimcall.cdrs.lag"
DELIVERIES = "unlimcall.webhook.deliveries"


@frozen
class Reading:
    """What the `stats` of an object said.

    Attributes:
        counts: What only grows.
        lag_s: The lag of a follow; `None` of anything else.
    """

    counts: dict[Series, float]
    lag_s: float | None = None


def reader_of(watched: object, labels: Labels) -> Callable[[Any], Reading]:
    """Return the function that reads the `stats` of such an object.

    Raises:
        TypeError: The object is of another kind.
    """
    if isinstance(watched, WebhookReceiver):
        return lambda receiver: _of_receiver(receiver, labels)
    if isinstance(watched, (CdrStream, CdrFollow)):
        return lambda stream: _of_records(stream, labels)
    raise TypeError(f"watch takes a stream, a follow or a WebhookReceiver, not {type(watched).__name__}")


def _of_records(stream: CdrStream | CdrFollow, labels: Labels) -> Reading:
    stats = stream.stats
    counts: dict[str, float] = {
        RECORDS: stats.records,
        UNREADABLE: stats.unreadable,
        REQUESTS: stats.requests,
        RETRIES: stats.retries,
        WAITED: stats.waited_s,
    }
    kind, lag_s = "stream", None
    if isinstance(stats, FollowStats):
        kind, lag_s = "follow", stats.lag_s
        counts[LATE] = stats.late
    labels = (*labels, ("unlimcall.cdrs.kind", kind))
    return Reading({(name, labels): count for name, count in counts.items()}, lag_s)


def _of_receiver(receiver: WebhookReceiver, labels: Labels) -> Reading:
    stats = receiver.stats
    counts: dict[Series, float] = {
        (DELIVERIES, (*labels, ("unlimcall.webhook.outcome", outcome))): count
        for outcome, count in (("handled", stats.handled), ("seen", stats.seen), ("failed", stats.failed))
    }
    for reason, count in stats.refused.items():
        refused = ("unlimcall.webhook.outcome", "refused"), ("error.type", reason)
        counts[DELIVERIES, (*labels, *refused)] = count
    return Reading(counts)


@define(eq=False)
class _Watched:
    """A watched object, and what was read of it last."""

    ref: Callable[[], object | None]
    read: Callable[[Any], Reading]
    labels: Labels
    thread: int = field(factory=threading.get_ident)
    reading: Reading = field(factory=lambda: Reading({}))
    read_at: float = field(factory=time.monotonic)

    def note(self, watched: object) -> None:
        """Read the object, in the thread of its event loop."""
        self.thread, self.reading, self.read_at = threading.get_ident(), self.read(watched), time.monotonic()

    def last_reading(self) -> Reading:
        """Return what is known of the object. In the thread of its event loop, that is what its `stats` say now."""
        watched = self.ref()
        if watched is not None and self.thread == threading.get_ident():
            self.note(watched)
        return self.reading


class Watches:
    """All that is watched for one provider of meters."""

    def __init__(self) -> None:
        # Several exporters may ask at once, each in its thread.
        self._lock = threading.Lock()
        self._watched: list[_Watched] = []
        # The last counts of the objects that are gone.
        self._gone: dict[Series, float] = {}

    def add(self, watched: object, labels: Labels) -> None:
        """Watch an object. An object that is watched already keeps its labels.

        Raises:
            TypeError: The object is not of a kind that can be watched.
        """
        read = reader_of(watched, labels)
        with self._lock:
            if any(each.ref() is watched for each in self._present()):
                return
            added = _Watched(weakref.ref(watched), read, labels)
            self._watched.append(added)
        added.note(watched)
        _watched.watch(watched, added.note)

    def counts(self, name: str) -> dict[Labels, float]:
        """Return the counts of an instrument by their labels."""
        total: dict[Series, float] = {}
        with self._lock:
            for each in self._present():
                _add(each.last_reading().counts, total)
            _add(self._gone, total)
        return {labels: count for (instrument, labels), count in total.items() if instrument == name}

    def lags(self) -> dict[Labels, float]:
        """Return the lag of the follows by their labels; the largest, if several have the same ones."""
        lags: dict[Labels, float] = {}
        with self._lock:
            for each in self._present():
                if (lag := each.last_reading().lag_s) is not None:
                    # Until a follow tells of new records, it falls behind by a second each second.
                    lag += time.monotonic() - each.read_at
                    lags[each.labels] = max(lag, lags.get(each.labels, 0.0))
        return lags

    def _present(self) -> list[_Watched]:
        """Return what is still there, and add up what is gone."""
        present = []
        for each in self._watched:
            # Asked once, because the object may vanish meanwhile.
            if each.ref() is None:
                _add(each.reading.counts, self._gone)
            else:
                present.append(each)
        self._watched = present
        return present


def _add(counts: Mapping[Series, float], total: dict[Series, float]) -> None:
    for series, count in counts.items():
        total[series] = total.get(series, 0) + count
