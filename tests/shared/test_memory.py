"""What a process remembers of a server."""

from __future__ import annotations

import sys
import threading

from unlimcall_async.http.rate_limits import DAY
from unlimcall_async.shared.memory import Memory


def test_what_was_seen_a_day_ago_is_forgotten_with_an_outage_of_that_time() -> None:
    memory = Memory()
    memory.heard("a", "one", 0)
    memory.missed = True
    memory.heard("a", "two", 10)
    memory.heard("a", "one", 20)
    memory.forget_old(DAY + 15)
    assert (dict(memory.seen), memory.mark) == ({"one": 20}, "a")
    memory.forget_old(DAY + 25)
    # The server has forgotten by itself what the process has, so an empty server is nothing to wait for.
    assert (dict(memory.seen), memory.mark, memory.missed) == ({}, "", False)


def test_event_loops_of_several_threads_use_it_at_once() -> None:
    memory, errors = Memory(), list[BaseException]()

    def use(name: str) -> None:
        try:
            for number in range(2000):
                memory.heard("a", f"{name}:{number}", number * DAY / 500)
                memory.forget_old(number * DAY / 500)
        except BaseException as error:  # noqa: BLE001 # whatever it is, the test shows it
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=use, args=(f"{thread}",)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []
