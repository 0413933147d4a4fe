"""Every block of code in the README and in `docs/` runs as it stands, and so does every example; every link has its target."""

from __future__ import annotations

import asyncio
import io
import os
import re
import runpy
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
import pytest
from attrs import define, evolve, frozen

import unlimcall_async
from tests.shared.servers import valkey_server
from tests.webhooks.oracle import SECRET, event_body, headers
from tests.webhooks.servers import uvicorn_server
from unlimcall_async import AuthenticationError
from unlimcall_async.cli.commands import unlimcall
from unlimcall_async.sandbox import Sandbox, SandboxCall, Status, generate_traffic

# From Python 3.13 on, a script that leaves its database to the end of the process gets this warning.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
# Seconds after which a program that was to do something has failed to.
PATIENCE = 30


@frozen
class Block:
    """A block of code; `prints` is what the page says that it prints."""

    heading: str
    language: str
    code: str
    prints: str


def blocks_of(page: str) -> Iterator[Block]:
    heading, before = "", None
    for title, language, code in re.findall(r"^#+ ([^\n]+)$|^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        if title:
            heading = title
        elif language == "text" and before is not None:
            before = Block(before.heading, before.language, before.code, code)
        else:
            if before is not None:
                yield before
            before = Block(heading, language, code, "")
    if before is not None:
        yield before


BLOCKS = {name: list(blocks_of(page)) for name, page in PAGES.items()}
SCRIPTS = [
    pytest.param(block, id=f"{name}: {block.heading}")
    for name, blocks in BLOCKS.items()
    for block in blocks
    # `tests/with_dlt` and `tests/with_spark` have the others.
    if block.language == "python" and block.heading != "dlt" and name != "docs/spark.md"
]
SESSIONS = [
    pytest.param([block for block in blocks if block.language == "console"], id=name)
    for name, blocks in BLOCKS.items()
    if any(block.language == "console" for block in blocks)
]


class Output(io.TextIOWrapper):
    """Standard output, which another thread may read meanwhile."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8", write_through=True)

    @property
    def text(self) -> str:
        return self._bytes.getvalue().decode()


def masked(text: str) -> list[str]:
    """The lines of an output without its figures and the width of its columns, which differ from run to run."""
    return [" ".join(re.sub(r"\d[\d,.]*", "#", line).split()) for line in text.splitlines()]


@define
class Desk:
    """Where a reader sits: a folder with a token alone, and a sandbox in the environment's variables."""

    sandbox: Sandbox
    folder: Path
    output: Output

    def run(self, code: str, name: str = "__main__") -> dict[str, Any]:
        """Save code as a file, and run the file."""
        path = self.folder / "script.py"
        path.write_text(code)
        with redirect_stdout(self.output):
            return runpy.run_path(str(path), run_name=name)

    def command(self, *arguments: str) -> int:
        """Run the command `unlimcall`, and return its exit status."""
        with redirect_stdout(self.output), redirect_stderr(self.output), pytest.raises(SystemExit) as ended:
            unlimcall.main(arguments, prog_name="unlimcall")
        return int(ended.value.code or 0)

    @contextmanager
    def interrupted(self, seen: Callable[[], bool]) -> Iterator[None]:
        """Press Ctrl-C as soon as something is seen."""
        over = threading.Event()
        deadline = time.monotonic() + PATIENCE

        def press() -> None:
            while not over.wait(0.01):
                if seen() or time.monotonic() > deadline:
                    os.kill(os.getpid(), signal.SIGINT)
                    return

        thread = threading.Thread(target=press)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@contextmanager
def served() -> Iterator[Sandbox]:
    """A sandbox in a thread, so that scripts with event loops of their own can ask it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sandbox = Sandbox()
    try:
        asyncio.run_coroutine_threadsafe(sandbox.__aenter__(), loop).result()
        yield sandbox
        asyncio.run_coroutine_threadsafe(sandbox.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@cache
def calls_of_a_week() -> list[SandboxCall]:
    """The calls of one fixed week, moved to end now: what the pages show may not depend on the day of the week."""
    friday = datetime(2026, 11, 27, 18, tzinfo=UTC)
    calls = generate_traffic(1500, start=friday - timedelta(days=7), end=friday)
    return [evolve(call, start_time=call.start_time + (now() - friday)) for call in calls]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    with served() as sandbox:
        sandbox.add_calls(calls_of_a_week())
        monkeypatch.setenv("UNLIMCALL_TOKEN", sandbox.token)
        monkeypatch.setenv("UNLIMCALL_BASE_URL", sandbox.url)
        monkeypatch.setenv("UNLIMCALL_WEBHOOK_SECRET", SECRET)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        (tmp_path / "acme.token").write_text(sandbox.token)
        (tmp_path / "events.ndjson").touch()
        (tmp_path / "accounts.toml").write_text('[accounts.acme]\ntoken_file = "acme.token"\n')
        yield Desk(sandbox, tmp_path, Output())


# --- scripts ----------------------------------------------------------------------------------------------------------


def runs(desk: Desk, block: Block) -> None:
    """A script that runs to its end."""
    desk.run(block.code)


def goes_on_after_a_crash(desk: Desk, block: Block) -> None:
    quarter = generate_traffic(4000, start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 4, 1, tzinfo=UTC))
    desk.sandbox.add_calls(quarter)

    def pulled() -> list[str]:
        with sqlite3.connect(desk.folder / "records.db") as db:
            return [row[0] for row in db.execute("SELECT id FROM records ORDER BY start_time, id")]

    desk.sandbox.inject(Status(401), endpoint="cdrs", skip=3)
    with pytest.raises(AuthenticationError):
        desk.run(block.code)
    assert 0 < len(pulled()) < len(quarter)
    for _ in range(2):
        desk.run(block.code)
        assert pulled() == [call.id for call in sorted(quarter, key=lambda call: (call.start_time, call.id))]


def follows_until_it_is_stopped(desk: Desk, block: Block) -> None:
    history, fresh = "+442071838750", "+33145551234"
    desk.sandbox.add_calls([SandboxCall(id="1.1", start_time=now() - timedelta(minutes=9), dst=history)])
    added = False

    def seen() -> bool:
        nonlocal added
        if not added and history in desk.output.text:
            desk.sandbox.add_calls([SandboxCall(id="2.2", start_time=now(), dst=fresh)])
            added = True
        return fresh in desk.output.text

    with pytest.raises(KeyboardInterrupt), desk.interrupted(seen):
        desk.run(block.code)
    assert [desk.output.text.count(f" {number} ") for number in (history, fresh)] == [1, 1]


def follows_changes(desk: Desk, block: Block) -> None:
    desk.sandbox.add_calls([SandboxCall(id="1.1", start_time=now() - timedelta(minutes=9), sell_price_cents=34)])
    with pytest.raises(KeyboardInterrupt), desk.interrupted(lambda: "added 1.1 34" in desk.output.text):
        desk.run(block.code)


def follows_into_a_file(desk: Desk, block: Block) -> None:
    path, calls = desk.folder / "calls.txt", 1500
    for call in ("1.1", "2.2"):
        desk.sandbox.add_calls([SandboxCall(id=call, start_time=now() - timedelta(minutes=9))])
        calls += 1

        def seen(count: int = calls) -> bool:
            return path.exists() and path.read_bytes().count(b"\n") >= count

        with pytest.raises(KeyboardInterrupt), desk.interrupted(seen):
            desk.run(block.code)
        with path.open("ab") as file:
            file.write(b"what no checkpoint covers")
    lines = path.read_bytes().split(b"\n")
    ids = Counter(line.split()[0].decode() for line in lines[:calls])
    assert ids == Counter(call.id for call in desk.sandbox.calls)


def places_one_call(desk: Desk, block: Block) -> None:
    desk.run(block.code)
    (call,) = desk.sandbox.originated
    assert desk.output.text == f"{call.call_id} queued\n"


def receives_a_delivery(desk: Desk, block: Block) -> None:
    body = event_body(callId="f3c1e8a2", durationSec=81, dispositionCode="SALE")
    module = desk.run(block.code, name="hooks")

    async def deliver() -> None:
        async with uvicorn_server(module["app"]) as url, aiohttp.ClientSession() as session:
            sent = headers(body, at=int(time.time()))
            for _ in range(2):
                async with session.post(url, data=body, headers=sent) as response:
                    assert response.status == 200
        await module["store"].aclose()

    asyncio.run(deliver())
    with sqlite3.connect(desk.folder / "calls.db") as db:
        assert db.execute("SELECT * FROM ended").fetchall() == [("f3c1e8a2", 81, "SALE")]


def passes(desk: Desk, block: Block) -> None:
    """A test, which pytest runs as in a project of its own."""
    (desk.folder / "test_it.py").write_text(block.code)
    command = [sys.executable, "-m", "pytest", "-q", "test_it.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # it is ours
    assert "1 passed" in done.stdout, done.stdout


def shares_its_limits(desk: Desk, block: Block) -> None:
    with valkey_server() as server, mock.patch.dict(os.environ, REDIS_URL=server.connection_url):
        desk.run(block.code)


# The blocks that do not simply run to their end, by the headings that they stand under, and what a reader does with each.
DRIVERS: dict[str, Callable[[Desk, Block], None]] = {
    "Follow calls as they end": follows_until_it_is_stopped,
    "Pull call records in bulk, and resume after a crash": goes_on_after_a_crash,
    "Follow new calls live": follows_until_it_is_stopped,
    "Records that change": follows_changes,
    "Storing how far a follow is": follows_into_a_file,
    "Place calls safely": places_one_call,
    "Receive webhooks": receives_a_delivery,
    "A pytest fixture": passes,
    "Processes that share a token": shares_its_limits,
}


@pytest.mark.rest_slow
@pytest.mark.parametrize("block", SCRIPTS)
def test_a_script_of_a_page_runs_as_it_stands(block: Block, desk: Desk) -> None:
    DRIVERS.get(block.heading, runs)(desk, block)
    assert set(masked(block.prints)) <= set(masked(desk.output.text))


def test_every_driver_has_its_block() -> None:
    assert set(DRIVERS) <= {block.heading for blocks in BLOCKS.values() for block in blocks}


# --- commands ---------------------------------------------------------------------------------------------------------

# What is given to a command besides, so that it is quick, and takes a port that is free.
BESIDES = {
    "demo": ["--calls", "2000"],
    "sandbox": ["--calls", "100", "--port", "0"],
    "webhooks listen": ["--port", "0"],
}
# Commands that run until they are stopped: what they write when they are ready, and their exit status after Ctrl-C.
UNTIL_STOPPED = {
    "sandbox": ("# Try:", 0),
    "webhooks listen": ("Listening on", 0),
    "cdrs follow": ('"id"', 130),
    "cdrs sync --every": ("The table holds", 130),
}
# The sandbox does not have the hook that a page deletes, nor the call that a page ends. Its carrier fails more often than in 1 % of
# the calls. Its receiver has seen no event.
STATUS = {"hooks delete": 3, "sandbox end-call": 3, "health": 1, "webhooks reconcile": 1}


def carry_out(desk: Desk, arguments: list[str]) -> None:
    """Run one command of a page, and end it if it does not end by itself."""
    names = [name for name in (*BESIDES, *UNTIL_STOPPED, *STATUS) if " ".join(arguments).startswith(name)]
    name = max(names, key=len, default="")
    arguments += BESIDES.get(name, [])
    if name in UNTIL_STOPPED:
        ready, status = UNTIL_STOPPED[name]
        with desk.interrupted(lambda: ready in desk.output.text):
            ended = desk.command(*arguments)
        assert ready in desk.output.text
        assert ended == status
    else:
        assert desk.command(*arguments) == STATUS.get(name, 0), desk.output.text


@pytest.mark.rest_slow
@pytest.mark.parametrize("blocks", SESSIONS)
def test_the_commands_of_a_page_run_as_they_stand(blocks: Sequence[Block], desk: Desk) -> None:
    desk.sandbox.add_calls([SandboxCall(id="1.1", start_time=now())])
    for line in (line for block in blocks for line in block.code.splitlines()):
        if not line.startswith("$ "):
            assert masked(line)[0] in masked(desk.output.text)
            continue
        desk.output = Output()
        for command in line.removeprefix("$ ").split(" && "):
            program, *arguments = shlex.split(command)
            if program == "unlimcall":
                carry_out(desk, arguments)
            else:
                assert arguments[:3] == ["-m", "pip", "install"]  # which `.ci/run` does


# --- examples ---------------------------------------------------------------------------------------------------------

# What an example needs so that it ends.
ARGUMENTS = {"follow.py": ["calls.sqlite", "--seconds", "1"]}
# These need another program, or another package: `tests/sync/test_examples.py` and `tests/with_dlt` run them.
ELSEWHERE = {"airflow_dag.py", "dlt_pipeline.py", "postgres_service.py"}
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.py")) if path.name not in ELSEWHERE]


@pytest.mark.rest_slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(example: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(example), *ARGUMENTS.get(example.name, [])])
    with redirect_stdout(desk.output):
        runpy.run_path(str(example), run_name="__main__")
    assert desk.output.text


# --- what the pages say -----------------------------------------------------------------------------------------------


def anchors_of(page: str) -> set[str]:
    """The anchors of a page's headings, as they are made where pages are shown."""
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        assert not anchor or anchor in anchors_of(file.read_text()), target


# The start page of the site, and those that show other files of the repository.
ON_THE_SITE_ALONE = {"docs/index.md", "docs/examples.md", "docs/changelog.md"}


def test_the_readme_leads_to_every_page() -> None:
    # Those in folders are reached from the site's own list of pages, which `.ci/run` builds.
    pages = {name for name in PAGES if re.fullmatch(r"docs/[\w-]+\.md", name)} - ON_THE_SITE_ALONE
    assert set(re.findall(r"\]\((docs/\w[\w-]*\.md)[)#]", PAGES["README.md"])) == pages


def test_the_site_shows_every_example() -> None:
    shown = re.findall(r"^## (\w+\.py)$", PAGES["docs/examples.md"], re.MULTILINE)
    assert shown == [path.name for path in sorted((ROOT / "examples").glob("*.py"))]


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_a_page_names_is_there(name: str) -> None:
    files = set(re.findall(r"(?:tests|benchmarks|examples)/[\w/]+\.py", PAGES[name]))
    modules = {f"{module.replace('.', '/')}.py" for module in re.findall(r"python -m (tests\.\w+\.\w+)", PAGES[name])}
    assert {file for file in files | modules if not (ROOT / file).exists()} == set()


def test_every_error_has_its_place_on_the_page() -> None:
    errors = {
        name
        for name in unlimcall_async.__all__
        if isinstance(getattr(unlimcall_async, name), type) and name.endswith("Error")
    }
    assert errors - set(re.findall(r"\w+Error\b", PAGES["docs/errors.md"])) == set()


def test_every_variable_of_the_environment_is_on_the_page_of_settings() -> None:
    sources = (ROOT / "unlimcall_async").rglob("*.py")
    read = {name for path in sources for name in re.findall(r'"(UNLIMCALL_[A-Z_]+)"', path.read_text())}
    assert "UNLIMCALL_TOKEN" in read
    assert read - set(re.findall(r"`(UNLIMCALL_\w+)`", PAGES["docs/reference/settings.md"])) == set()


def test_the_readme_names_the_wheel_of_this_version() -> None:
    assert f"dist/unlimcall_async-{unlimcall_async.__version__}-py3-none-any.whl" in PAGES["README.md"]


def test_the_changelog_has_a_place_for_what_comes_and_names_this_version() -> None:
    text, version = (ROOT / "CHANGELOG.md").read_text(), unlimcall_async.__version__
    unreleased, *released = re.findall(r"^## \[(.+)\]", text, re.MULTILINE)
    assert unreleased == "Unreleased"
    assert released[:1] == [version] or f"The first release is to be {version}." in text


def test_an_entry_of_the_changelog_is_short_and_stands_under_a_known_heading() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    entries = re.findall(r"^- .*(?:\n  .*)*", text, re.MULTILINE)
    assert [entry for entry in entries if entry.count("\n") > 2] == []
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {
        *("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"),
    }


# The others start a sandbox.
NEED_A_TOKEN = [
    path
    for path in sorted((ROOT / "examples").glob("*.py"))
    if "UNLIMCALL_TOKEN=" in path.read_text() and path.name != "dlt_pipeline.py"
]


@pytest.mark.parametrize("example", NEED_A_TOKEN, ids=lambda path: path.name)
def test_an_example_without_a_token_says_in_a_line_how_to_get_one(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(example), run_name="__main__")
    # Python writes the argument of such an exit on standard error, as a line, and ends with status 1.
    assert "unlimcall sandbox" in str(ended.value.code)
    assert "\n" not in str(ended.value.code)
    assert capsys.readouterr() == ("", "")
    assert not [*tmp_path.iterdir()]
