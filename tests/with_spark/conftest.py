"""These tests need the extra `spark` and Java, which the README's command does not install: `.ci/run` runs them with it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

collect_ignore_glob = [] if find_spec("pyspark") else ["*.py"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the cluster keeps its files."""
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="session")
def spark(folder: Path) -> Iterator[Any]:
    """One cluster for all tests: to start one takes some ten seconds."""
    from tests.with_spark.cluster import cluster  # noqa: PLC0415 # it imports pyspark

    with cluster(folder) as session:
        yield session
