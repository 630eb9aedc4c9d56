from pathlib import Path

import pytest

from zipocr.training.benchmark import figures

ROOT = Path(__file__).parents[3]
TABLE = ["Measured here:", "", "| a | b |", "|---|---|", "| 1 |  |", "| `x` | 2 |", "", "Done."]


def test_every_table_of_the_manual_is_what_was_measured_last():
    found = figures.load(ROOT)
    for path in figures.documents(ROOT):
        text = path.read_text(encoding="utf-8")
        assert figures.renewed(text, found) == text, path.name


@pytest.mark.parametrize("name", figures.load(ROOT))
def test_every_figure_has_a_place(name):
    texts = [path.read_text(encoding="utf-8") for path in figures.documents(ROOT)]
    assert sum(figures.put(text, name, ["new"]) != text for text in texts) == 1


def test_lines_are_put_into_their_own_place_and_nothing_else_changes():
    text = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\nkept\n<!-- end -->\n"
    expected = text.replace("old\n", "x\n\\1\n")
    assert figures.put(text, "one", ["x", r"\1"]) == expected
    assert figures.put(text, "three", ["x"]) == text


def test_a_table_survives_being_kept_as_json():
    blocks = figures.to_blocks(TABLE)
    assert [["a", "b"], ["1", ""], ["`x`", "2"]] in blocks
    assert figures.render(blocks) == TABLE


def test_what_is_recorded_goes_into_the_chapters_and_the_rest_stays(tmp_path: Path):
    (tmp_path / figures.RECORD).parent.mkdir(parents=True)
    chapter = (tmp_path / figures.RECORD).parent / "speed.md"
    for path in (tmp_path / "README.md", chapter):
        path.write_text(f"<!-- {path.stem} -->\n<!-- end -->\n", encoding="utf-8")
    figures.record(tmp_path, {"README": ["one"], "speed": TABLE})
    figures.record(tmp_path, {"README": ["two"]})
    assert "two" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "\n".join(TABLE) in chapter.read_text(encoding="utf-8")
