"""Print the dependencies of the package and of the extras that its tests need, each at its lower bound, as constraints for pip."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in project["dependencies"] + extras["cli"] + extras["numbers"] + extras["xlsx"] + extras["dev"]:
    if requirement.startswith(project["name"]):
        continue
    name, floor = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement).groups()
    print(f"{name}=={floor}")
