"""`Accounts`: the tokens, the connections and the rate limits of many accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from os import PathLike
from types import TracebackType
from typing import Final, NoReturn, Self, TypeVar, Unpack
from weakref import WeakSet, WeakValueDictionary

from unlimcall_async import _arguments
from unlimcall_async.accounts.each import for_each
from unlimcall_async.accounts.listed import Listed, listed, listed_in
from unlimcall_async.accounts.options import ClientOptions, Options, valid
from unlimcall_async.accounts.pull import AccountsPull
from unlimcall_async.cdrs.checkpoint import Checkpoint
from unlimcall_async.cdrs.resource import Strategy
from unlimcall_async.cdrs.stream import CdrStream
from unlimcall_async.cdrs.unreadable import Unreadable
from unlimcall_async.client import AsyncClient
from unlimcall_async.errors import CheckpointError, ClientClosedError
from unlimcall_async.http.limiters import Limiters
from unlimcall_async.sync.engine import check_sync, sync_cdrs
from unlimcall_async.sync.run import SyncProgress, SyncResult
from unlimcall_async.sync.url import destination_at

R = TypeVar("R")

# The limiters that are kept before the first look at which of them can be forgotten: some 4 KB each.
_KEPT_UNSEEN: Final = 64


class Accounts:
    """Many accounts of the UnlimCall API, over one pool of connections.

    Each account has rate limits of its own. The clients of accounts, and their limits, are made when they are needed. They are
    forgotten when they hold nothing back any more. So memory grows with the accounts that are under way, and hardly with all of
    them.

    Close it with `async with` or `aclose()`. Like a client, it stays in the event loop of its first call.

    Args:
        accounts: The token of each account, by a name of your own.
        options: The options of `AsyncClient`, for all accounts. `max_connections` is how many requests of all accounts together may
            be under way at once. `rate_limits` are those of each account.

    Raises:
        ValueError, TypeError: An argument is wrong. The message names the account, if its token is at fault, and never the token.
    """

    def __init__(self, accounts: Mapping[str, str], **options: Unpack[ClientOptions]) -> None:
        # First of all, as in `AsyncClient`: no frame that shows up in a traceback may hold a bare token, or a password.
        found, masked = listed(accounts), Options(options)
        del accounts, options
        self._set_up(found, masked)

    @classmethod
    def from_file(cls, path: str | PathLike[str], **options: Unpack[ClientOptions]) -> Self:
        """Return the accounts of a TOML file, which has a table `[accounts.NAME]` for each.

        A table has one of three keys: `token_env`, the name of an environment variable; `token_file`, the path of a file that holds
        the token and nothing else, relative to the folder of the TOML file; or `token`. It may have a `base_url` of its own.

        A file that other users can read is read, too: the secrets that Kubernetes and Docker mount are such files. If other users
        could have written the file, or a file with a token, the logger warns.

        Args:
            path: The file.
            options: The options of `AsyncClient`, for all accounts.

        Raises:
            ValueError, TypeError: The file cannot be read, a table is wrong, or an option is. The message names the file, the
                account and the key, and never a token.
        """
        masked = Options(options)
        del options
        accounts = object.__new__(cls)
        accounts._set_up(listed_in(path), masked)
        return accounts

    def _set_up(self, found: dict[str, Listed] | Exception, options: Options) -> None:
        if isinstance(found, Exception):
            raise found
        self._accounts = found
        self._options = options
        problems = (options.url_problem(account) for account in found.values() if account.base_url is not None)
        for problem in filter(None, problems):
            raise problem
        # One client for each URL checks the options. The first one is the owner of the connections.
        first = next(iter(found.values()))
        owner = valid(options.client(Listed(first.token)))
        for url in {account.base_url for account in found.values()} - {None}:
            valid(options.client(Listed(first.token, url)))
        self._owner: AsyncClient = owner
        # The limits of accounts that somebody uses, and those that still hold something back.
        self._limiters: WeakValueDictionary[str, Limiters] = WeakValueDictionary()
        self._kept: dict[str, Limiters] = {}
        self._look_at = _KEPT_UNSEEN
        self._pulls: WeakSet[AccountsPull] = WeakSet()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the accounts, in their order."""
        return tuple(self._accounts)

    def __len__(self) -> int:
        return len(self._accounts)

    # --- clients --------------------------------------------------------------------------------------------------------

    def client(self, name: str) -> AsyncClient:
        """Return a client of an account: a view on the shared connections, with the limits of the account.

        All clients of an account keep to its limits together. Closing a client ends its own calls alone.

        Raises:
            ValueError, TypeError: There is no account of this name.
            ClientClosedError: The accounts are closed.
        """
        account = self._accounts.get(_arguments.text("name", name))
        if account is None:
            raise ValueError(f"there is no account {name!r}; `names` has the names of all accounts")
        self._check_open()
        client = valid(self._options.client(account, self._owner.base_url))
        client._join(self._owner, self._limiters_of(name, client))  # noqa: SLF001 # of the same package
        return client

    def _limiters_of(self, name: str, client: AsyncClient) -> Limiters:
        """Return the limiters of an account: those that were used before, or those that the new client has."""
        limiters = self._limiters.get(name)
        if limiters is None:
            limiters = self._limiters[name] = client._caller.limiters  # noqa: SLF001 # of the same package
        self._kept[name] = limiters
        if len(self._kept) > self._look_at:
            self._forget()
        return limiters

    def _forget(self) -> None:
        """Forget the limiters that a new one could stand in for."""
        for name in list(self._kept):
            if not self._kept[name].are_idle():
                continue
            del self._kept[name]
            # A client that somebody holds may ask again, and be dropped at once.
            held = self._limiters.get(name)
            if held is not None:
                self._kept[name] = held
        # So that all looks together cost no more than a few for each client that is made.
        self._look_at = max(_KEPT_UNSEEN, 2 * len(self._kept))

    @property
    def _is_closed(self) -> bool:
        return self._owner._caller.is_closed  # noqa: SLF001 # of the same package

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClientClosedError(
                "these Accounts are closed",
                permanent=True,
                cause="closed",
                hint="make new ones, or use them before aclose() and inside their `async with`",
            )

    # --- work -----------------------------------------------------------------------------------------------------------

    def pull(
        self,
        start: datetime,
        end: datetime | None = None,
        *,
        at_once: int = 16,
        newest_first: bool = False,
        concurrency: int = 2,
        page_size: int = 1000,
        settle: timedelta = timedelta(0),
        strategy: Strategy = "auto",
        unreadable: Unreadable = "raise",
        resume: Mapping[str, Checkpoint] | None = None,
    ) -> AccountsPull:
        """Return the call records of all accounts in `[start, end)`: an async iterator of pairs, an account and a batch.

        What `cdrs.stream` promises holds for each account. A slow reader holds all of them back. Nothing is sent before the first
        step.

        Args:
            start: The start, timezone-aware.
            end: The end, which is not part of the range. `None` stands for now less `settle`, read once for all accounts. With
                `resume` it stands for the end of each checkpoint, and for an account without one for the latest of these ends.
            at_once: How many accounts are under way at once. An account that waits for its rate limit for more than a few seconds
                gives its place to another one, until the wait is over.
            newest_first: As for `cdrs.stream`, like the next five.
            concurrency: How many requests of one account may be under way at once. Two keep a limit of 60 requests a minute busy,
                if the server responds within two seconds. A slow reader makes each stream hold up to `23 x concurrency` pages.
            page_size: Rows to ask for at once.
            settle: How far to stay behind now, if `end` is `None`.
            strategy: `"auto"` or `"divide"`.
            unreadable: With `"keep"`, rows that cannot be read go to `AccountsPull.unreadable`.
            resume: The `checkpoints` of an earlier pull. An account without one begins anew, and one that is not here is left out.

        Raises:
            ValueError, TypeError: An argument is wrong.
            CheckpointError: A checkpoint is of another range or direction. The message names the account.
            ClientClosedError: The accounts are closed.
            AccountErrorGroup: Raised by the iterator behind the last batch, if accounts have failed.
        """
        at_once = _arguments.whole("at_once", at_once)
        if resume is not None and not isinstance(resume, Mapping):
            raise TypeError(f"resume must be a mapping of names to checkpoints, not {type(resume).__name__}")
        held = {name: resume[name] for name in self._accounts if resume is not None and name in resume}

        def stream_of(client: AsyncClient, checkpoint: Checkpoint | None, end: datetime | None) -> CdrStream:
            stream = client.cdrs.stream(
                start,
                end,
                newest_first=newest_first,
                concurrency=concurrency,
                page_size=page_size,
                settle=settle,
                strategy=strategy,
                unreadable=unreadable,
                resume=checkpoint,
            )
            # Each stream would keep up to 50,000 records, for a manifest that nobody can ask it for.
            stream._output.forgo_manifest()  # noqa: SLF001 # of the same package
            return stream

        # Checked before anything is sent.
        self._check_open()
        last = stream_of(self._owner, None, end).end
        last = max(self._ends(held, lambda checkpoint: stream_of(self._owner, checkpoint, end)), default=last)
        self._forget()
        pull = AccountsPull(
            self._accounts,
            at_once,
            lambda name, checkpoint: stream_of(self.client(name), checkpoint, last if checkpoint is None else end),
            held,
        )
        self._pulls.add(pull)
        return pull

    @staticmethod
    def _ends(held: Mapping[str, Checkpoint], stream_of: Callable[[Checkpoint], CdrStream]) -> list[datetime]:
        """Return the end of each checkpoint that a pull goes on from, once the checkpoint is checked."""
        ends = []
        for name, checkpoint in held.items():
            try:
                ends.append(stream_of(checkpoint).end)
            except (CheckpointError, TypeError) as error:
                raise type(error)(f"resume[{name!r}]: {error}") from None
        return ends

    async def each(self, work: Callable[[str, AsyncClient], Awaitable[R]], *, at_once: int = 16) -> dict[str, R]:
        """Call an async function with the name and the client of each account, and return what the calls return.

            balances = await accounts.each(lambda name, client: client.balance())

        Args:
            work: The function. Its client is closed when the work is done.
            at_once: How many accounts are under way at once. While an account waits for its rate limit for more than a few seconds,
                another one takes its place; so twice as many may be under way.

        Raises:
            ValueError, TypeError: An argument is wrong.
            AccountErrorGroup: The work of some accounts raised an exception. The others are done: their results are in the error.
            ClientClosedError: The accounts are closed, or were meanwhile.
        """
        if not callable(work):
            raise TypeError(f"work must be an async function of a name and a client, not {type(work).__name__}")
        at_once = _arguments.whole("at_once", at_once)
        self._check_open()
        self._forget()

        async def worked(name: str) -> R:
            async with self.client(name) as client:
                return await work(name, client)

        return await for_each(self.names, at_once, worked, self._held_s, lambda: self._is_closed)

    def _held_s(self, name: str) -> float:
        """Return the seconds for which an account waits for its rate limit."""
        limiters = self._limiters.get(name)
        return 0.0 if limiters is None else limiters.held_s()

    async def sync(
        self,
        destination: str,
        start: datetime | None,
        *,
        end: datetime | None = None,
        settle: timedelta = timedelta(0),
        lookback: timedelta = timedelta(days=2),
        table: str = "cdrs",
        at_once: int = 16,
        on_progress: Callable[[str, SyncProgress], object] | None = None,
    ) -> dict[str, SyncResult]:
        """Bring a table up to date for all accounts: `sync_cdrs` for each. In the table, an account has the name given here.

        Args:
            destination: The URL of the destination. Each account under way has a connection of its own there.
            start: As for `sync_cdrs`; so are the next four.
            end: The end of the time that the table shall hold; `None` for now less `settle`, for each account at its turn.
            settle: How far to stay behind now.
            lookback: How far before the watermark to ask again.
            table: The name of the table, for a URL of a database.
            at_once: As for `each`.
            on_progress: Called with the name of an account and a `SyncProgress`, as that of `sync_cdrs` is called.

        Raises:
            ValueError, TypeError: An argument is wrong. Nothing was asked.
            ImportError: The extra of the destination is not installed.
            AccountErrorGroup: Some accounts failed. The results of the others are in the error.
            ClientClosedError: The accounts are closed, or were meanwhile.
        """
        self._check_open()
        check_sync(self._owner, start, end, settle, lookback)
        destination_at(destination, table)

        async def synced(name: str, client: AsyncClient) -> SyncResult:
            return await sync_cdrs(
                client,
                destination,
                start,
                end=end,
                settle=settle,
                lookback=lookback,
                account=name,
                table=table,
                on_progress=None if on_progress is None else partial(on_progress, name),
            )

        return await self.each(synced, at_once=at_once)

    # --- the end --------------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """End what is under way, and close the connections. A second `aclose` does nothing.

        A pull that is iterated over raises `ClientClosedError`, now or at its next step.
        """
        error = ClientClosedError("these Accounts were closed meanwhile", cause="closed", permanent=True)
        endings = [ending for pull in self._pulls if (ending := pull.close_for(error)) is not None]
        try:
            for ending in endings:
                await ending
        finally:
            await self._owner.aclose()
            for limiters in {*self._kept.values(), *self._limiters.values()}:
                await limiters.aclose()

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "Accounts cannot be pickled or copied: they hold tokens and connections; make them in each process"
        )

    def __repr__(self) -> str:
        if not hasattr(self, "_owner"):
            return f"<{type(self).__name__} unfinished>"
        state = "closed" if self._is_closed else "open"
        return f"<{type(self).__name__} of {len(self):,} accounts, {state}>"
