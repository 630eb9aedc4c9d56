import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import zipocr.settings
from zipocr.models.model_file import load_model
from zipocr.settings import SEARCH_SETTINGS, SETTINGS, search_hash, settings_hash

PINNED = "da717d0eb5f73258"
SOURCE = Path(zipocr.settings.__file__).read_text(encoding="utf-8")


def test_the_hash_is_the_one_the_shipped_models_were_made_for():
    """Change it together with the models, and only when a setting changes."""
    assert settings_hash() == PINNED


def test_the_hash_is_sixteen_hexadecimal_digits():
    assert re.fullmatch("[0-9a-f]{16}", settings_hash())


def test_no_key_appears_twice():
    keys = re.findall(r'^    "([a-z_.0-9]+)":', SOURCE, re.MULTILINE)
    assert len(keys) == len(SETTINGS) + len(SEARCH_SETTINGS)
    assert max(Counter(keys).values()) == 1


def test_keys_do_not_depend_on_module_paths():
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", key) for key in (*SETTINGS, *SEARCH_SETTINGS))
    assert not any("zipocr" in key for key in SETTINGS)


def test_values_are_literals_that_print_the_same_on_every_platform():
    for table in (SETTINGS, SEARCH_SETTINGS):
        assert ast.literal_eval(repr(sorted(table.items()))) == sorted(table.items())


def test_the_search_was_fitted_for_these_settings():
    assert load_model("mail").card["search"]["settings"] == search_hash()


@pytest.mark.parametrize("key", sorted(SETTINGS))
def test_changing_any_setting_changes_the_hash(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings_hash()
    monkeypatch.setitem(SETTINGS, key, (SETTINGS[key], 1))  # type: ignore[arg-type]
    assert settings_hash() != before


def test_the_order_of_the_table_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings_hash()
    monkeypatch.setattr("zipocr.settings.SETTINGS", dict(reversed(SETTINGS.items())))
    assert settings_hash() == before


def test_renaming_a_constant_keeps_the_hash_but_changing_its_value_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    renamed = SOURCE.replace("regions.SAME_PLACE", "regions.RENAMED")
    assert renamed != SOURCE
    monkeypatch.setattr("zipocr.segment.regions.RENAMED", 0.12, raising=False)
    monkeypatch.setattr("zipocr.segment.regions.SAME_PLACE", 0.0)
    for value, is_same in ((SETTINGS["regions.same_place"], True), (0.5, False)):
        monkeypatch.setattr("zipocr.segment.regions.RENAMED", value)
        found: dict[str, object] = {}
        exec(compile(renamed, "settings", "exec"), found)
        assert (found["settings_hash"]() == settings_hash()) == is_same  # type: ignore[operator]
