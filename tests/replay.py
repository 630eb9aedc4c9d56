"""Reviews the sample scans in a browser with the keyboard: ``tests/replay.py [PICTURE.png]``.

Measures only the time of the page and of saving each decision, not that of a person. With a path,
also saves a screenshot there, for the README. Needs Debian's chromium.
"""

import csv
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from reviewing import DEADLINE, serving

from zipocr.cli import main

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
SCANS = Path(__file__).parents[1] / "sample_scans"
PAGES = 100
WINDOW = {"width": 1180, "height": 820}
SHOWN = 13  # the page in the screenshot


def press(page: Page, key: str) -> None:
    """Presses a key and waits for the next page, and for the decision to be saved."""
    number = page.get_attribute("#review", "data-number")
    page.keyboard.press(key)
    page.wait_for_function(
        "number => !busy && document.querySelector('#review').dataset.number !== number", arg=number
    )


def replay(page: Page) -> list[float]:
    """Accepts each page as soon as it is shown; returns the seconds for each."""
    taken = []
    for _ in range(PAGES):
        began = time.monotonic()
        press(page, "Enter")
        taken.append(time.monotonic() - began)
    return taken


def draw(page: Page, path: Path) -> None:
    """Goes to a doubtful page and takes a screenshot once its digits are loaded."""
    for _ in range(SHOWN):
        press(page, "s")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=str(path))


def review(folder: Path, picture: Path | None) -> None:
    """Scans so that all but the most certain pages need review, and reviews them."""
    results = folder / "results.csv"
    arguments = ["scan", str(SCANS), "-o", str(results), "--min-confidence", "1", "--quiet"]
    main(arguments, standalone_mode=False)
    with serving(results, folder / "corrections.csv") as server, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(viewport=WINDOW, device_scale_factor=1.5)
        page.set_default_timeout(1000 * DEADLINE)
        page.goto(server.address)
        page.wait_for_selector("#review:not([hidden])")
        if picture:
            draw(page, picture)
        taken = replay(page)
        browser.close()
        server.end()
    with (folder / "corrections.csv").open(newline="", encoding="utf-8") as file:
        kept = sum(row["decision"] != "skipped" for row in csv.DictReader(file))
    quartiles = statistics.quantiles(taken, n=4)
    print(f"{len(taken)} pages, {kept} decisions kept; milliseconds a page: median {1000 * quartiles[1]:.0f}, "
          f"quartiles {1000 * quartiles[0]:.0f} and {1000 * quartiles[2]:.0f}, most {1000 * max(taken):.0f}")  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        review(Path(name), Path(sys.argv[1]) if sys.argv[1:] else None)
