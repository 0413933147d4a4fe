"""What the logger says of requests, waits and retries, and how `$UNLIMCALL_LOG` turns the logger on."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys

import pytest

from unlimcall_async import APIError, AsyncClient, RateLimit, RateLimits, RetryPolicy
from unlimcall_async.sandbox import Close, Sandbox, Status

# --- what it says -----------------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_each_request_is_a_line_at_debug_and_each_wait_and_retry_one_at_info(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "unlimcall_async")
    sandbox.inject(Status(500, headers={"X-Request-Id": "r-1"}))
    sandbox.inject(Close())
    retry, limits = RetryPolicy(delays=(1, 2), jitter=0), RateLimits(me=RateLimit(60, burst=1))
    async with AsyncClient(sandbox.token, base_url=sandbox.url, retry=retry, rate_limits=limits) as client:
        await client.me()
        await client.me()
    lines = [
        (record.levelname, re.sub(r"(127\.0\.0\.1:|in )\d+", r"\1N", record.getMessage()))
        for record in caplog.records
        if record.name == "unlimcall_async"
    ]
    closed = "the connection to 127.0.0.1:N was closed before an answer came"
    assert lines == [
        ("DEBUG", "GET /me: 500 ServerError in N ms (attempt 1, waited 0.0 s)"),
        ("INFO", "GET /me will be tried again in N.0 s, after 500"),
        ("DEBUG", "GET /me: TransportError in N ms (attempt 2, waited 0.0 s)"),
        (
            "INFO",
            f"GET /me will be tried again in N.0 s, after attempt 2 of 3: {closed}",
        ),
        ("DEBUG", "GET /me: 200 in N ms (attempt 3, waited 0.0 s)"),
        ("INFO", "GET /me waits 1.0 s or more for its rate limit"),
        ("DEBUG", "GET /me: 200 in N ms (attempt 1, waited 1.0 s)"),
    ]


async def test_no_line_shows_a_number_an_id_or_a_body(
    sandbox: Sandbox, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "unlimcall_async")
    number, hook = "+14155551234", "8c6e3b7a-2d4f-4f9c-9e1a-7b0c5a8f2d31"
    sandbox.inject(Status(404, body=f"{number} {sandbox.token}", headers={"X-Request-Id": number}), times=2)
    with pytest.raises(APIError):
        await client.request("GET", f"/numbers/{number}", params={"to": number})
    with pytest.raises(APIError):
        await client.hooks.delete(hook)
    await client.calls.create(ai_agent_id="27", to_number=number)
    assert [words.split(" in ")[0] for words in caplog.messages] == [
        "GET (other): 404 NotFoundError",
        "DELETE /hooks/{id}: 404 NotFoundError",
        "POST /calls: 200",
    ]
    assert not [text for text in (number[1:], hook, sandbox.token) if text in caplog.text]


# --- $UNLIMCALL_LOG -----------------------------------------------------------------------------------------------------

# For each case on standard input, a process of its own makes a call. The fork saves the case the imports.
CALLS = """
import asyncio, json, logging, os, sys, traceback
from unlimcall_async import AsyncClient
from unlimcall_async.sandbox import Sandbox

async def main():
    async with Sandbox() as sandbox, AsyncClient(sandbox.token, base_url=sandbox.url) as client:
        await client.me()

def call(value, before, after):
    if value is not None:
        os.environ["UNLIMCALL_LOG"] = value
    exec(before)
    asyncio.run(main())
    exec(after)

def shown(case):
    ours, theirs = os.pipe()
    if child := os.fork():
        os.close(theirs)
        with open(ours) as errors:
            text = errors.read()
        assert os.waitpid(child, 0)[1] == 0, text
        return text
    os.dup2(theirs, 2)
    status = 1
    try:
        call(*case)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)

print(json.dumps([shown(case) for case in json.load(sys.stdin)]))
"""
LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} DEBUG unlimcall_async: GET /me: 200 in \d+ ms \(attempt 1, waited \d\.\d s\)\n"
AGAIN = "asyncio.run(main())"
# The variable, what the program does before and after its call, and what comes on standard error.
PROGRAMS = [
    (None, "", "", ""),
    ("", "", "", ""),
    ("debug", "", "", LINE),
    (" DEBUG ", "", "", LINE),
    ("info", "", "", ""),
    # A second client adds no second handler.
    ("debug", "", AGAIN, LINE * 2),
    # A program that sets logging up gets each line once, in its own form, also if it does so later.
    ("debug", "logging.basicConfig(format='own %(message).7s')", "", "own GET /me\n"),
    ("debug", "", f"logging.basicConfig(format='own %(message).7s'); {AGAIN}", f"{LINE}own GET /me\n"),
    ("debug", "logging.getLogger('unlimcall_async').addHandler(logging.NullHandler())", "", LINE),
    # Handlers for errors alone take no line.
    ("debug", "logging.basicConfig(); logging.root.handlers[0].setLevel('ERROR')", "", LINE),
    # The program's level stands, if it is set after the variable was heeded.
    ("debug", "", f"logging.getLogger('unlimcall_async').setLevel('INFO'); {AGAIN}", LINE),
    ("debug", "sys.stderr = None", "", ""),
    ("verbose", "", AGAIN, "UNLIMCALL_LOG must be debug or info, and is ignored\n"),
    ("1", "", "", "UNLIMCALL_LOG must be debug or info, and is ignored\n"),
]


@pytest.mark.slow
def test_the_environment_turns_it_on() -> None:
    done = subprocess.run(  # noqa: S603 # our own program
        [sys.executable, "-c", CALLS],
        input=json.dumps([program[:3] for program in PROGRAMS]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    for program, shown in zip(PROGRAMS, json.loads(done.stdout), strict=True):
        assert re.fullmatch(program[3], shown), program


def test_to_import_the_package_has_no_effect() -> None:
    code = "import logging, unlimcall_async; l = logging.getLogger('unlimcall_async'); print(l.level, l.handlers)"
    done = subprocess.run(  # noqa: S603 # our own program
        [sys.executable, "-c", code],
        env={**os.environ, "UNLIMCALL_LOG": "debug"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout + done.stderr == "0 []\n"


@pytest.mark.slow
def test_a_receiver_of_webhooks_heeds_it_too() -> None:
    receiver = "from unlimcall_async.webhooks import WebhookReceiver; WebhookReceiver('whsec_a'); "
    code = f"import logging; {receiver}print(logging.getLogger('unlimcall_async').level)"
    done = subprocess.run(  # noqa: S603 # our own program
        [sys.executable, "-c", code],
        env={**os.environ, "UNLIMCALL_LOG": "info"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "20\n"
