"""What users download: the files of the package, and no secret."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]

# In two pieces, because this file is part of what it looks for.
KEY = b"PRIVATE " + b"KEY-----"
SECRET_NAMES = {
    ".pem",
    ".key",
    ".p12",
    ".pfx",
    ".crt",
    ".env",
    ".netrc",
    ".pypirc",
    ".sqlite",
    ".db",
    ".part",
    ".ndjson",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> dict[PurePosixPath, bytes]:
    (built,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("sdist")), versions=["standard"])
    with tarfile.open(built) as archive:
        files = {each.name: archive.extractfile(each) for each in archive.getmembers()}
        return {PurePosixPath(*PurePosixPath(name).parts[1:]): file.read() for name, file in files.items() if file}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[PurePosixPath, bytes]:
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        return {PurePosixPath(name): archive.read(name) for name in archive.namelist()}


def test_the_source_has_no_private_key_and_nothing_that_a_run_leaves(source: dict[PurePosixPath, bytes]) -> None:
    assert not [path for path, content in source.items() if KEY in content]
    assert not [path for path in source if path.suffix in SECRET_NAMES or path.name in SECRET_NAMES]
    assert {path.suffix for path in source} <= {
        *(".py", ".json", ".lua", ".css", ".html", ".js", ".md", ".toml", ".txt", ".typed", ".png", ".yaml", ""),
    }
    assert {path.name for path in source if not path.suffix} <= {"LICENSE", "PKG-INFO", ".gitignore"}
    assert not [path for path, content in source.items() if len(content) > 1_000_000]


def test_the_source_builds_and_tests_the_package(source: dict[PurePosixPath, bytes]) -> None:
    for needed in (
        "pyproject.toml",
        "unlimcall_async/py.typed",
        "tests/conftest.py",
        "docs/CONTRIBUTING.md",
        "docs/grafana.json",
        "docs/openapi.yaml",
        "LICENSE",
    ):
        assert PurePosixPath(needed) in source


def test_the_wheel_holds_the_package_alone(wheel: dict[PurePosixPath, bytes]) -> None:
    package = {path for path in wheel if path.parts[0] == "unlimcall_async"}
    assert {path.suffix for path in package} == {".py", ".lua", ".css", ".html", ".js", ".json", ".typed"}
    assert {path.parts[0].partition("-")[2].partition(".")[2][-9:] for path in wheel.keys() - package} == {"dist-info"}
    assert {str(path) for path in package if path.suffix != ".typed"} == {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "unlimcall_async").rglob("*")
        if path.suffix in {".py", ".lua", ".css", ".html", ".js", ".json"}
    }
    assert not [path for path, content in wheel.items() if KEY in content]
