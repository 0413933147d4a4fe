"""What `--help` says and what the documentation says agree, so neither can drift."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from unlimcall_async.cli.commands import unlimcall

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
EXAMPLES = re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)

TOKEN = {"--profile", "--token-file", "--token-stdin", "--timeout", "--allow-plain-http"}
# These ask no API that takes the account's token.
WITHOUT_TOKEN = {"unlimcall webhooks listen", "unlimcall demo", "unlimcall completion", "unlimcall logout"}
WITHOUT_TOKEN |= {"unlimcall cdrs prove"}
WITHOUT_TOKEN |= {"unlimcall sandbox", "unlimcall sandbox end-call"}


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    for part, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {part}")
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{name} {part}", command


COMMANDS = dict(commands(unlimcall, "unlimcall"))


def options_of(command: click.Command) -> set[str]:
    return {name for option in command.params if isinstance(option, click.Option) for name in option.opts}


def own_options(name: str) -> set[str]:
    return options_of(COMMANDS[name]) - (set() if name in WITHOUT_TOKEN else TOKEN) - {"--json"}


def in_table(text: str) -> set[str]:
    return set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE))


def test_every_command_is_there_and_no_other() -> None:
    assert set(SECTIONS) - {"In common"} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_there_and_no_other(name: str) -> None:
    assert in_table(SECTIONS[name]) == own_options(name)


@pytest.mark.parametrize(
    "group", ["", *(name for name, each in unlimcall.commands.items() if isinstance(each, click.Group))]
)
def test_no_line_of_a_list_of_commands_is_cut_off(group: str) -> None:
    told = CliRunner().invoke(unlimcall, [*group.split(), "--help"], terminal_width=80).output
    listed = told.partition("\nCommands:\n")[2].splitlines()
    assert listed
    assert [line for line in listed if line.endswith("...")] == []


def test_what_is_common_is_common() -> None:
    assert in_table(SECTIONS["In common"]) == {*TOKEN, "--json", "--help"}
    for name, command in COMMANDS.items():
        assert ("--json" in options_of(command)) == (name != "unlimcall completion"), name
        assert (options_of(command) >= TOKEN) == (name not in WITHOUT_TOKEN), name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_and_explains_every_option(name: str) -> None:
    result = CliRunner().invoke(unlimcall, [*name.split()[1:], "--help"])
    assert result.exit_code == 0
    assert all(option in result.output for option in options_of(COMMANDS[name]))
    assert all(option.help for option in COMMANDS[name].params if isinstance(option, click.Option))
    assert f"Usage: {name} " in result.output.replace("Usage: unlimcall-async", "Usage: unlimcall")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_right(example: str) -> None:
    program, *arguments = shlex.split(example)
    assert program == "unlimcall"
    command: click.Command = unlimcall
    while isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
        command = command.commands[arguments.pop(0)]
    assert command.make_context("it", arguments).params


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) > 10


def test_the_exit_statuses_are_those_of_the_help() -> None:
    documented = re.findall(r"^\| (\d+) \|", SECTIONS["In common"], re.MULTILINE)
    named = re.findall(r"\b\d+\b", CliRunner().invoke(unlimcall, ["--help"]).output)
    assert sorted(documented) == sorted(named)


def test_defaults_are_those_of_the_help() -> None:
    defaults = {
        (name, option): value
        for name, section in SECTIONS.items()
        for option, value in re.findall(r"^\| `(--[a-z-]+)[^|]*\| [^|]*without it, `([^`]+)`", section, re.MULTILINE)
    }
    assert defaults == {("unlimcall health", "--from"): "24h"}
    for (name, option), value in defaults.items():
        (found,) = [param for param in COMMANDS[name].params if option in param.opts]
        assert found.default == value
