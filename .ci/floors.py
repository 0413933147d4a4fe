"""Print the dependencies of the package and of the extras that its tests need, each at its lower bound, as constraints for pip."""

import re
import tomllib
from itertools import chain
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
names = ("arrow", "cli", "duckdb", "numbers", "otel", "postgres", "redis", "report", "xlsx", "dev")
tested = [extras[name] for name in names]
for requirement in chain(project["dependencies"], *tested):
    if requirement.startswith(project["name"]):
        continue
    name, floor = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+)", requirement).groups()
    print(f"{name}=={floor}")
