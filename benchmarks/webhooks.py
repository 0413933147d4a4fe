"""The cost of verifying a webhook delivery, in units of one HMAC of the same body, which no verifier can do without.

    python benchmarks/webhooks.py

The first column is the ratio to `hmac.digest` of the same bytes, 1 KB by default. Each figure is the median of many short rounds.
The rounds take turns and count processor time, so that other load on the machine falls on all of them alike.
"""

from __future__ import annotations

import argparse
import hmac
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

from unlimcall_async.webhooks import parse_event, receive, sign, verify

SECRET = "whsec_2VR9aBcDeFgHiJkLmNoPqRsTuVwXyZ01"
NOW = 1_748_110_442


def body_of(size: int) -> bytes:
    """Return the body of an event, exactly `size` bytes long."""
    event = {"event": "call.ended", "eventId": "evt_1", "callId": "f3c1e8a2", "durationSec": 81, "note": ""}
    event["note"] = "x" * (size - len(json.dumps(event)))
    return json.dumps(event).encode()


def microseconds(work: Callable[[], object], times: int) -> float:
    """Return the processor time of one call, averaged over a round."""
    begin = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begin) / times * 1e6


def medians(works: list[Callable[[], object]], rounds: int, times: int) -> list[float]:
    """Time all works in turns, and return the median of each."""
    taken = [[microseconds(work, times) for work in works] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def main() -> None:
    """Print a line for each work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=501)
    parser.add_argument("--times", type=int, default=50, help="verifications in a round")
    parser.add_argument("--size", type=int, default=1024, help="bytes of the body")
    options = parser.parse_args()
    body = body_of(options.size)
    header = sign(body, SECRET, NOW)
    old_and_new = ["whsec_another", SECRET]
    works: dict[str, Callable[[], object]] = {
        "hmac.digest": partial(hmac.digest, SECRET.encode(), b"%d.%b" % (NOW, body), "sha256"),
        "verify": partial(verify, body, header, SECRET, now=NOW),
        "verify, two secrets": partial(verify, body, header, old_and_new, now=NOW),
        "parse_event": partial(parse_event, body),
        "receive": partial(receive, body, header, SECRET, now=NOW),
    }
    taken = dict(zip(works, medians(list(works.values()), options.rounds, options.times), strict=True))
    for name, cost in taken.items():
        print(f"{cost / taken['hmac.digest']:6.2f}  {cost:7.2f} us  {name}, {len(body):,} bytes")


if __name__ == "__main__":
    main()
