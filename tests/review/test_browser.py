"""The page in a browser, by keyboard only."""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from reviewing import (
    ARGUMENTS,
    CHROMIUM,
    DEADLINE,
    Server,
    row,
    serving,
    unread,
    write_page,
    write_results,
)

from zipocr.results.corrections import read_corrections
from zipocr.results.row import Row
from zipocr.types import Reason, Status

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.system("chromium")

MILLISECONDS = 1000 * DEADLINE
SOON = 10.0
"""Seconds within which 10,000 rows must appear; generous, since not every machine is idle."""
ROWS = [
    row("a.png", "02108", 0.1),
    row("b.png", "10001", 0.2),
    row("c.png", "02108-1234", 0.3),
    unread("missing.png", Reason.UNREADABLE_FILE),
    row("d.png", "90210", 0.4),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, timeout=MILLISECONDS
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser: playwright.Browser) -> Iterator[playwright.Page]:
    """A page in its own window, which may contact only the server and must log no errors."""
    context = browser.new_context()
    context.set_default_timeout(MILLISECONDS)
    complaints: list[str] = []
    asked: list[str] = []
    context.on("console", lambda message: complaints.append(message.text))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("request", lambda request: asked.append(request.url))
    yield context.new_page()
    context.close()
    assert not [text for text in complaints if "Failed to load resource" not in text]
    assert all(url.startswith("http://127.0.0.1:") for url in asked)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "corrections.csv"


def make(tmp_path: Path, rows: Sequence[Row] = ROWS) -> Path:
    for each in rows:
        if each.file != "missing.png":
            write_page(tmp_path / each.file)
    return write_results(tmp_path / "r.csv", rows)


@pytest.fixture
def server(tmp_path: Path, labels: Path) -> Iterator[Server]:
    with serving(make(tmp_path), labels, "--model", "digits") as server:
        yield server


def at(page: playwright.Page, file: str) -> None:
    """Wait until a page is shown, with its image or the reason there is none."""
    playwright.expect(page.locator("#name")).to_have_text(file, timeout=MILLISECONDS)
    page.locator('#review[aria-busy="false"]').wait_for()


def digits(page: playwright.Page) -> str:
    return "".join(field.input_value() or "_" for field in page.locator(".digit input").all())


def press(page: playwright.Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def decided(labels: Path) -> dict[str, str]:
    return {
        file: decision.zip or decision.decision.value
        for (file, _), decision in read_corrections(labels).items()
    }


def open_second(page: playwright.Page, server: Server) -> None:
    """Open a review, decide that its first page shows no ZIP, and wait for the second."""
    page.goto(server.address)
    at(page, "missing.png")
    press(page, "x")
    at(page, "a.png")


def test_a_whole_review_can_be_done_by_keyboard(
    page: playwright.Page, server: Server, labels: Path
) -> None:
    page.goto(server.address)
    at(page, "missing.png")
    playwright.expect(page.locator("#trouble")).to_contain_text("no such file")
    playwright.expect(page.locator("#why")).to_contain_text(
        "damaged, empty, encrypted or not an image"
    )
    press(page, "Enter")
    playwright.expect(page.locator("#alarm-text")).to_contain_text("five digits, or nine")
    press(page, "x")
    at(page, "a.png")
    playwright.expect(page.locator("#alarm")).to_be_hidden()
    assert digits(page) == "02108"
    playwright.expect(page.locator("#place")).to_have_text("Boston, MA", timeout=MILLISECONDS)
    press(page, "Enter")
    at(page, "b.png")
    press(page, "Tab", "ArrowRight", "ArrowLeft", "9")
    assert digits(page) == "19001"
    playwright.expect(page.locator(".share").nth(1)).to_have_text("read 0")
    press(page, "Enter")
    at(page, "c.png")
    assert digits(page) == "021081234"
    press(page, "End", "5", "Enter")
    at(page, "d.png")
    press(page, "s")
    playwright.expect(page.locator("#end-title")).to_have_text("All reviewed, 1 skipped")
    playwright.expect(page.locator("#next-command")).to_contain_text("zipocr apply")
    press(page, "r")
    at(page, "d.png")
    press(page, *"902101234".replace("902101", "90210-1"), "Enter")
    playwright.expect(page.locator("#end-title")).to_have_text("All decided")
    assert decided(labels) == {
        "missing.png": "not_a_zip",
        "a.png": "02108",
        "b.png": "19001",
        "c.png": "02108-1235",
        "d.png": "90210-1234",
    }
    assert "decided 5 of 5 (1 confirmed, 3 corrected, 1 not a zip)" in server.end()


def test_backspace_deletes_what_was_typed(page: playwright.Page, server: Server) -> None:
    page.goto(server.address)
    at(page, "missing.png")
    press(page, *"12345", "Backspace")
    assert digits(page) == "1234_"
    press(page, "Backspace", "7", "8")
    assert digits(page) == "12378"
    press(page, "Home", "Delete", "9")
    assert digits(page) == "92378"
    press(page, "-", "1")
    assert digits(page) == "923781___"
    press(page, "Backspace", "Backspace")
    assert digits(page) == "92378"
    press(page, "q", "z", "Space", "ArrowLeft")
    assert digits(page) == "92378"


def test_another_reading_is_chosen_by_its_key(
    page: playwright.Page, server: Server, labels: Path
) -> None:
    open_second(page, server)
    playwright.expect(page.locator("#strings")).to_contain_text("02109")
    key = page.locator("#strings button", has_text="02109").locator("kbd").inner_text()
    press(page, key)
    assert digits(page) == "02109"
    press(page, "Enter")
    at(page, "b.png")
    assert decided(labels)["a.png"] == "02109"


def test_undo_goes_back_one_page_at_a_time(
    page: playwright.Page, server: Server, labels: Path
) -> None:
    open_second(page, server)
    press(page, "Enter")
    at(page, "b.png")
    press(page, "u")
    at(page, "a.png")
    press(page, "u")
    at(page, "missing.png")
    assert decided(labels) == {}
    playwright.expect(page.locator("#actions .undo")).to_be_disabled()


def test_a_reloaded_page_continues_where_it_stopped(
    page: playwright.Page, server: Server, labels: Path
) -> None:
    open_second(page, server)
    press(page, "9")
    page.reload()
    at(page, "a.png")
    assert digits(page) == "02108"
    press(page, "Enter")
    at(page, "b.png")
    assert decided(labels) == {"missing.png": "not_a_zip", "a.png": "02108"}


def test_two_tabs_decide_nothing_twice_and_lose_nothing(
    page: playwright.Page, server: Server, labels: Path
) -> None:
    open_second(page, server)
    other = page.context.new_page()
    other.goto(server.address)
    at(other, "a.png")
    press(page, "Enter")
    at(page, "b.png")
    press(other, *"99999", "Enter")
    at(other, "b.png")
    playwright.expect(other.locator("#alarm-text")).to_contain_text(
        re.compile("a.png, page 1, is already decided: 02108|another window")
    )
    assert labels.read_text().count("a.png") == 1
    press(other, "Enter")
    at(other, "c.png")
    press(page, "u")
    playwright.expect(page.locator("#alarm-text")).to_contain_text(
        "another window", ignore_case=True
    )
    assert decided(labels) == {"missing.png": "not_a_zip", "a.png": "02108", "b.png": "10001"}


def test_a_killed_server_loses_nothing_and_the_next_one_continues(
    page: playwright.Page, tmp_path: Path, labels: Path
) -> None:
    results = make(tmp_path)
    with serving(results, labels, "--model", "digits") as server:
        open_second(page, server)
        press(page, "Enter")
        at(page, "b.png")
        server.kill()
    press(page, "Enter")
    playwright.expect(page.locator("#alarm-text")).to_contain_text(
        "does not answer any more, and this page was not decided"
    )
    assert decided(labels) == {"missing.png": "not_a_zip", "a.png": "02108"}
    port = server.address.split(":")[2].split("/")[0]
    with serving(results, labels, "--model", "digits", "--port", port) as again:
        press(page, "Enter")
        playwright.expect(page.locator("#alarm-text")).to_contain_text("to an earlier review")
        page.goto(again.address)
        at(page, "b.png")
        press(page, "Enter")
        at(page, "c.png")
    assert decided(labels) == {"missing.png": "not_a_zip", "a.png": "02108", "b.png": "10001"}


def test_ten_thousand_rows_appear_quickly(
    page: playwright.Page, tmp_path: Path, labels: Path
) -> None:
    write_page(tmp_path / "a.png")
    rows = [
        row("a.png", f"{number:05d}", 0.1 + number / 20_000, page=number + 1)
        for number in range(10_000)
    ]
    results = write_results(tmp_path / "r.csv", rows)
    with serving(results, labels, "--model", "digits") as server:
        began = time.monotonic()
        page.goto(server.address)
        page.locator("#review:visible").wait_for()
        took = time.monotonic() - began
        paint = page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
        )
        at(page, "a.png")
        press(page, "x")
        playwright.expect(page.locator("#done")).to_have_text("1 of 10000")
    print(f"10,000 rows: shown after {took:.2f} s; first paint after {paint} ms")  # noqa: T201
    assert took < SOON


def test_names_are_shown_as_text(page: playwright.Page, tmp_path: Path, labels: Path) -> None:
    name = "<img src=x onerror=alert(1)>.png"
    with serving(make(tmp_path, [row(name)]), labels, "--model", "digits") as server:
        page.goto(server.address)
        at(page, name)
        assert page.locator("img").count() == 0


def test_an_audit_shows_no_confidence(page: playwright.Page, tmp_path: Path, labels: Path) -> None:
    rows = [
        *ROWS,
        *(row(f"sure-{number}.png", confidence=0.99, status=Status.READ) for number in range(3)),
    ]
    with serving(make(tmp_path, rows), labels, "--model", "digits", "--audit", "2") as server:
        page.goto(server.address)
        playwright.expect(page.locator("#done")).to_have_text("0 of 7", timeout=MILLISECONDS)
        playwright.expect(page.locator("#sure")).to_contain_text("audit")
        assert "%" not in page.locator("main#review").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 640, 320])
def test_text_has_enough_contrast_and_nothing_is_wider_than_the_window(
    page: playwright.Page, server: Server, scheme: str, width: int
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 400})
    open_second(page, server)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRASTS) == []
    assert (
        page.evaluate("getComputedStyle(document.getElementById('bar-done')).transitionDuration")
        == "0s"
    )


def test_every_control_can_be_reached_by_tab_and_has_a_name(
    page: playwright.Page, server: Server
) -> None:
    open_second(page, server)
    names = []
    for _ in range(14):
        names.append(
            page.evaluate("document.activeElement.ariaLabel || document.activeElement.innerText")
        )
        press(page, "Tab")
    assert names[:5] == [f"Digit {number} of 5" for number in range(1, 6)]
    assert {"Accept", "Not a ZIP", "Skip", "Undo", "Keys"} <= {
        name.rpartition(" ")[0] for name in names if name
    }
    assert page.get_by_role("progressbar").get_attribute("aria-valuenow") == "1"
    press(page, "?")
    playwright.expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    press(page, "Escape", "Home")
    playwright.expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


# Texts whose contrast with their background is below 4.5, the minimum of WCAG.
CONTRASTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgb(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("main *, header *")].filter((e) => e.checkVisibility() && !e.closest(":disabled") &&
    [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).filter((e) => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05) < 4.5;
  }).map((e) => e.outerHTML);
}"""
