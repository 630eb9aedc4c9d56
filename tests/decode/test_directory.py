import gzip
from importlib import resources
from importlib.metadata import version

from zipcodes import list_all

from zipocr.decode.directory import LISTED, places
from zipocr.training.assets.zip_list import listing


def test_boston_is_listed_with_its_leading_zero():
    assert (places()["02108"].city, places()["02108"].state) == ("Boston", "MA")
    assert "2108" not in places()


def test_every_listed_zip_is_a_string_of_five_digits():
    assert all(len(one) == 5 and one.isascii() and one.isdigit() for one in places())
    assert sum(one.startswith("0") for one in places()) > 3000
    assert "00501" in places()


def test_more_than_42_000_zips_but_far_from_all_strings_are_listed():
    assert 42_000 < len(places()) < 60_000
    assert "00000" not in places()


def test_the_shipped_list_matches_the_package_it_names():
    packed = (resources.files("zipocr.models") / LISTED).read_bytes()
    assert (
        gzip.decompress(packed)
        .decode()
        .partition("\n")[0]
        .endswith(f"entries of zipcodes {version('zipcodes')}")
    )
    assert gzip.decompress(packed) == gzip.decompress(listing())


def test_inactive_zips_are_listed_too():
    inactive = {entry["zip_code"] for entry in list_all() if not entry["active"]}
    assert inactive
    assert inactive <= places().keys()


def test_every_place_has_a_city_and_a_two_letter_state():
    assert all(place.city.strip() for place in places().values())
    assert all(len(place.state) == 2 and place.state.isupper() for place in places().values())


def test_the_directory_is_read_once():
    assert places() is places()
