"""One target under atheris, in a process of its own: `python -m tests.fuzzing.child TARGET` and libFuzzer's own arguments."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from typing import Final

import atheris

with atheris.instrument_imports(include=["unlimcall_async"]):
    from tests.fuzzing.targets import TARGETS

# Seconds of the processor that a reader may take for any input, and more for each byte of it. Instrumented code is slow.
MOST_SECONDS: Final = 0.05
# A page is taken apart into 2000 rows at most. Each of the first lines of an invoice may be its header, by each separator.
MOST_SECONDS_OF: Final = {"page": 0.6, "invoice": 0.3}
MOST_SECONDS_A_BYTE: Final = 5e-6
# Seconds of the processor after which a call is interrupted.
LONGEST_CALL: Final = 20.0
# Seconds of the clock after which libFuzzer ends the process. That clock runs on while the machine is busy, or the process is
# stopped. So this limit is a long one, for code in C that runs without end, and hears no signal.
LONGEST_WAIT: Final = 1800
# Bytes. What takes time by the square of its length shows in inputs of this length.
LONGEST: Final = 1 << 16


class TooSlowError(AssertionError):
    """A reader has taken more of the processor than any input of that length may."""


def timed(name: str, content: bytes) -> None:
    """Call a target, and raise `TooSlowError` if three calls in a row take too long."""
    most = MOST_SECONDS_OF.get(name, MOST_SECONDS) + MOST_SECONDS_A_BYTE * len(content)
    if all(_seconds(TARGETS[name], content) > most for _ in range(3)):
        raise TooSlowError(f"more than {most:.3f} s for {len(content)} bytes")


def _seconds(target: Callable[[bytes], None], content: bytes) -> float:
    began = time.thread_time()
    signal.setitimer(signal.ITIMER_PROF, LONGEST_CALL)
    try:
        target(content)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return time.thread_time() - began


def _interrupt(*_: object) -> None:
    raise TooSlowError(f"no end after {LONGEST_CALL} s")


def stretched(content: bytes, most: int, seed: int) -> bytes:
    """Return a mutated input: libFuzzer's own mutation, or in one of eight cases a stretch of the input, repeated many times."""
    if seed % 8 or not content:
        return bytes(atheris.Mutate(content, most))
    seed //= 8
    start = seed % len(content)
    length = 1 + seed // 7 % min(64, len(content) - start)
    times = 2 << seed // 11 % 14
    piece = content[start : start + length] * min(times, max(1, (most - len(content)) // length))
    return (content[:start] + piece + content[start:])[:most]


def main() -> None:
    name, *arguments = sys.argv[1:]
    signal.signal(signal.SIGPROF, _interrupt)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_len={LONGEST}",
            "-rss_limit_mb=2048",
            f"-timeout={LONGEST_WAIT}",
            "-len_control=50",
            *arguments,
        ],
        lambda content: timed(name, content),
        custom_mutator=stretched,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
