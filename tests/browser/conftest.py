"""A real browser for the tests of what is looked at: Debian's Chromium, without a screen, by its own driver.

Invariants: whatever it asks of any place but this machine's loopback comes to a proxy of ours, which notes it and
answers nothing: so does what its workers ask, and the browser itself. What its console says of errors is kept.
"""

from __future__ import annotations

import os
import shutil
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jobs.paths import REPOSITORY
from tests.lacking import lacks

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

SCREENSHOTS = REPOSITORY / "build" / "screenshots"
"""Where pictures of what tests saw are kept."""

SECONDS = 120
"""How long anything may take to be seen, on a machine that does much else."""

PROGRAMS = ("chromium", "chromedriver")

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # which root may not have
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    # What a browser asks its maker for by itself: the time, updates, who is logged in.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--component-updater=url-source=http://127.0.0.1:9/",
    "--gaia-url=http://127.0.0.1:9/",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-features=AutofillServerCommunication,MediaRouter,NetworkTimeServiceQuerying,OptimizationHints,Translate",
)


class _Proxy(socketserver.ThreadingTCPServer):
    """Notes what it is asked for, and answers nothing."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Note)
        self.asked: list[str] = []


class _Note(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Proxy)
        self.server.asked.append(self.rfile.readline(2000).decode("latin-1").strip())
        self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@dataclass
class Browser:
    """A browser with one window; `asked_elsewhere` has each request for another place than this machine."""

    driver: Chrome
    asked_elsewhere: list[str]
    _errors: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        """Opens a page in place of the one that is there; what was asked for and said before is forgotten."""
        self.driver.get("about:blank")
        self.errors()
        self._errors.clear()
        self.asked_elsewhere.clear()
        self.driver.get(address)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns that runs in the page, as the body of a function."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, seen: Callable[[], Any] | str, what: str = "", *arguments: Any) -> Any:
        """The first true value of `seen`, a script (as in `run`) or a function, once there is one."""
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        ask = (lambda _: self.run(seen, *arguments)) if isinstance(seen, str) else (lambda _: seen())
        try:
            return WebDriverWait(self.driver, SECONDS, poll_frequency=0.05).until(ask)
        except TimeoutException:
            pytest.fail(f"not seen: {what or seen}; the console says {self.errors()}")

    def errors(self) -> list[str]:
        """What the console said since the page was opened that is an error."""
        for entry in self.driver.get_log("browser"):
            if entry["level"] == "SEVERE":
                self._errors.append(entry["message"])
        return self._errors

    def screenshot(self, name: str) -> Path:
        """Keeps a picture of the window as build/screenshots/NAME.png."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        assert self.driver.save_screenshot(str(path))
        return path

    def resize(self, width: int, height: int) -> None:
        """Makes what shows the page so large, in pixels: also as small as a phone, which a window cannot be."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@contextmanager
def chromium(width: int = 1280, height: int = 800) -> Iterator[Browser]:
    """A browser, until it is closed; programs have to be there."""
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    proxy = _Proxy()
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    options = ChromeOptions()
    options.binary_location = shutil.which(PROGRAMS[0]) or ""
    for argument in (*ARGUMENTS, f"--proxy-server=http://127.0.0.1:{proxy.server_address[1]}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # What the browser leaves behind when it is closed goes with the folder.
    folder = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
    service = Service(shutil.which(PROGRAMS[1]), env={**os.environ, "TMPDIR": folder.name})
    driver = Chrome(options=options, service=service)
    try:
        browser = Browser(driver, proxy.asked)
        browser.resize(width, height)
        yield browser
    finally:
        driver.quit()
        folder.cleanup()
        proxy.shutdown()
        thread.join()
        proxy.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser that all tests of a process share, each with a page of its own."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        lacks(
            "browser",
            f"there is no {' and no '.join(missing)}; on Debian: apt-get install chromium chromium-driver",
        )
    with chromium() as found:
        yield found
