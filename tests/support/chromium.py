"""Renders a page in headless Chromium: pictures, PDF, and the sizes that it comes to."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.patience import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--force-device-scale-factor=1",
)  # fmt: skip
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
# How far the page reaches; what stands out of the window without a box of its own to scroll in; what is wider or
# higher than the cell or heading that it stands in.
_RULER = """<script>
addEventListener("load", () => {
  const wide = document.documentElement.clientWidth;
  const out = [...document.body.querySelectorAll("*")].filter((element) =>
    element.getBoundingClientRect().right > wide + 0.5 &&
    !(element.closest(".scroll") && getComputedStyle(element.closest(".scroll")).overflowX === "auto"));
  const cut = [...document.body.querySelectorAll("td, th, dd, li, h1, h3, p, .turned span")].filter((element) =>
    element.scrollWidth > element.clientWidth + 1 || (element.tagName === "SPAN" && element.scrollHeight > element.clientHeight + 1));
  const root = document.documentElement;
  root.dataset.measured = [root.scrollWidth, wide, root.scrollHeight, out.length, cut.length].join(" ");
});
</script>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Sizes in pixels; ``outside`` counts elements that stand out of the window, ``cut`` those with more than fits."""

    width: int
    window: int
    height: int
    outside: int
    cut: int


class Chromium:
    """The Chromium of this machine."""

    def __init__(self) -> None:
        found = next((path for name in NAMES if (path := shutil.which(name))), None)
        assert found, f"None of {', '.join(NAMES)} is on the PATH: install one, on Debian with apt-get install chromium"
        self._program = found

    def screenshot(self, page: str, to: Path, width: int, height: int, *, dark: bool = False) -> None:
        # 0 is dark, 1 light: what prefers-color-scheme then answers.
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        self._run(page, f"--window-size={width},{height}", scheme, f"--screenshot={to.absolute()}")
        assert to.stat().st_size

    def print_to_pdf(self, page: str, to: Path) -> None:
        self._run(page, "--no-pdf-header-footer", f"--print-to-pdf={to.absolute()}")
        assert to.stat().st_size

    def measure(self, page: str, width: int) -> Measured:
        """The page's sizes, by a copy that may run a script."""
        copy, count = _POLICY.subn("", page.replace("</body>", _RULER + "</body>"))
        assert count == 1
        dom = self._run(copy, f"--window-size={width},900", "--dump-dom")
        found = re.search(r'data-measured="(\d+) (\d+) (\d+) (\d+) (\d+)"', dom)
        assert found, dom[:1000]
        sizes = [int(size) for size in found.groups()]
        return Measured(width=sizes[0], window=sizes[1], height=sizes[2], outside=sizes[3], cut=sizes[4])

    def _run(self, page: str, *what: str) -> str:
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch, "page.html")
            file.write_text(page, encoding="utf-8")
            command = [self._program, *_QUIET, f"--user-data-dir={scratch}/profile", *what, file.as_uri()]
            run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert run.returncode == 0, run.stderr
        return run.stdout
