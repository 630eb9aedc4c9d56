"""Evaluation reports: what they show, and that they are self-contained."""

import json
import re
import sys
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import fakes
import madeup
import numpy as np
import pytest

from zipocr.errors import InputError
from zipocr.evaluation.metrics import Case, Evaluation, Population, evaluate
from zipocr.evaluation.report.as_json import to_facts
from zipocr.evaluation.report.error_sheets import draw_sheets
from zipocr.evaluation.report.figures import (
    DARK,
    LIGHT,
    confusion_figure,
    curve_figure,
    overview_figure,
    reliability_figure,
    to_svg,
)
from zipocr.evaluation.report.folder import check_folder, write_report
from zipocr.evaluation.report.html import Sheet, most_confused, to_html
from zipocr.evaluation.report.text import advice, basis
from zipocr.results.cells import to_cell
from zipocr.types import Status

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

ABOUT = {
    "results": {"file": "results.csv", "sha256": "ab12"},
    "labels": {"file": "labels.csv", "sha256": "cd34"},
    "model": None,
}


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return evaluate(madeup.cases(), max_error=0.05, worst=3)


@pytest.fixture(scope="module")
def estimated() -> Evaluation:
    audited = [
        replace(case, is_audit=True) for case in madeup.cases() if case.status is Status.READ
    ]
    doubtful = [
        replace(case, is_doubt=True) for case in madeup.cases() if case.status is not Status.READ
    ]
    read, others = (
        np.array([case.confidence or np.nan for case in some]) for some in (audited, doubtful)
    )
    return evaluate(
        [*audited, *doubtful],
        max_error=0.2,
        batch=Population(read=np.resize(read, 5000), doubtful=np.resize(others, 100)),
    )


def one(read: str = "02108", *, confidence: float = 0.9, **more) -> Case:
    return Case(
        file="x.png",
        page=1,
        read=read,
        truth="02108",
        confidence=confidence,
        status=Status.READ,
        **more,
    )


class PageParser(HTMLParser):
    """Collects text, attributes that would load a resource, and unclosed tags."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.sources: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.sources += [value for name, value in attrs if name in {"src", "srcset", "href"}]
        if tag not in {"meta", "img", "source"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(text for text in self.texts if text)


def page_of(
    evaluation: Evaluation, *, by: str | None = "group", title: str = "results.csv", sheets=None
) -> PageParser:
    return PageParser(
        to_html(evaluation, title=title, by=by, about={"labels": "labels.csv"}, sheets=sheets or {})
    )


def test_the_page_is_complete_and_loads_no_external_resources(found: Evaluation) -> None:
    page = page_of(found)
    assert page.open == []
    assert len(page.sources) == 6
    assert all(source.startswith("data:image/") for source in page.sources)
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_figures_load_no_external_resources_and_need_no_fonts(found: Evaluation) -> None:
    for figure in (curve_figure, reliability_figure, confusion_figure):
        light, dark = (to_svg(figure(found, theme)) for theme in (LIGHT, DARK))
        assert light == to_svg(figure(found, LIGHT))
        assert light != dark
        assert LIGHT.ink.encode() in light
        assert LIGHT.ink.encode() not in dark
        assert b"<text" not in light
        fetched = set(re.findall(rb'(?:href|src)="([^#][^"]*)"', light))
        assert all(source.startswith(b"data:image/png;") for source in fetched)


def test_the_page_shows_metrics_by_group_and_overall(found: Evaluation) -> None:
    text = page_of(found).text
    assert "exact 78.8\N{NO-BREAK SPACE}%" in text or "exact 78.8 %" in text
    assert "By group" in text
    assert re.search(r"a 80 77.5 % 67.2 to 85.3 % 78.8 % 12.7 % 43.8 % 0.066 10.0 %", text)
    assert "From 240 labelled pages." in text


def test_the_worst_errors_are_shown_with_their_wrong_digits(found: Evaluation) -> None:
    sheet = Sheet(crop=b"crop", sheet=b"sheet", note="Seen otherwise.")
    page = page_of(found, sheets={("crop-075.png", 1): sheet})
    assert (
        "read 939 3 1 true 93925 confidence 0.8300 , read crop-075.png, page 1 Seen "
        "otherwise." in page.text
    )
    assert page.text.count("The image was not found") == 2
    assert [
        b64decode(source.partition(",")[2])
        for source in page.sources
        if source.startswith("data:image/webp")
    ] == [b"crop", b"sheet"]


def test_names_are_escaped_and_stay_on_one_line() -> None:
    nasty = "<script>alert(1)</script>\n\udcff{{ 7 * 7 }}.png"
    wrong = [
        replace(case, file=nasty, group=nasty) if number < 9 else case
        for number, case in enumerate(madeup.cases()[75:])
    ]
    page = to_html(
        evaluate(wrong, max_error=0.01),
        title=nasty,
        by=nasty,
        about={"labels": to_cell(nasty)},
        sheets={},
    )
    assert b"<script" not in page
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;\\x0a\\xff{{ 7 * 7 }}.png" in page
    PageParser(page)


@pytest.mark.parametrize(
    "some",
    [
        [one()],
        [one("02109")],
        [
            Case(
                file="x",
                page=1,
                read="",
                truth="",
                confidence=None,
                status=Status.UNREAD,
                is_whole=True,
            )
        ],
        [Case(file="x", page=1, read="", truth="02108", confidence=None, status=Status.UNREAD)],
        [one(confidence=0.0), one(confidence=1.0)],
        [one("021089999", is_whole=True)],
    ],
)
def test_any_labels_give_a_valid_page(some: list[Case]) -> None:
    evaluation = evaluate(some, max_error=0.01)
    assert page_of(evaluation, by=None).open == []
    overview_figure(evaluation)
    json.dumps(to_facts(evaluation), allow_nan=False)


def test_facts_are_json_with_all_metrics(found: Evaluation) -> None:
    facts = json.loads(json.dumps(to_facts(found), allow_nan=False))
    assert facts["all"]["exact"] == 0.7875
    assert facts["all"]["accepted_at_0.1_percent"] == 0.441667
    assert facts["groups"].keys() == {"a", "b", "c"}
    assert facts["estimate"] is None
    assert [worst["file"] for worst in facts["worst"]] == [case.file for case in found.worst]
    assert (
        len(facts["curve"]["bound"])
        == len(facts["curve"]["threshold"])
        == len(found.curve.threshold)
    )
    assert facts["suggestion"]["max_error"] == 0.05


def test_an_estimate_is_described_as_one_with_its_sample_sizes(estimated: Evaluation) -> None:
    audited, decided = estimated.estimate.audited, estimated.estimate.decided
    assert next(basis(estimated)) == (
        f"An estimate for all 5,100 pages, from {audited} audited of 5,000 that were read and "
        f"{decided} decided of 100 doubtful."
    )
    assert f"The {100 - decided} undecided doubtful pages" in " ".join(basis(estimated))
    assert "An estimate for all 5,100 pages" in page_of(estimated).text
    assert to_facts(estimated)["estimate"] == {
        "read": 5000,
        "audited": audited,
        "doubtful": 100,
        "decided": decided,
        "pages": 5100,
    }


def test_a_report_on_doubtful_pages_alone_says_so() -> None:
    text = " ".join(basis(evaluate([one(is_doubt=True)], max_error=0.01)))
    assert "the figures describe these pages only" in text


def test_a_report_on_an_audit_alone_says_that_doubtful_pages_are_left_out() -> None:
    found = evaluate(
        [one(is_audit=True)] * 4,
        max_error=0.01,
        batch=Population(read=np.full(9, 0.9), doubtful=np.full(1, 0.1)),
    )
    assert list(basis(found)) == [
        "An estimate for the 9 pages that were read, from an audit of 4 of them.",
        "Undecided doubtful pages are left out: 1.",
    ]


@pytest.mark.parametrize(
    ("some", "message"),
    [
        (
            [one()] * 299,
            "--min-confidence 0.9000 keeps the error rate among accepted pages at 1 % or less, "
            "with 95 % confidence.",
        ),
        (
            [one()] * 298,
            "Too few labels to promise an error rate of at most 1 % among accepted pages. That "
            "takes 299 accepted pages without",
        ),
        ([one()] * 298, "without an error; 298 were labelled."),
        (
            [one()] * 100,
            "The lowest error rate these labels can promise is 2.96 %, with --min-confidence 0.9000.",
        ),
        ([one("02109")] * 400, "No threshold can promise an error rate of at most 1 %"),
    ],
)
def test_advice_states_what_the_labels_can_guarantee(some: list[Case], message: str) -> None:
    assert message in " ".join(advice(evaluate(some, max_error=0.01).suggestion))


def test_a_bound_is_never_rounded_down() -> None:
    # 0.029513...: 2.95 % would promise too much.
    best = evaluate([one()] * 100, max_error=0.01).suggestion.surest
    assert 0.0295 < best.bound < 0.0296
    assert "2.96 %" in " ".join(advice(evaluate([one()] * 100, max_error=0.01).suggestion))


def test_the_most_frequent_confusion_comes_first() -> None:
    found = evaluate([one("02109")] * 3 + [one("02708")] * 5 + [one()], max_error=0.01)
    assert most_confused(found) == [(1, 7, 5), (8, 9, 3)]


def test_the_curve_shows_the_current_threshold_the_target_and_the_suggestion() -> None:
    found = evaluate(
        [one(confidence=0.9)] * 350 + [one("02109", confidence=0.3)] * 50, max_error=0.01
    )
    axes = curve_figure(found).axes[0]
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {
        "95 % upper bound",
        "error rate",
        "threshold of the results",
        "--min-confidence 0.9000",
    }
    assert "1 % asked for" in {text.get_text() for text in axes.texts}
    line = next(line for line in axes.lines if line.get_label() == "error rate")
    assert line.get_xydata().tolist() == [[0, 0], [0.875, 0], [1, 0.125]]


def test_the_reliability_diagram_shows_the_count_of_every_bin(found: Evaluation) -> None:
    upper, lower = reliability_figure(found).axes
    assert [int(text.get_text()) for text in lower.texts] == [bin_.count for bin_ in found.bins]
    assert "ECE 0.056" in upper.get_title(loc="left")


def test_error_sheets_show_the_right_page_and_note_a_different_reading(tmp_path) -> None:
    done, data = cv2.imencodemulti(".tiff", [fakes.page(ink=7), fakes.page(ink=8)])
    assert done
    (tmp_path / "a.tif").write_bytes(data.tobytes())
    (tmp_path / "b.png").write_bytes(b"no image")
    some = [
        replace(one("00008"), file="a.tif", page=2),
        replace(one("00009"), file="a.tif", page=1),
        replace(one(), file="a.tif", page=3),
        replace(one(), file="b.png"),
        replace(one(), file="gone.png"),
    ]
    there = {"a.tif": tmp_path / "a.tif", "b.png": tmp_path / "b.png"}
    sheets = draw_sheets(
        some, lambda case: there.get(case.file), madeup.Tracer(), max_pixels=10_000
    )
    assert sheets.keys() == {("a.tif", 2), ("a.tif", 1)}
    assert sheets["a.tif", 2].note == ""
    assert sheets["a.tif", 1].note.startswith("Reading again gives 00007: ")
    crop = cv2.imdecode(np.frombuffer(sheets["a.tif", 2].crop, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(crop, fakes.page(ink=8))
    assert (
        cv2.imdecode(np.frombuffer(sheets["a.tif", 2].sheet, np.uint8), cv2.IMREAD_COLOR).shape[1]
        == 1240
    )


def test_a_report_has_an_html_page_json_metrics_and_a_picture(found: Evaluation, tmp_path) -> None:
    check_folder(tmp_path / "new" / "report", force=False)
    write_report(tmp_path / "new" / "report", found, by="group", about=ABOUT, sheets={})
    names = {path.name for path in (tmp_path / "new" / "report").iterdir()}
    assert names == {"report.html", "report.json", "report.png"}
    facts = json.loads((tmp_path / "new" / "report" / "report.json").read_bytes())
    assert (facts["labels"], facts["by"], facts["all"]["count"]) == (ABOUT["labels"], "group", 240)
    assert (
        "labels.csv, SHA-256 cd34"
        in PageParser((tmp_path / "new" / "report" / "report.html").read_bytes()).text
    )
    assert cv2.imdecode(
        np.fromfile(tmp_path / "new" / "report" / "report.png", np.uint8), cv2.IMREAD_COLOR
    ).shape == (440, 1100, 3)


@pytest.mark.parametrize("name", ["jinja2", "matplotlib"])
def test_a_missing_package_is_reported_with_its_install_command(
    found: Evaluation, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"pip install 'zipocr\[report\]'"):
        page_of(found)
