"""These tests need the extra `dlt`, which the README's command does not install: `.ci/run` runs them with it."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("dlt") else ["test_*.py"]
