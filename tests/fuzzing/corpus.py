"""The inputs that fuzzing starts from, and those that it found worth keeping: a file for each target, a JSON string on each line.

A byte is the character with its number, so that a reviewer can read the inputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "corpus"


def inputs_of(target: str) -> list[bytes]:
    """Return the inputs of a target."""
    lines = (FOLDER / f"{target}.txt").read_text("ascii").splitlines()
    return [json.loads(line).encode("latin-1") for line in lines]


def keep(target: str, inputs: Iterable[bytes]) -> None:
    """Store the inputs of a target in place of those that it had, the shortest first."""
    lines = [json.dumps(each.decode("latin-1")) for each in sorted(set(inputs), key=lambda each: (len(each), each))]
    (FOLDER / f"{target}.txt").write_text("".join(f"{line}\n" for line in lines), "ascii")
