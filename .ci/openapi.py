"""Compare the sandbox with the API's description: `python .ci/openapi.py SCHEMATHESIS`, with the path of that command.

The command may stand in an environment of its own. Further arguments go to the command, for example `--seed 7`.
"""

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from unlimcall_async.sandbox import Sandbox, generate_traffic

HERE = Path(__file__).parent
command, *more = sys.argv[1:]


def failed(sandbox: Sandbox, *phases: str) -> bool:
    """Return whether sandbox and description disagree."""
    now = datetime.now(UTC)
    with sandbox:
        sandbox.add_calls(generate_traffic(500, start=now - timedelta(days=60), end=now))
        arguments = [
            command,
            "--config-file",
            HERE / "openapi.toml",
            "run",
            sandbox.url.replace("/api/v1", "/openapi.json"),
        ]
        # By default, schemathesis ends a phase at its first failure. With 30 examples for each operation, the runs take 20 s.
        arguments += ["--continue-on-failure", "--mode", "all", "--max-examples", "30", "--seed", "1"]
        # Its warnings name what is meant: the second account has nothing, and many pairs of times are not a valid window.
        arguments += ["--warnings", "off"]
        arguments += ["--phases", ",".join(phases), "--header", f"Authorization: Bearer {sandbox.token}", *more]
        hooks = {"SCHEMATHESIS_HOOKS": "openapi_checks", "PYTHONPATH": str(HERE)}
        ended = subprocess.run(arguments, env={**os.environ, **hooks}, check=False)  # noqa: S603 # the caller's own command
    return ended.returncode != 0


# schemathesis begins with a header that is not HTTP, which aiohttp's server refuses and logs with a traceback.
logging.getLogger("aiohttp.server").disabled = True
failures = [
    failed(Sandbox(), "examples", "coverage", "fuzzing", "stateful"),
    # Most valid requests succeed at the first sandbox. At this one, they meet 404 and 409.
    failed(Sandbox(provisioned=False, agents=()), "examples", "coverage"),
]
sys.exit(any(failures))
