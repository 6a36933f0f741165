"""Renders pages in headless Chromium: pictures, PDF, and the sizes that they come to.

One browser for many pages, told what to do over a pipe by the DevTools protocol:
to start one takes far longer than to look at a page.
"""

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--force-device-scale-factor=1", "--remote-debugging-pipe",
)  # fmt: skip
# How far the page reaches; what stands out of the window without a box of its own to scroll in; what is wider or
# higher than the cell or heading that it stands in.
_RULER = """(() => {
  const wide = document.documentElement.clientWidth;
  const out = [...document.body.querySelectorAll("*")].filter((element) =>
    element.getBoundingClientRect().right > wide + 0.5 &&
    !(element.closest(".scroll") && getComputedStyle(element.closest(".scroll")).overflowX === "auto"));
  const cut = [...document.body.querySelectorAll("td, th, dd, li, h1, h3, p, .turned span")].filter((element) =>
    element.scrollWidth > element.clientWidth + 1 || (element.tagName === "SPAN" && element.scrollHeight > element.clientHeight + 1));
  const root = document.documentElement;
  return {width: root.scrollWidth, window: wide, height: root.scrollHeight, outside: out.length, cut: cut.length};
})()"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Sizes in pixels; ``outside`` counts elements that stand out of the window, ``cut`` those with more than fits."""

    width: int
    window: int
    height: int
    outside: int
    cut: int


class Chromium:
    """The Chromium of this machine, running until it is closed."""

    def __init__(self) -> None:
        found = next((path for name in NAMES if (path := shutil.which(name))), None)
        assert found, f"None of {', '.join(NAMES)} is on the PATH: install one, on Debian with apt-get install chromium"
        self._numbers = itertools.count(1)
        self._told: list[str] = []
        self._unread = b""
        with contextlib.ExitStack() as opened:
            self._scratch = Path(opened.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
            (its_in, self._to), (self._from, its_out) = _pipe(), _pipe()
            for end in (self._to, self._from):
                opened.callback(os.close, end)

            def as_it_expects() -> None:
                os.dup2(its_in, 3)
                os.dup2(its_out, 4)

            command = [found, *_QUIET, f"--user-data-dir={self._scratch}/profile", "about:blank"]
            self._process = opened.enter_context(
                subprocess.Popen(command, preexec_fn=as_it_expects, pass_fds=(3, 4), stderr=subprocess.DEVNULL)
            )
            opened.callback(self._process.kill)
            os.close(its_in)
            os.close(its_out)
            page = self._ask("Target.createTarget", session=None, url="about:blank")["targetId"]
            self._session = self._ask("Target.attachToTarget", session=None, targetId=page, flatten=True)["sessionId"]
            self._ask("Page.enable")
            self._opened = opened.pop_all()

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *_: object) -> None:
        with self._opened:
            self._ask("Browser.close", session=None)
            self._process.wait(PATIENCE)

    def screenshot(self, page: str, to: Path, width: int, height: int, *, dark: bool = False) -> None:
        self._open(page, width, height, dark=dark)
        self._keep(to, self._ask("Page.captureScreenshot", format="png"))

    def print_to_pdf(self, page: str, to: Path) -> None:
        self._open(page, 1280, 900)
        self._keep(to, self._ask("Page.printToPDF", printBackground=True, preferCSSPageSize=True))

    def measure(self, page: str, width: int) -> Measured:
        """The page's sizes in a window of this width."""
        self._open(page, width, 900)
        return Measured(**self._ask("Runtime.evaluate", expression=_RULER, returnByValue=True)["result"]["value"])

    def _open(self, page: str, width: int, height: int, *, dark: bool = False) -> None:
        file = self._scratch / f"page-{next(self._numbers)}.html"
        file.write_text(page, encoding="utf-8")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._told.clear()
        navigated = self._ask("Page.navigate", url=file.as_uri())
        assert "errorText" not in navigated, navigated
        while "Page.loadEventFired" not in self._told:
            self._told.append(self._next().get("method", ""))

    def _keep(self, to: Path, answer: dict[str, Any]) -> None:
        to.write_bytes(base64.b64decode(answer["data"]))
        assert to.stat().st_size

    def _ask(self, method: str, *, session: str | None = "", **params: Any) -> dict[str, Any]:
        """One command and its answer; what the browser tells meanwhile is kept."""
        number = next(self._numbers)
        words = {"id": number, "method": method, "params": params}
        if session is not None:
            words["sessionId"] = self._session
        data = json.dumps(words).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while (message := self._next()).get("id") != number:
            self._told.append(message.get("method", ""))
        assert "result" in message, message
        return dict(message["result"])

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._from], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser says nothing"
            part = os.read(self._from, 1 << 20)
            assert part, "the browser ended"
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        return dict(json.loads(message))


def _pipe() -> tuple[int, int]:
    """Both ends away from the numbers at which the browser looks for its own."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
