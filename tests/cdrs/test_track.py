"""`track`: what is shown of a stream or a follow, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import unlimcall_async
from unlimcall_async import (
    AsyncClient,
    FollowStats,
    Progress,
    RateLimit,
    RateLimits,
    RetryPolicy,
    ServerError,
    track,
)
from unlimcall_async import _bar as bars
from unlimcall_async._progress_words import Words, of_follow, of_stream, time_of
from unlimcall_async.sandbox import Sandbox, SandboxCall, Status

NOW = datetime(2026, 5, 24, 12, tzinfo=UTC)
START = NOW - timedelta(days=2)


class Recorder:
    """A display that keeps what it was to show."""

    def __init__(self) -> None:
        self.shown: list[Words] = []
        self.open = 0

    def show(self, words: Words) -> None:
        self.shown.append(words)

    def close(self) -> None:
        self.open -= 1

    def make(self) -> Recorder:
        self.open += 1
        return self


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder()
    monkeypatch.setattr(bars, "display", made.make)
    return made


def calls(count: int) -> list[SandboxCall]:
    return [SandboxCall(id=f"{number}", start_time=START + number * timedelta(minutes=1)) for number in range(count)]


def client_of(sandbox: Sandbox, **options: Any) -> AsyncClient:
    return AsyncClient(sandbox.token, base_url=sandbox.url, retry=RetryPolicy(delays=()), **options)


# --- iteration ------------------------------------------------------------------------------------------------------------


async def test_it_hands_out_what_the_stream_does(recorder: Recorder) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls(50))
        async with client_of(sandbox) as client:
            plain = [record async for record in client.cdrs.stream(START, NOW)]
            assert [record async for record in track(client.cdrs.stream(START, NOW))] == plain
            batches = [batch async for batch in track(client.cdrs.stream(START, NOW)).batches()]
            assert [record for batch in batches for record in batch] == plain
    assert recorder.open == 0
    assert recorder.shown[-1].texts[:2] == ("100%", "50 records")


async def test_leaving_the_loop_ends_the_display_at_once(recorder: Recorder) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls(50))
        async with client_of(sandbox) as client, client.cdrs.stream(START, NOW) as stream:
            async for _ in track(stream):
                assert recorder.open == 1
                break
            assert recorder.open == 0
            with suppress(ZeroDivisionError):
                async for _ in track(stream):
                    _ = 1 / 0
            assert recorder.open == 0
            iterator = aiter(track(stream))
            await anext(iterator)
            await iterator.aclose()
            assert recorder.open == 0
            assert [text for text in recorder.shown[-1].texts if "waits" in text or "left" in text] == []
            assert len([record async for record in track(stream)]) == 47


async def test_an_error_ends_the_display_and_the_next_step_goes_on(recorder: Recorder) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls(5))
        sandbox.inject(Status(503), endpoint="cdrs")
        async with client_of(sandbox) as client:
            iterator = aiter(track(client.cdrs.stream(START, NOW)))
            with pytest.raises(ServerError):
                await anext(iterator)
            assert recorder.open == 0
            assert (await anext(iterator)).id == "0"
            assert recorder.open == 1
            await iterator.aclose()
    assert recorder.open == 0


async def test_a_cancellation_ends_the_display(recorder: Recorder) -> None:
    async with Sandbox(latency=5) as sandbox:
        sandbox.add_calls(calls(5))
        async with client_of(sandbox) as client:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    async for _ in track(client.cdrs.stream(START, NOW)):
                        pass
            assert len(recorder.shown) >= 2
    assert (recorder.open, len(asyncio.all_tasks())) == (0, 1)


async def test_a_follow_is_tracked(recorder: Recorder) -> None:
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls(5))
        async with client_of(sandbox) as client, client.cdrs.follow(START) as follow:
            async for record in track(follow):
                if record.id == "4":
                    break
    assert recorder.open == 0
    assert recorder.shown[-1].fraction is None
    assert recorder.shown[-1].texts[0] == "5 records"


@pytest.mark.slow
@pytest.mark.looptime
async def test_a_wait_for_the_rate_limit_is_shown_while_it_lasts(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    # The display's own pauses are of the loop's time.
    monkeypatch.setattr(time, "monotonic", loop.time)
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls(2500))
        limits = RateLimits(cdrs=RateLimit(per_minute=1))
        async with client_of(sandbox, rate_limits=limits) as client:
            async for _ in track(client.cdrs.stream(START, NOW)).batches():
                pass
    waits = [text for words in recorder.shown for text in words.texts if text.startswith("waits: rate limit")]
    assert {f"waits: rate limit, {seconds} s" for seconds in range(10, 50)} <= set(waits)


@pytest.mark.parametrize("wrong", [None, [], "stream"])
def test_only_streams_and_follows_are_tracked(wrong: Any) -> None:
    with pytest.raises(TypeError, match="track takes a CdrStream or a CdrFollow"):
        track(wrong)


async def test_without_rich_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(unlimcall_async, "_bar")
    monkeypatch.delitem(sys.modules, "unlimcall_async._bar")
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.setitem(sys.modules, name, None)
    async with AsyncClient("unl_test_token") as client:
        with pytest.raises(ImportError, match=r"extra `cli`"):
            track(client.cdrs.stream(START, NOW))


# --- where ----------------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def at_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard error a terminal. Called by the test itself, because pytest sets the streams anew before each test."""
    terminal = Terminal()
    for name, value in {"TERM": "xterm", "COLUMNS": "60", "NO_COLOR": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    return terminal


async def tracked(sandbox: Sandbox) -> None:
    async with client_of(sandbox) as client:
        async for _ in track(client.cdrs.stream(START, NOW)):
            pass


async def test_a_terminal_gets_a_bar_that_ends_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = at_terminal(monkeypatch)
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls(50))
        await tracked(sandbox)
    shown = stderr.getvalue()
    assert "━" in shown
    assert "100%  50 records" in shown
    assert shown.index("\x1b[?25l") < shown.index("\x1b[?25h")  # the cursor, hidden and shown again
    assert shown.rindex("\n") > shown.rindex("records")


async def test_what_is_printed_to_a_terminal_stands_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = at_terminal(monkeypatch)
    monkeypatch.setattr(sys, "stdout", stderr)
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls(2))
        async with client_of(sandbox) as client:
            async for record in track(client.cdrs.stream(START, NOW)):
                print("record", record.id)
    assert sys.stdout is stderr
    for line in ("record 0\n", "record 1\n"):
        before = stderr.getvalue().split(line)[0]
        assert before.endswith(("\x1b[2K", "\n"))  # at the start of a line that was erased


async def test_what_is_printed_elsewhere_goes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = at_terminal(monkeypatch)
    file = sys.stdout
    assert isinstance(file, io.StringIO)
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls(1))
        async with client_of(sandbox) as client:
            async for record in track(client.cdrs.stream(START, NOW)):
                print("record", record.id)
    assert file.getvalue() == "record 0\n"
    assert "record 0" not in stderr.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
async def test_no_escape_is_written_where_no_bar_can_be(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = at_terminal(monkeypatch)
    if terminal:
        monkeypatch.setenv("TERM", "dumb")
    else:
        monkeypatch.setattr(stderr, "isatty", lambda: False)
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls(5))
        await tracked(sandbox)
    assert stderr.getvalue() == ""  # over before a line was due


def test_lines_come_every_five_seconds() -> None:
    times, written = iter([0.0, 4.9, 5.0, 5.0, 9.9]), list[str]()
    lines = bars.Lines(written.append, lambda: next(times))
    for _ in range(3):
        lines.show(Words(0.5, ("50%", "3 records")))
    assert written == ["50%, 3 records"]


def test_a_pipe_beside_a_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = at_terminal(monkeypatch)
    assert isinstance(bars.display(), bars.Bar)
    reader, writer = os.pipe()
    with open(writer, "w") as pipe:  # noqa: PTH123 # a descriptor has no path
        monkeypatch.setattr(sys, "stdout", pipe)
        display = bars.display()
        monkeypatch.setattr(sys, "stdout", io.StringIO())
    os.close(reader)
    assert isinstance(display, bars.Lines)
    assert stderr.getvalue() == ""


async def test_a_notebook_gets_the_output_of_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    handle = SimpleNamespace(update=shown.append)

    def display(html: str, *, display_id: bool) -> SimpleNamespace:
        assert display_id
        shown.append(html)
        return handle

    ipython, place = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined] # a module like it
    place.HTML, place.display = str, display  # type: ignore[attr-defined] # a module like it
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", place)
    async with Sandbox() as sandbox:
        sandbox.add_calls(calls(5))
        await tracked(sandbox)
    assert len(shown) >= 2
    assert shown[-1] == '<div><progress max="1" value="1.0000"></progress> 100%, 5 records</div>'


# --- words ----------------------------------------------------------------------------------------------------------------


def progress(**changed: Any) -> Progress:
    known = {"fraction": 0.345, "records": 1234, "requests": 2, "position": NOW, **changed}
    return Progress(**known)


def test_a_stream_in_words() -> None:
    eta, until = NOW + timedelta(minutes=3), NOW + timedelta(seconds=12)
    words = of_stream(progress(waiting_for="rate limit", waiting_until=until, eta=eta), 456.7, NOW)
    assert str(words) == "34%, 1,234 records, waits: rate limit, 12 s, 3 min left, 457/s"
    assert of_stream(progress(waiting_for="rate limit", eta=eta), None, NOW, over=True).texts == (
        "34%",
        "1,234 records",
    )
    assert str(of_stream(progress(fraction=0.9999, records=1), None, NOW)) == "99%, 1 record"


def test_a_long_wait_has_the_time_when_it_is_over() -> None:
    words = of_stream(progress(waiting_for="retry", waiting_until=NOW + timedelta(hours=2)), None, NOW)
    assert words.texts[-1] == "waits: retry until 14:00 UTC"
    assert time_of(NOW + timedelta(days=1), NOW) == "2026-05-25 12:00 UTC"
    gone = of_stream(progress(waiting_for="retry", waiting_until=NOW - timedelta(seconds=1)), None, NOW)
    assert gone.texts[-1] == "waits: retry, 0 s"


def test_a_follow_in_words() -> None:
    stats = FollowStats(7, 1, 0, 0, 0, 2, 0.0, 95.0, 0)
    assert str(of_follow(stats, NOW)) == "1 record, 95 s behind, waits: next poll, 2 polls"


@pytest.mark.parametrize("width", [200, 80, 60, 40, 20, 5])
def test_the_most_important_words_have_room(width: int) -> None:
    until = NOW + timedelta(seconds=12)
    words = of_stream(progress(waiting_for="rate limit", waiting_until=until, eta=until), 9999, NOW)
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(bars.Line(words), end="")
    (line,) = console.file.getvalue().splitlines()  # type: ignore[attr-defined] # in memory
    assert len(line) <= width - 3
    assert "34%" in line or width < 20
    assert ("waits: rate limit, 12 s" in line) is (width >= 60)


def test_a_stream_says_what_it_is() -> None:
    assert repr(track(AsyncClient("unl_test_token").cdrs.stream(START, NOW))).startswith("<Tracked <CdrStream [")
