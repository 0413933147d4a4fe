"""The command as a whole: its extra, its speed and its completion."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .forked import SOURCE
from .support import in_this_process, run, run_process


async def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError('no click', name='click')")
    code, _, err = await run_process(None, "me", PYTHONPATH=str(tmp_path))
    assert (code, "needs the extra `cli`: pip install 'unlimcall-async[cli]'" in err) == (1, True)


HEAVY = {"aiohttp", "rich", *(f"unlimcall_async.{name}" for name in ("sandbox", "webhooks", "operations"))}


@pytest.mark.slow
async def test_help_is_quick() -> None:
    commands = ["", "cdrs pull", "cdrs follow", "webhooks listen", "health", "doctor", "sandbox", "demo"]
    code = (
        "import sys; from unlimcall_async.cli.commands import unlimcall\n"
        f"for command in {commands}: unlimcall([*command.split(), '--help'], standalone_mode=False)\n"
        f"sys.exit(bool({HEAVY} & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": SOURCE}
    )
    out, _ = await process.communicate()
    assert (process.returncode, out.count(b"Usage:")) == (0, len(commands))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion_is_printed(shell: str) -> None:
    status, out, _ = await run(None, "completion", shell)
    assert (status, "_UNLIMCALL_COMPLETE" in out) == (0, True)


@pytest.mark.slow
async def test_completion_knows_commands_and_options() -> None:
    words = {"_UNLIMCALL_COMPLETE": "bash_complete", "COMP_WORDS": "unlimcall cdrs pull --f", "COMP_CWORD": "3"}
    code = "from unlimcall_async.cli.commands import unlimcall; unlimcall(prog_name='unlimcall')"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": SOURCE, **words},
    )
    out, _ = await process.communicate()
    assert out.decode().split() == ["plain,--from", "plain,--format", "plain,--for", "plain,--force"]


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        (["--json", "me"], "--json goes behind the command: unlimcall me ... --json"),
        (["cdrs", "--out", "pull", "x.csv"], "--out goes behind the command: unlimcall cdrs pull ... --out"),
        (["--jsn", "me"], "No such option"),
    ],
)
def test_an_option_before_its_command_is_told_where_to_stand(typed: list[str], right: str) -> None:
    status, _, err = in_this_process(*typed)
    assert (status, right in err.replace("unlimcall-async", "unlimcall")) == (2, True), err


def test_the_version_is_there_without_what_commands_import() -> None:
    program = (
        "import sys; sys.argv[1:] = ['--version']; from unlimcall_async.cli import main; main()\n"
        "assert 'click' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 # ours
    assert done.stdout == in_this_process("--version")[1].replace("unlimcall-async", "unlimcall")


def test_ctrl_c_during_the_imports_is_no_traceback() -> None:
    program = (
        "import sys; from importlib.abc import MetaPathFinder\n"
        "class Pressed(MetaPathFinder):\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Pressed()); sys.argv[1:] = ['me']\n"
        "from unlimcall_async.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603 # ours
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
