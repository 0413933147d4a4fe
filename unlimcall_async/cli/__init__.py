"""The command `unlimcall`, for people. It comes with the extra `cli`, and uses nothing but the public package."""

import sys


def main() -> None:
    """Run the command; without click, or without rich where it is needed, say how to get it."""
    try:
        from unlimcall_async.cli.commands import unlimcall  # noqa: PLC0415 # the extra may be missing

        unlimcall()
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit("The command needs the extra `cli`: python -m pip install 'unlimcall-async[cli]'")
