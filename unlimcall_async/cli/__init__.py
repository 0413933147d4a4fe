"""The command `unlimcall`. It needs the extra `cli`, and uses nothing but the public package.

Each command, or group of commands, is declared and carried out in one file of its name. `commands` puts them together. Beside a
command stand the parts of its work that do no I/O or can be tested alone:

    cdrs_pull      pull_range (which range is meant), pull_formats, pull_to_stdout, pull_to_file (what is begun, continued or
                   refused), pull_job (the work for one file), pull_place (a file or a folder), pull_file and part_file (the file
                   that survives a kill), journal (what its checkpoint file holds), excel_csv and formulas (CSV for Excel),
                   made_file (of a complete part: workbook, parquet), repeating (what to type next)
    cdrs_follow    follow_output (what is written, and how far), outage (how long to wait after an error)
    cdrs_sync      (the work is that of `unlimcall_async.sync`)
    pull, follow   pieces (the losses that a user accepts), rejects (rows that cannot be read, as lines)
    doctor         diagnosis (what to ask the server, and what its responses show), checks (all findings, as rows)
    bill           bill_check (the work), bill_report (what it shows)
    demo           comparison (of the records with the sandbox's store), demo_report

    accounts       all_accounts (the work for all, and who failed), accounts_table (the table of progress), account_files (the
                   names of their files), accounts_pull and accounts_sync (`--accounts` of those commands)

    login          stored_tokens (in a file, or in the system's keyring)

All commands share `options` and `times` (what a user writes), `access` (which token, server and settings), `settings` (the file
`config.toml`), `credentials` (how tokens and secrets are read), `running` (the client, signals, exit statuses), `output` (both
standard streams), `formats` (records as text), `wording` (other values as text), `tables`, `progress`, `files` (how every file is
written) and `sealed` (what a command stores in order to continue).

`--help` and completion must be quick. So what loads aiohttp, rich, the sandbox, the webhooks or the operations is imported
inside the function that needs it. So is the work that only one command does.
"""

import sys

from unlimcall_async._extras import needs_extra


def main() -> None:
    """Run the command. If click or rich is missing, end with a line that says how to install the extra."""
    if sys.argv[1:] == ["--version"]:
        from unlimcall_async import __version__  # noqa: PLC0415 # the only part of the package that this needs

        print(f"unlimcall, version {__version__}")  # noqa: T201 # as click would
        return
    try:
        from unlimcall_async.cli.commands import unlimcall  # noqa: PLC0415 # the extra may be missing

        unlimcall()
    except KeyboardInterrupt:
        # Ctrl-C during the imports. The command itself handles any later one.
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit(needs_extra("the command", "cli"))
