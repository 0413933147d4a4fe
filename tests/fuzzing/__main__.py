"""Fuzz the readers of untrusted bytes, each in a process of its own, from the stored inputs.

    python -m tests.fuzzing                          a minute for each of the targets, two at a time
    python -m tests.fuzzing --seconds 3600           an hour in all
    python -m tests.fuzzing page event --keep        two targets, and store the inputs that reach more code
    python -m tests.fuzzing page --repeat FILE       the input of a finding, once more, within the same limits

Needs atheris. The exit status is 1 if there is a finding: an error that the reader does not document, a wrong result, or an input
that takes more of the processor than any input of its length may.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import frozen

from tests.fuzzing.corpus import inputs_of, keep
from tests.fuzzing.targets import TARGETS


@frozen
class Result:
    """What came of one target.

    Attributes:
        target: The name of the target.
        runs: The number of inputs that were tried.
        edges: The number of edges of the code that were reached.
        inputs: The inputs that reach all of them, if these are to be stored.
        finding: The input of the first finding, or `None`.
        said: The end of what the process wrote.
    """

    target: str
    runs: int
    edges: int
    inputs: list[bytes]
    finding: bytes | None
    said: str


def fuzzed(target: str, seconds: int, seed: int, *, keep: bool) -> Result:
    """Fuzz a target from its stored inputs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder / "stored", inputs_of(target))
        (folder / "found").mkdir()
        said = _child(
            target, folder, [f"-max_total_time={seconds}", f"-seed={seed}", "-print_final_stats=1", "found", "stored"]
        )
        findings = [each for pattern in ("crash-*", "timeout-*", "oom-*") for each in folder.glob(pattern)]
        (folder / "merged").mkdir()
        if keep:
            _child(target, folder, ["-merge=1", "merged", "stored", "found"])
        return Result(
            target,
            _figure(r"stat::number_of_executed_units:\s*(\d+)", said),
            _figure(r"cov: (\d+)", said),
            [each.read_bytes() for each in (folder / "merged").iterdir()],
            findings[0].read_bytes() if findings else None,
            said[-2000:],
        )


def _fill(folder: Path, inputs: list[bytes]) -> None:
    folder.mkdir()
    for number, each in enumerate(inputs):
        (folder / f"{number:06}").write_bytes(each)


def _child(target: str, folder: Path, arguments: list[str]) -> str:
    command = [sys.executable, "-m", "tests.fuzzing.child", target, f"-artifact_prefix={folder}/"]
    places = [str(folder / each) if (folder / each).is_dir() else each for each in arguments]
    done = subprocess.run([*command, *places], capture_output=True, check=False)  # noqa: S603 # it is ours
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def repeats_well(target: str, content: Path) -> bool:
    """Return whether a target takes the content of a file without a finding, in a process of its own, as in fuzzing."""
    command = [sys.executable, "-m", "tests.fuzzing.child", target, str(content)]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603 # it is ours


def _figure(pattern: str, text: str) -> int:
    return int((re.findall(pattern, text) or [0])[-1])


def main() -> int:
    """Fuzz what the arguments name, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, help="in all; without it, a minute for each target")
    parser.add_argument("--processes", type=int, default=2, help="how many targets at a time")
    parser.add_argument("--seed", type=int, default=1, help="the seed of libFuzzer")
    parser.add_argument("--keep", action="store_true", help="store the inputs that reach more code")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="give the target the content of a file")
    args = parser.parse_args()
    names = args.targets or list(TARGETS)
    if args.repeat is not None:
        return 0 if all(repeats_well(name, args.repeat) for name in names) else 1
    each = max(1, (args.seconds or 60 * len(names)) * args.processes // len(names))
    found = 0
    print(f"{'target':<12} {'inputs tried':>12} {'edges':>6}  finding")
    with ThreadPoolExecutor(args.processes) as pool:
        for result in pool.map(lambda name: fuzzed(name, each, args.seed, keep=args.keep), names):
            says = "none"
            if result.finding is not None or not result.runs:
                found += 1
                path = Path(f"finding-{result.target}")
                path.write_bytes(result.finding or b"")
                says = f"{path}\n{result.said}"
            elif args.keep:
                keep(result.target, result.inputs)
            print(
                f"{result.target:<12} {result.runs:>12,} {result.edges:>6,}  {says}",
                flush=True,
            )
    print(f"{found} findings" if found else f"no finding in {each} s for each of {len(names)} targets")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
