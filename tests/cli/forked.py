"""Processes that run the command, forked from one process that has imported the package.

Such a process has streams, an environment, a folder and an exit status of its own, as any other. The fork saves the imports, which
take most of the time of a short command. A test of the start itself, of a signal or of a closed stream starts a new interpreter
instead, by `support.running`.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

# The directory that holds the package, for processes that run elsewhere.
SOURCE: Final = str(Path(__file__).parents[2])

# For each request: two forks. The first waits for the second, and reports its exit status.
_SERVER: Final = """
import gc, io, json, os, runpy, signal, socket, sys, time
import aiohttp.web
import unlimcall_async.cli.commands
import unlimcall_async.sandbox.sandbox
from unlimcall_async import AsyncClient

requests = socket.socket(fileno=int(sys.argv[1]))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
gc.freeze()
while True:
    request, files, _, _ = socket.recv_fds(requests, 1 << 20, 4)
    if not request:
        sys.exit()
    if os.fork() == 0:
        break
    for file in files:
        os.close(file)

requests.close()
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
report, *streams = files
if command := os.fork():
    for file in streams:
        os.close(file)
    status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    os.write(report, b"%d" % status)
    os._exit(0)

os.close(report)
for standard, file in enumerate(streams):
    os.dup2(file, standard)
    os.close(file)
arguments, folder, environment = json.loads(request)
os.environ.clear()
os.environ.update(environment)
os.chdir(folder)
time.tzset()


def text(file, before):
    binary = open(file, "rb" if file == 0 else "wb", closefd=False)
    lines = file == 2 or binary.isatty()
    return io.TextIOWrapper(binary, before.encoding, before.errors, newline=before.newlines, line_buffering=lines)


sys.stdin = text(0, sys.stdin)
sys.stdout = text(1, sys.stdout)
sys.stderr = text(2, sys.stderr)
sys.argv = ["unlimcall", *arguments]
runpy.run_module("unlimcall_async", run_name="__main__", alter_sys=True)
"""


@cache
def _requests() -> socket.socket:
    """Start the process that forks, once for all tests of this process, and return where it takes requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-W", "error", "-c", _SERVER, str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        server = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)  # noqa: S603 # ours

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def _read_all(file: int) -> bytes:
    with open(file, "rb") as stream:  # a descriptor, not a path
        return stream.read()


async def run_forked(
    arguments: Sequence[str],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str],
    stdout: int = asyncio.subprocess.PIPE,
    stderr: int = asyncio.subprocess.PIPE,
) -> tuple[int, bytes, bytes]:
    """Run the command to its end. Return its exit status, and what it wrote to each stream that is not the caller's own."""
    pipes = [os.pipe(), os.pipe(), os.pipe()]
    nothing = os.open(os.devnull, os.O_RDONLY)
    theirs = [pipes[0][1], nothing]
    theirs += [
        pipe[1] if file == asyncio.subprocess.PIPE else file
        for pipe, file in zip(pipes[1:], (stdout, stderr), strict=True)
    ]
    request = json.dumps([arguments, str(cwd or Path.cwd()), dict(environment)]).encode()
    socket.send_fds(_requests(), [request], theirs)
    for file in (nothing, *(pipe[1] for pipe in pipes)):
        os.close(file)
    status, out, err = await asyncio.gather(*(asyncio.to_thread(_read_all, pipe[0]) for pipe in pipes))
    return int(status), out, err
