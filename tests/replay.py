"""Reviews the sample scans in a browser: ``python tests/replay.py`` says how long a crop takes, ``--picture FILE`` draws the page.

Every crop is accepted as soon as it is shown with its picture: what is measured is all but the person.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import sync_playwright
from reviewing import ARGUMENTS, CHROMIUM, ROOT, serving

CROPS = 100
SHOWN = "broken/broken-07.png"
# Told by the page itself, so that the way to the browser is not measured: when a crop was answered, and when the next one was painted.
WATCH = """() => {
  window.times = [];
  let answered = 0;
  document.addEventListener("keydown", () => { answered = performance.now(); }, true);
  new MutationObserver(() => requestAnimationFrame(() => requestAnimationFrame(() => times.push(performance.now() - answered))))
    .observe(document.getElementById("review"), { attributeFilter: ["data-number"] });
}"""


def scan(folder: Path) -> Path:
    """Read the sample scans so that nearly all are left to a person."""
    results = folder / "results.csv"
    words = ["scan", ROOT / "sample_scans", "-o", results, "--min-confidence", "0.9999", "--quiet"]
    subprocess.run([sys.executable, "-m", "zipocr", *words], check=True)
    return results


def wait(page: Any) -> None:
    """Wait until everything about a page is shown."""
    page.locator('#review[aria-busy="false"]').wait_for()


def replay(page: Any) -> None:
    """Accept so many crops, or skip those without a ZIP, and print the times."""
    page.evaluate(WATCH)
    began = time.monotonic()
    for number in range(CROPS):
        page.locator(f'#review[data-number="{number}"]').wait_for()
        page.locator("#frame:visible").wait_for()
        page.keyboard.press("Enter" if page.locator(".digit input").first.input_value() else "x")
    page.locator(f'#review[data-number="{CROPS}"]').wait_for()
    took = time.monotonic() - began
    times = sorted(page.evaluate("times"))
    print(f"{CROPS} crops in {took:.1f} s, {1000 * took / CROPS:.0f} ms each, driver included")
    print(f"from key to the next crop on the screen: median {median(times):.0f} ms, 95 % within {times[95 * len(times) // 100]:.0f} ms")


def draw(page: Any, picture: Path) -> None:
    """Go to one crop and take a picture of the page."""
    for _ in range(CROPS):
        wait(page)
        if page.locator("#name").inner_text() == SHOWN:
            break
        number = int(page.locator("#review").get_attribute("data-number"))
        page.keyboard.press("s")
        page.locator(f'#review[data-number="{number + 1}"]').wait_for()
    page.locator("#place").filter(has_text="8").wait_for()
    page.screenshot(path=picture)


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, metavar="FILE")
    picture = parser.parse_args().picture
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        results = scan(Path(folder))
        with (
            serving(results, Path(folder) / "corrections.csv") as server,
            driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
        ):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(server.address)
            wait(page)
            if picture:
                draw(page, picture)
            else:
                replay(page)


if __name__ == "__main__":
    main()
