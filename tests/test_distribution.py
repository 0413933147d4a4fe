"""What users download: the files of the package, and no secret."""

from __future__ import annotations

import re
import tarfile
import zipfile
from configparser import ConfigParser
from email import message_from_bytes
from email.message import Message
from pathlib import Path, PurePosixPath

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from unlimcall_async import __version__

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


def wheel_of(root: Path, folder: Path) -> bytes:
    """Return the wheel that is built of a folder of sources."""
    (built,) = WheelBuilder(str(root)).build(directory=str(folder), versions=["standard"])
    return Path(built).read_bytes()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, and return the folder that it unpacks to."""
    folder = tmp_path_factory.mktemp("sdist")
    (built,) = SdistBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with tarfile.open(built) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    return unpacked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    wheel_of(ROOT, folder)
    (built,) = folder.iterdir()
    return built


def contents(wheel: Path) -> dict[PurePosixPath, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {PurePosixPath(name): archive.read(name) for name in archive.namelist()}


def of_dist_info(wheel: Path, name: str) -> bytes:
    """Return a file of the wheel about the package, by its path in the folder of such files."""
    (found,) = (content for path, content in contents(wheel).items() if str(PurePosixPath(*path.parts[1:])) == name)
    return found


def metadata(wheel: Path) -> Message:
    return message_from_bytes(of_dist_info(wheel, "METADATA"))


@pytest.mark.slow
def test_the_source_builds_the_same_wheel_and_holds_no_secret(source: Path, wheel: Path, tmp_path: Path) -> None:
    files = {path.relative_to(source): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    assert not [path for path, content in files.items() if KEY in content]
    assert not [path for path in files if path.suffix in SECRET_NAMES or path.name in SECRET_NAMES]
    assert {path.suffix for path in files} <= {
        *(".py", ".json", ".lua", ".css", ".html", ".js", ".md", ".toml", ".txt", ".typed", ".png", ".yaml", ""),
    }
    assert {path.name for path in files if not path.suffix} <= {"LICENSE", "PKG-INFO", ".gitignore", "run"}
    assert not [path for path, content in files.items() if len(content) > 1_000_000]
    # What tests and checks the package, and builds its pages.
    assert {path.parts[0] for path in files} == {
        *(".ci", "benchmarks", "docs", "examples", "tests", "unlimcall_async"),
        *(".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"),
    }
    assert {Path(".ci/run"), Path("docs/conf.py"), Path("docs/openapi.yaml"), Path("tests/conftest.py")} <= files.keys()
    # Byte by byte: the build leaves nothing to the machine, the day or the place where it runs.
    assert wheel_of(source, tmp_path) == wheel.read_bytes()


def test_the_wheel_holds_the_package_alone(wheel: Path) -> None:
    files = contents(wheel)
    package = {path for path in files if path.parts[0] == "unlimcall_async"}
    assert {path.suffix for path in package} == {".py", ".lua", ".css", ".html", ".js", ".json", ".typed"}
    assert {path.parts[0].partition("-")[2].partition(".")[2][-9:] for path in files.keys() - package} == {"dist-info"}
    assert {str(path) for path in package} == {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "unlimcall_async").rglob("*")
        if path.suffix in {".py", ".lua", ".css", ".html", ".js", ".json", ".typed"}
    }
    assert not [path for path, content in files.items() if KEY in content]


def test_the_wheel_says_what_the_package_is(wheel: Path) -> None:
    about = metadata(wheel)
    assert (about["Name"], about["Version"], about["License-Expression"]) == ("unlimcall-async", __version__, "MIT")
    assert of_dist_info(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    entries = ConfigParser()
    entries.read_string(of_dist_info(wheel, "entry_points.txt").decode())
    assert {name: dict(entries[name]) for name in entries.sections()} == {
        "console_scripts": {"unlimcall": "unlimcall_async.cli:main"},
        "pytest11": {"unlimcall": "unlimcall_async.sandbox.pytest_plugin"},
    }


def test_the_description_is_the_readme_without_links_that_lead_nowhere(wheel: Path) -> None:
    description, readme = metadata(wheel).get_payload(decode=True), (ROOT / "README.md").read_text()
    assert isinstance(description, bytes)
    text = description.decode()
    assert {link for link in re.findall(r"\]\(([^)]*)\)", text) if not link.startswith("https:")} == set()
    blocks = re.findall(r"^```.*?^```$", readme, re.MULTILINE | re.DOTALL)
    assert blocks == re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)
    assert re.findall(r"^#+ .+$", readme, re.MULTILINE) == re.findall(r"^#+ .+$", text, re.MULTILINE)
