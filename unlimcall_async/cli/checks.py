"""`unlimcall health`, `doctor` and `demo`: they look, and judge. Where the judgement is bad, the exit status is 1."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path

import click

from unlimcall_async.cli.options import range_options
from unlimcall_async.cli.running import FOUND, Clients, as_json, with_client


@click.command()
@range_options(start="24h", end="now")
@as_json
@with_client
def health(client: Clients, start: str, end: str, zone: tzinfo, as_json: bool) -> None:
    """Show the calls that the carrier failed.

    It counts them country by country. A share above 1 %, of 200 attempts or more, is marked, and makes the exit status 1: the
    carrier's routing wants looking into. Busy and no answer are no failures. With --json each country is an object in a line;
    that without a country is all of them.
    """
    from unlimcall_async.cli.health import examined  # noqa: PLC0415 # `--help` need not import rich

    raise SystemExit(0 if examined(client, start, end, zone, as_json=as_json) else FOUND)


@click.command()
@as_json
@with_client
def doctor(client: Clients, as_json: bool) -> None:
    """Look at the token, the clock and the server.

    It makes at most 12 requests, which change nothing. It tells which scopes the token has, as far as a harmless request can
    tell, and how the server does what the reference leaves open: the order of call records, whether bounds are included, how
    finely times are compared, what count counts, and where answers are cut off. What the account has too few calls to show is
    unknown. The exit status is that of the first problem; a scope that is missing is none.
    """
    from unlimcall_async.cli.doctor import examined  # noqa: PLC0415 # as above

    raise SystemExit(examined(client, as_json=as_json))


def _check_suffix(_context: click.Context, _option: click.Parameter, out: Path) -> Path:
    if out.suffix not in {".ndjson", ".csv"}:
        raise click.BadParameter("the name must end in .ndjson or .csv")
    return out


@click.command()
@click.option(
    "--calls", type=click.IntRange(min=1), default=200_000, show_default=True, help="How many calls to make up."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other calls.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    default="unlimcall-demo.ndjson",
    show_default=True,
    callback=_check_suffix,
    help="The file to write: .ndjson or .csv.",
)
@click.option("--newest-first", is_flag=True, help="Pull the newest calls first.")
@as_json
def demo(calls: int, seed: int, out: Path, newest_first: bool, as_json: bool) -> None:
    """Pull made-up calls, and check every one.

    It pulls a year of them from the sandbox, through faults and a rate limit, into a file. It needs no account. The exit status
    is 1 where a record is missing, double or out of order.
    """
    from unlimcall_async.cli.demo import run  # noqa: PLC0415 # `--help` need not import a server

    raise SystemExit(0 if run(calls, seed, out, newest_first=newest_first, as_json=as_json) else FOUND)
