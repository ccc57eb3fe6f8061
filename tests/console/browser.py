"""A real headless Chromium, if there is one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


class NoBrowserError(Exception):
    """Neither CHROMIUM nor the path names one."""


def find() -> str:
    found = [shutil.which(name) for name in (os.environ.get("CHROMIUM", ""), *NAMES)]
    for path in found:
        if path:
            return path
    raise NoBrowserError("no Chromium is found; the console is not tested")


@contextmanager
def open_browser() -> Iterator[Any]:
    """Run one. Raises NoBrowserError."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NoBrowserError("playwright is missing; see tests/requirements") from None
    path = find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            # A container's root may not use the sandbox, and only our page is opened.
            executable_path=path,
            args=["--no-sandbox"],
        )
        yield browser
        browser.close()
