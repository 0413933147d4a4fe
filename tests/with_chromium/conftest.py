"""These tests need Playwright and Chromium, which the README's command does not install: `.ci/run` runs them with both."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

collect_ignore_glob = [] if find_spec("playwright") and CHROMIUM else ["*.py"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests, which asks nobody for anything by itself."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 # it may be missing

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=[*quiet, "--disable-sync", "--no-first-run"])
        yield opened
        opened.close()
