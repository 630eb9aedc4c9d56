import readme

from zipocr.cli import COMMANDS

EMPTY_PLACES = "".join(
    f"Text.\n\n{readme.mark(command)}\n<!-- end -->\n" for command in (None, *COMMANDS)
)


def test_a_renewed_readme_is_true_and_keeps_its_text() -> None:
    text = readme.renewed(EMPTY_PLACES)
    assert readme.problems(text) == []
    assert readme.renewed(text) == text
    assert text.count("Text.\n") == len(COMMANDS) + 1
    assert "$ zipocr scan --help\nUsage: zipocr scan [OPTIONS] PATH...\n" in text


def test_a_changed_help_is_found() -> None:
    text = readme.renewed(EMPTY_PLACES).replace("--resume", "--go-on")
    assert readme.problems(text) == ["<!-- help: scan --> has changed"]


def test_a_command_without_a_place_and_a_place_without_a_command_are_found() -> None:
    text = readme.renewed(EMPTY_PLACES).replace("<!-- help: model -->", "<!-- help: modell -->")
    assert readme.problems(text) == [
        "<!-- help: model --> is missing",
        "<!-- help: modell --> is of no command",
    ]
