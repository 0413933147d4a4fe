"""A pull to standard output."""

from __future__ import annotations

import sys
from contextlib import aclosing, nullcontext

import click

from unlimcall_async.cli.output import is_quiet, note, to_stderr, write_when_ready
from unlimcall_async.cli.part_file import PartFile
from unlimcall_async.cli.pieces import Accepted, Cost, losses, pieces, with_ways_out
from unlimcall_async.cli.progress import shown_progress
from unlimcall_async.cli.pull_formats import options_of, part_format
from unlimcall_async.cli.pull_range import Wanted
from unlimcall_async.cli.rejects import lines
from unlimcall_async.cli.running import Clients, run
from unlimcall_async.cli.wording import many


def pull_to_stdout(
    client: Clients, wanted: Wanted, name: str, accepted: Accepted, *, force: bool, as_json: bool
) -> bool:
    """Pull, and return whether rows of the range are not among the records."""
    if as_json and name != "ndjson":
        raise click.UsageError(
            f"without --out, --json and --format {options_of(name)} exclude each other; leave one of them out"
        )
    settled, form = wanted.settled(), part_format(name, wanted.zone)
    cost, rejected, saturated = Cost(), 0, list[tuple[str, str]]()
    rejects = None if accepted.rejects is None else PartFile(accepted.rejects)

    async def pull() -> None:
        nonlocal rejected
        # A terminal that shows the records needs no progress between them.
        crowded = is_quiet() or (sys.stdout is not None and sys.stdout.isatty())
        async with (
            client() as open_client,
            aclosing(
                pieces(
                    open_client,
                    settled.start,
                    settled.end,
                    with_rejects=rejects is not None,
                    skip_saturated=accepted.saturated,
                    cost=cost,
                    concurrency=client.concurrency,
                )
            ) as came,
        ):
            await write_when_ready(form.head)
            with nullcontext(None) if crowded else shown_progress(beside_output=True) as show:
                async for piece in came:
                    await write_when_ready(form.encode(piece.records))
                    if rejects is not None:
                        rejects.append(lines(piece.rejects))
                    rejected += len(piece.rejects)
                    saturated.extend([piece.saturated] if piece.saturated else [])
                    if show is not None and piece.records:
                        show(piece.stream)

    try:
        if rejects is not None:
            if rejects.exists and not force:
                raise click.UsageError(f"{rejects.path} exists, or a part of it: --force replaces it")
            rejects.clear()
        with with_ways_out(with_rejects=rejects is not None):
            run(pull)
    finally:
        # The records before an error were written, and so were their rejects.
        if rejects is not None:
            if cost.requests:
                rejects.put_in_place(replace=force)
            rejects.close()
    lost = losses(rejected, accepted.rejects, saturated)
    write_line = to_stderr if lost else note
    write_line(f"{many(cost.records, 'record', 'records')}. {cost}{lost}")
    return bool(lost)
