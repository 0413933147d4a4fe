"""Without the packages of an extra, whatever needs them says in one wording what to install."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "unlimcall_async"

SYNC = "from unlimcall_async.sync.url import destination_at; destination_at('{}', 'cdrs')"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "package", "program"),
    [
        ("arrow", "pyarrow", "import unlimcall_async.columns"),
        ("arrow", "pyarrow", SYNC.format("parquet:///folder")),
        ("duckdb", "duckdb", SYNC.format("duckdb:///file")),
        ("postgres", "psycopg", SYNC.format("postgresql://host/database")),
        ("dlt", "dlt", "import unlimcall_async.integrations.dlt"),
        ("dlt", "pyarrow", "sys.modules['dlt'] = sys; import unlimcall_async.integrations.dlt"),
        ("spark", "pyspark", "import unlimcall_async.spark"),
        ("spark", "pyarrow", "import unlimcall_async.spark"),
        ("numbers", "phonenumbers", "from unlimcall_async.operations import CallerId; CallerId('+442079460812')"),
        ("redis", "redis", "from unlimcall_async.shared import SharedRateLimits; SharedRateLimits('redis://host')"),
        ("report", "altair", "from unlimcall_async.report import CallReport; CallReport().html()"),
        ("report", "vl_convert", "from unlimcall_async.report import load_engine; load_engine()"),
        ("arrow", "pyarrow", "from unlimcall_async.operations import CallSummary; CallSummary().to_arrow()"),
        ("otel", "opentelemetry", "import unlimcall_async.telemetry"),
        (
            "otel",
            "opentelemetry",
            "import unlimcall_async as u; assert not hasattr(u, 'telemetry'); import unlimcall_async.telemetry",
        ),
        ("xlsx", "xlsxwriter", "from unlimcall_async.cli.workbook import check_installed; check_installed()"),
        ("arrow", "pyarrow", "from unlimcall_async.cli.parquet import check_installed; check_installed()"),
    ],
)
def test_a_missing_package_is_an_error_that_names_its_extra(extra: str, package: str, program: str) -> None:
    whole = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"try:\n    {program}\n"
        f"except Exception as error: print(error, getattr(error, 'name', None))"
    )
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True)  # noqa: S603 # ours
    assert f" needs the extra `{extra}`: pip install 'unlimcall-async[{extra}]' " in done.stdout
    assert done.stdout.split()[-1] in {package, "None"}


@pytest.mark.slow
def test_a_package_that_misses_another_one_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "duckdb.py").write_text("import a_package_that_is_missing")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {SYNC.format('duckdb:///file')}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603 # ours
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'a_package_that_is_missing'\n")


def test_the_wording_stands_in_one_place() -> None:
    written = {path.name for path in PACKAGE.rglob("*.py") if "pip install" in path.read_text(encoding="utf-8")}
    assert written == {"_extras.py"}


def test_the_extra_docs_brings_what_the_public_modules_import() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    brought, left = set[str](), ["docs"]
    while left:
        brought.add(extra := left.pop())
        requirements = " ".join(project["optional-dependencies"][extra])
        left += [
            name for names in re.findall(r"unlimcall-async\[([\w,]+)\]", requirements) for name in names.split(",")
        ]
    sources = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    imported = set(re.findall(r'^with of_extra\("unlimcall_async\.[\w.]+", "(\w+)"', sources, re.MULTILINE))
    assert {"arrow", "otel"} < imported <= brought
