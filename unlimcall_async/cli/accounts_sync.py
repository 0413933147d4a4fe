"""`unlimcall cdrs sync --accounts`: one table for all accounts."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs

from unlimcall_async import AsyncClient
from unlimcall_async.cli.access import AccessToAll
from unlimcall_async.cli.accounts_table import Board
from unlimcall_async.cli.all_accounts import run_for_all
from unlimcall_async.cli.cdrs_sync import SYNC_NAMES, facts_of, own_errors
from unlimcall_async.cli.options import in_option_names
from unlimcall_async.cli.output import note, to_stderr, write_json
from unlimcall_async.cli.running import FOUND
from unlimcall_async.cli.wording import many, plain
from unlimcall_async.sync import SyncProgress, SyncResult, sync_cdrs

# The account is not an option here, but a name in the file.
_NAMES = {name: option for name, option in SYNC_NAMES.items() if name != "account"}


@attrs.frozen
class AccountsSync:
    """A sync of all accounts as its user wrote it."""

    destination: str
    start: datetime | None
    end: datetime | None
    settle: timedelta
    lookback: timedelta
    table: str
    as_json: bool

    def run(self, access: AccessToAll, at_once: int) -> int:
        """Sync, and return the exit status."""
        accounts = access()
        outcome = run_for_all(accounts, at_once, self._synced, as_json=self.as_json, usage_ends=True)
        results: list[SyncResult] = list(outcome.results.values())
        inserted, revised, removed = (
            sum(getattr(result, name) for result in results) for name in ("inserted", "revised", "removed")
        )
        requests = sum(result.requests for result in results)
        unreadable = sum(len(result.unreadable) for result in results)
        lost = f" {many(unreadable, 'row', 'rows')} could not be read." if unreadable else ""
        write_line = to_stderr if outcome.failed or lost else note
        write_line(
            f"{many(len(results), 'account', 'accounts')}: {inserted:,} inserted, {revised:,} revised, {removed:,} removed, "
            f"{many(requests, 'request', 'requests')}.{lost}{outcome.summary}"
        )
        return outcome.status or (FOUND if unreadable else 0)

    async def _synced(self, name: str, client: AsyncClient, board: Board) -> SyncResult:
        last: SyncProgress | None = None

        def show(progress: SyncProgress) -> None:
            nonlocal last
            last = progress
            board.under_way[name] = lambda: progress

        with in_option_names(_NAMES), own_errors():
            result = await sync_cdrs(
                client,
                self.destination,
                self.start,
                end=self.end,
                settle=self.settle,
                lookback=self.lookback,
                account=name,
                table=self.table,
                on_progress=show,
            )
        board.records += 0 if last is None else last.records
        if result.unreadable:
            to_stderr(f"{plain(name)}: {many(len(result.unreadable), 'row', 'rows')} could not be read.")
        if self.as_json:
            write_json({"account": name, **facts_of(result)})
        return result
