"""A command that names the command which continues its work."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from typing import Any, Final

import click

_ARGUMENTS: Final = f"{__name__}.arguments"


class Repeatable(click.Command):
    """A command that keeps what its user has typed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, and keep them."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


def again(context: click.Context, name: str, *, without: Collection[str], more: Sequence[str]) -> str:
    """Return the same command, for a shell.

    Args:
        context: The context of a `Repeatable` command.
        name: The command's name.
        without: The names of the parameters that are left out.
        more: The words that are added.
    """
    typed: tuple[dict[str, Any], list[str], list[click.Parameter]] = context.command.make_parser(context).parse_args(
        list(context.meta[_ARGUMENTS])
    )
    values, _, order = typed
    words = name.split()
    for option in dict.fromkeys(order):
        if not isinstance(option, click.Option) or option.name in without:
            continue
        if option.is_flag:
            words.append(option.opts[0])
            continue
        for value in values[option.name] if option.multiple else [values[option.name]]:
            words += [option.opts[0], value]
    return shlex.join([*words, *more])
