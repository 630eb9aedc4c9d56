import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zipocr.batch.read_files import BatchSettings, start_reading
from zipocr.config import ScanConfig
from zipocr.decode.acceptance import acceptance_threshold
from zipocr.errors import ModelError, OutputError
from zipocr.line.network import (
    CLASSES,
    COLUMNS,
    FEATURES,
    FIRST,
    INPUT_CHANNELS,
    LAYERS,
    SECOND,
    THIRD,
    Network,
    array_names,
    array_shapes,
    ranges_name,
)
from zipocr.models.model_file import (
    ARRAYS,
    FORMAT,
    MAX_BYTES,
    NETWORK,
    SEARCH,
    SHAPES,
    SHIPPED,
    TABLES,
    load_model,
    save_model,
)
from zipocr.settings import settings_hash
from zipocr.types import Model

CURE = "zipocr train"


def small_model(**card: Any) -> Model:
    arrays = {name: np.arange(place + 1, dtype=np.float32) for place, name in enumerate(ARRAYS)}
    tables = dict.fromkeys(TABLES, np.array([[0.01, 0.9], [0.1, 0.5]]))
    shaped = {
        name: np.full(shape, place, np.float32)
        for place, (name, shape) in enumerate(SHAPES.items())
    }
    arrays = {**arrays, **tables, **shaped, "from_grid": np.array(True)}
    return Model(arrays=arrays, card={"data": "nothing", **card})


def saved(folder: Path, model: Model | None = None) -> Path:
    path = folder / "model.npz"
    save_model(path, model or small_model())
    return path


def write_npz(path: Path, **arrays: Any) -> Path:
    """Write what `save_model` would not: a model with some of its arrays replaced."""
    card = np.array(json.dumps({"format": FORMAT}))
    np.savez(path, **{"passport": card, **dict(small_model().arrays), **arrays})
    return path


def assert_refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(str(path))
    message = str(caught.value)
    assert CURE in message
    assert path.name in message
    assert "\n" not in message
    return message


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, spring: Path) -> None:
        self.spring = spring

    def __reduce__(self):
        return (Path.touch, (self.spring,))


def test_a_model_is_loaded_as_it_was_saved(tmp_path: Path, tiny):
    path = saved(tmp_path, tiny.model)
    found = load_model(str(path))
    assert found.arrays.keys() == tiny.model.arrays.keys()
    for name, array in tiny.model.arrays.items():
        assert found.arrays[name].dtype == np.asarray(array).dtype
        assert np.array_equal(found.arrays[name], array)
    assert {**found.card, **tiny.model.card} == found.card


def test_the_card_keeps_text_numbers_and_lists(tmp_path: Path):
    card = {
        "data": "Ziffern für Köln",
        "writers": [1, 2],
        "accuracy": {"digits": 0.975},
        "none": None,
    }
    found = load_model(str(saved(tmp_path, small_model(**card)))).card
    assert {name: found[name] for name in card} == card
    assert found["format"] == FORMAT


def test_the_same_model_gives_the_same_bytes(tmp_path: Path):
    (tmp_path / "other").mkdir()
    one = saved(tmp_path).read_bytes()
    assert saved(tmp_path / "other").read_bytes() == one
    again = tmp_path / "again.npz"
    save_model(again, load_model(str(tmp_path / "model.npz")))
    assert again.read_bytes() == one


def test_a_saved_model_contains_nothing_pickled(tmp_path: Path):
    with zipfile.ZipFile(saved(tmp_path)) as archive:
        for name in archive.namelist():
            array = np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            assert not array.dtype.hasobject


def test_an_array_of_objects_is_not_saved(tmp_path: Path):
    model = Model(arrays={**small_model().arrays, "mean": np.array([{}], object)}, card={})
    with pytest.raises(ValueError, match="allow_pickle"):
        save_model(tmp_path / "model.npz", model)
    assert list(tmp_path.iterdir()) == []


def test_a_saved_model_completely_replaces_an_older_one(tmp_path: Path):
    path = saved(tmp_path, small_model(data="old"))
    save_model(path, small_model(data="new"))
    assert load_model(str(path)).card["data"] == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_that_cannot_be_written_is_an_output_error(tmp_path: Path):
    with pytest.raises(OutputError, match="model"):
        save_model(tmp_path / "missing" / "model.npz", small_model())


@pytest.mark.parametrize("name", ["missing.npz", "mial", "no/such/folder/model.npz", ""])
def test_a_missing_model_is_refused_and_the_shipped_ones_are_listed(
    name, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as caught:
        load_model(name)
    assert all(shipped in str(caught.value) for shipped in SHIPPED)
    assert CURE in str(caught.value)


def test_a_folder_is_refused(tmp_path: Path):
    assert_refused(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello\n",
        b"file,page,zip\na.png,1,02108\n",
        b"PK\x03\x04",
        b"\x89PNG\r\n\x1a\n",
        b"\x93NUMPY",
        b"\x80\x04.",
    ],
)
def test_a_file_of_another_kind_is_refused(data, tmp_path: Path):
    path = tmp_path / "model.npz"
    path.write_bytes(data)
    assert_refused(path)


def test_a_single_array_is_refused(tmp_path: Path):
    path = tmp_path / "array.npy"
    np.save(path, np.zeros(3))
    assert_refused(path)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(share, tmp_path: Path):
    path = saved(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert_refused(path)


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_byte_is_detected_or_harmless(tmp_path: Path, place, flip):
    path = saved(tmp_path)
    model = load_model(str(path))
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= flip
    path.write_bytes(data)
    try:
        found = load_model(str(path))
    except ModelError:
        return
    assert found.card == model.card
    assert all(np.array_equal(found.arrays[name], array) for name, array in model.arrays.items())


HEADERS = [
    "",
    "{",
    "((((((((((",
    "{[]: 1}",
    "(" * 9_000,
    "'",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (10**12,)}",
    "1L",
    "\n\tx\n y",
]
LARGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,)}"


def with_header(path: Path, header: str) -> Path:
    """A model with one array that begins with this header, in an intact archive."""
    data = header.encode("latin-1", "replace")
    with zipfile.ZipFile(saved(path.parent), "a") as archive:
        archive.writestr(
            "extra.npy", b"\x93NUMPY\x01\0" + len(data).to_bytes(2, "little") + data + bytes(64)
        )
    return path.parent / "model.npz"


@pytest.mark.parametrize(
    "header", [*HEADERS, LARGE, LARGE.replace("(1", "(-1"), LARGE.replace("<f8", "|O")]
)
def test_an_array_with_a_foreign_header_is_refused(header: str, tmp_path: Path):
    assert_refused(with_header(tmp_path / "model.npz", header))


@given(st.text(st.sampled_from("{}()[]'\",:\\ \n\t1Lxdescr<f8|Oshape"), max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_header_causes_a_traceback(tmp_path: Path, header: str):
    assert_refused(with_header(tmp_path / "model.npz", header))


def test_pickled_objects_are_refused_and_never_run(tmp_path: Path):
    spring = tmp_path / "sprung"
    for name in ("passport", "mean", "extra"):
        path = write_npz(tmp_path / f"{name}.npz", **{name: np.array([Trap(spring)], object)})
        assert_refused(path)
    plain = tmp_path / "pickle.npz"
    plain.write_bytes(pickle.dumps(Trap(spring)))
    assert_refused(plain)
    assert not spring.exists()
    pickle.loads(plain.read_bytes())
    assert spring.exists()


def repack(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the contents of a model file, keeping its format valid."""
    with np.load(path) as found:
        members = dict(found)
    change(members)
    np.savez_compressed(path, **members)


def change_card(members: dict[str, Any], **changes: object) -> None:
    members["passport"] = np.array(json.dumps({**json.loads(str(members["passport"])), **changes}))


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members.update(gamma=members["gamma"] * 2),
        lambda members: members.update(support=members["support"][::-1]),
        lambda members: members.update(mean=members["mean"].astype(np.float64)),
        lambda members: members.update(extra=np.zeros(1)),
        lambda members: change_card(members, min_confidence=0.0),
        lambda members: change_card(members, sha256="0" * 64),
    ],
    ids=["value", "order", "kind", "addition", "passport", "digest"],
)
def test_a_model_that_was_tampered_with_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
):
    path = saved(tmp_path)
    repack(path, lambda _: None)
    load_model(str(path))
    repack(path, change)
    assert "changed after it was made" in assert_refused(path)


@pytest.mark.parametrize(
    "array",
    [np.array([np.nan]), np.array([np.inf]), np.array(["1"]), np.array([b"1"]), np.array([1j])],
)
def test_values_that_are_not_numbers_are_refused(tmp_path: Path, array: NDArray[Any]):
    assert "not numbers" in assert_refused(write_npz(tmp_path / "model.npz", gamma=array))


def test_a_model_too_large_for_memory_is_refused(tmp_path: Path):
    path = write_npz(tmp_path / "model.npz")
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("mean.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(
            member, {"descr": "|u1", "fortran_order": False, "shape": (MAX_BYTES,)}
        )
        for _ in range(MAX_BYTES >> 20):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < MAX_BYTES / 100
    assert "MB" in assert_refused(path)
    with zipfile.ZipFile(path, "w") as archive, archive.open("mean.npy", "w") as member:
        # A header that claims more than the file contains.
        np.lib.format.write_array_header_1_0(
            member, {"descr": "|u1", "fortran_order": False, "shape": (1 << 60,)}
        )
    assert_refused(path)


def test_a_model_whose_parts_do_not_match_is_refused_before_anything_is_read(tmp_path: Path):
    settings = BatchSettings(
        model=str(saved(tmp_path)),
        max_error=0.01,
        min_confidence=0.5,
        use_directory=False,
        directory=None,
        max_pixels=99,
        debug=None,
    )
    with pytest.raises(ModelError, match="do not fit together"):
        start_reading(settings)


def test_the_network_shapes_of_a_file_are_those_of_the_network_that_reads():
    shapes, before = {}, INPUT_CHANNELS
    for layer, weights, biases in zip(
        LAYERS[FIRST], array_names("weights"), array_names("biases"), strict=False
    ):
        shapes |= {
            weights: (layer.channels, before * layer.rows * COLUMNS),
            biases: (layer.channels,),
        }
        before = layer.channels
    assert {
        **shapes,
        array_names("weights")[-1]: (CLASSES, FEATURES),
        array_names("biases")[-1]: (CLASSES,),
        ranges_name(FIRST): (len(LAYERS[FIRST]),),
    } == NETWORK


def test_the_network_of_a_file_can_read(tmp_path: Path):
    network = Network.from_model(load_model(str(saved(tmp_path))))
    features = network.features(np.zeros((INPUT_CHANNELS, 32, 20), np.uint8))
    assert network.frames(features).shape == (10, CLASSES)


def search_arrays() -> dict[str, NDArray[Any]]:
    return {
        name: np.full([one or 3 for one in shape], 0.5, np.float32)
        for name, shape in SEARCH.items()
    }


def test_a_model_may_have_the_arrays_for_finding_a_zip_on_a_page(tmp_path: Path):
    write_npz(tmp_path / "model.npz", **search_arrays())
    found = load_model(str(tmp_path / "model.npz")).arrays
    assert all(np.array_equal(found[name], array) for name, array in search_arrays().items())


@pytest.mark.parametrize("name", sorted(SEARCH))
@pytest.mark.parametrize("damage", ["missing", "wide", "deep", "endless"])
def test_damaged_arrays_for_finding_a_zip_are_refused(tmp_path: Path, name: str, damage: str):
    arrays = search_arrays()
    array = arrays.pop(name)
    if damage == "wide":
        arrays[name] = np.concatenate([array, array], axis=-1)
    if damage == "deep":
        arrays[name] = array[None]
    if damage == "endless":
        arrays[name] = np.full_like(array, np.inf)
    write_npz(tmp_path / "model.npz", **arrays)
    with pytest.raises(ModelError, match=CURE):
        load_model(str(tmp_path / "model.npz"))


def test_a_model_may_have_larger_networks(tmp_path: Path):
    assert Network.larger_from_model(load_model(str(saved(tmp_path)))) == []
    write_npz(tmp_path / "model.npz", **arrays_named(SECOND), **arrays_named(THIRD))
    networks = Network.larger_from_model(load_model(str(tmp_path / "model.npz")))
    assert [network.name for network in networks] == [SECOND, THIRD]
    for network in networks:
        features = network.features(np.zeros((INPUT_CHANNELS, 32, 20), np.uint8))
        assert features.shape == (10, 2 * FEATURES)
        assert network.frames(features).shape == (10, CLASSES)


@pytest.mark.parametrize("network", [SECOND, THIRD])
def test_a_damaged_larger_network_is_refused(tmp_path: Path, network: str):
    own = arrays_named(network)
    name = f"{network}_3_weights"
    some = {one: array for one, array in own.items() if one != name}
    title = network.replace("_", " ")
    assert f"lacks arrays of its {title}, such as {name};" in assert_refused(
        write_npz(tmp_path / "model.npz", **some)
    )
    for array, expected in (
        (np.full_like(own[name], np.nan), "no number"),
        (own[name][:, 1:], f"{title} of another architecture"),
    ):
        message = assert_refused(write_npz(tmp_path / "model.npz", **{**own, name: array}))
        assert expected in message


@pytest.mark.parametrize("network", [FIRST, SECOND, THIRD])
@pytest.mark.parametrize("value", [0, -1, 1e-44, 1e30])
def test_an_impossible_range_of_activations_is_refused(tmp_path: Path, network: str, value: float):
    own = arrays_named(network)
    own[ranges_name(network)][1] = value
    message = assert_refused(write_npz(tmp_path / "model.npz", **own))
    assert "impossible ranges of activations" in message


def arrays_named(network: str) -> dict[str, np.ndarray]:
    return {name: np.ones(shape, np.float32) for name, shape in array_shapes(network).items()}


@pytest.mark.parametrize("name", NETWORK)
def test_a_model_missing_part_of_its_network_is_refused(name, tmp_path: Path):
    arrays = dict(small_model().arrays)
    del arrays[name]
    card = np.array(json.dumps({"format": FORMAT}))
    np.savez(tmp_path / "model.npz", passport=card, **arrays)
    assert f"lacks {name};" in assert_refused(tmp_path / "model.npz")


def test_all_arrays_of_fixed_shape_are_required_in_every_model():
    assert SHAPES.keys() <= {*ARRAYS, *NETWORK}
    assert NETWORK.items() <= SHAPES.items()


@pytest.mark.parametrize("name", SHAPES)
def test_an_array_of_the_wrong_shape_is_refused_and_both_shapes_are_reported(name, tmp_path: Path):
    found = np.ones(SHAPES[name])
    for other in (found[1:], found.T[..., None], np.ones(()), found[..., :0]):
        message = assert_refused(write_npz(tmp_path / "model.npz", **{name: other}))
        assert f"{name} is {other.shape} and not {SHAPES[name]}" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, "1", 1j])
@pytest.mark.parametrize("name", ["network_3_weights", "fusion", "orientation"])
def test_an_array_of_values_that_are_not_numbers_is_refused(name, value, tmp_path: Path):
    damaged = np.full(SHAPES[name], value)
    assert "not numbers" in assert_refused(write_npz(tmp_path / "model.npz", **{name: damaged}))


@pytest.mark.parametrize("name", ["passport", *ARRAYS])
def test_a_missing_array_is_named(name, tmp_path: Path):
    path = tmp_path / "model.npz"
    arrays = {"passport": np.array(json.dumps({"format": FORMAT})), **dict(small_model().arrays)}
    del arrays[name]
    np.savez(path, **arrays)
    assert f"lacks {name};" in assert_refused(path)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("rows", [[], [[0.01, 1.0]], [[0.01, 0.9], [0.02, 0.9], [0.03, 0.0]]])
def test_a_threshold_table_may_have_any_number_of_rows(name, rows, tmp_path: Path):
    table = np.array(rows, np.float64).reshape(-1, 2)
    assert np.array_equal(
        load_model(str(write_npz(tmp_path / "model.npz", **{name: table}))).arrays[name], table
    )


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(
    "table",
    [
        np.array([0.01, 0.9]),
        np.zeros((2, 3)),
        np.array([["0.01", "0.9"]]),
        np.array([[0.01, 0.9]], np.float32),
        np.array([[0.01, np.nan]]),
        np.array([[0.0, 0.9]]),
        np.array([[1.0, 0.9]]),
        np.array([[0.01, 1.1]]),
        np.array([[0.01, -0.1]]),
        np.array([[0.02, 0.9], [0.01, 0.8]]),
        np.array([[0.01, 0.9], [0.01, 0.8]]),
        np.array([[0.01, 0.8], [0.02, 0.9]]),
    ],
)
def test_a_damaged_threshold_table_is_refused(name, table, tmp_path: Path):
    assert name in assert_refused(write_npz(tmp_path / "model.npz", **{name: table}))


def test_a_digit_data_set_is_refused_as_a_model(tmp_path: Path):
    path = tmp_path / "digits.npz"
    np.savez(path, X=np.zeros((2, 28, 28), np.uint8), y=np.zeros(2), writer=np.zeros(2))
    assert_refused(path)


@pytest.mark.parametrize("version", [FORMAT + 1, 0, "1", None])
def test_another_format_version_is_refused(version, tmp_path: Path):
    arrays = dict(small_model().arrays)
    del arrays[ranges_name(FIRST)]  # as in models of an older format
    np.savez(tmp_path / "model.npz", passport=np.array(json.dumps({"format": version})), **arrays)
    message = assert_refused(tmp_path / "model.npz")
    assert f"has model format {version}, this program reads {FORMAT}" in message


@pytest.mark.parametrize("card", ["", "{", "[]", "3", "null", '"text"', "{}", "NaN"])
def test_a_damaged_card_is_refused(card, tmp_path: Path):
    assert_refused(write_npz(tmp_path / "model.npz", passport=np.array(card)))


def test_a_card_that_is_not_text_is_refused(tmp_path: Path):
    assert_refused(write_npz(tmp_path / "model.npz", passport=np.arange(3)))


@pytest.mark.real
def test_the_shipped_model_matches_this_program_and_records_how_it_was_made():
    card = load_model("mail").card
    assert card["settings"] == settings_hash()
    assert {"data", "recipe", "versions"} <= card.keys()


@pytest.mark.real
@pytest.mark.parametrize("use_directory", [True, False])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_models_can_meet_the_default_error_limit_of_a_scan(name, use_directory):
    assert (
        0
        < acceptance_threshold(
            load_model(name), ScanConfig().max_error, use_directory=use_directory
        )
        < 1
    )
