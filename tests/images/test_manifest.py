import os
import subprocess
import sys
from pathlib import Path

import pytest

from zipocr.errors import InputError
from zipocr.images.listing import ImageFile
from zipocr.images.manifest import open_manifest

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def names(path: Path) -> list[str]:
    manifest = open_manifest(path)
    found = [file.name for file in manifest.files()]
    assert manifest.count == len(found)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a.png\nb/c.png\n", ["a.png", "b/c.png"]),
        (b"a.png\r\n\r\nb.png", ["a.png", "b.png"]),
        (b'\xef\xbb\xbfa, b.png\n"q".png\n', ["a, b.png", '"q".png']),
        (b'id,path\n1,a.png\n2,"b, c.png"\n', ["a.png", "b, c.png"]),
        (b"path\n\na.png\n", ["a.png"]),
        (b"a\xff.png\n", ["a\udcff.png"]),
        (b"s3://b/k 1.png\n", ["s3://b/k 1.png"]),
        (b"", []),
        (b"file,zip\na.png,02108\n", ["a.png"]),
        (b"Zip,File\n,b.png\n", ["b.png"]),
        (b"file,path\nx.png,in/x.png\n", ["in/x.png"]),
        (b"file\n./=x\\xff.png\n", ["=x\udcff.png"]),
        (b"path\n./=x\\xff.png\n", ["./=x\\xff.png"]),
    ],
)
def test_lines_and_csv_are_read(tmp_path: Path, text: bytes, expected: list[str]) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(text)
    assert names(path) == expected


def test_parquet_is_read_whatever_its_name_and_text_type(tmp_path: Path) -> None:
    paths = [f"{number}.png" for number in range(12_000)]
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        parquet.write_table(
            pa.table({"id": range(12_000), "path": pa.array(paths).cast(kind)}),
            tmp_path / "list",
            row_group_size=7_000,
        )
        assert names(tmp_path / "list") == paths


def test_relative_paths_are_relative_to_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "list.txt").write_text("a.png\n/b.png\ns3://bucket/c.png\n")
    monkeypatch.chdir(tmp_path)
    assert list(open_manifest(Path("lists/list.txt")).files()) == [
        ImageFile(place=str(tmp_path.resolve() / "lists" / "a.png"), name="a.png"),
        ImageFile(place="/b.png", name="/b.png"),
        ImageFile(place="s3://bucket/c.png", name="s3://bucket/c.png"),
    ]


def test_an_invalid_path_is_reported_with_its_position(tmp_path: Path) -> None:
    path = tmp_path / "list"
    for text, place in (
        (b"a.png\nb\0.png\n", "Line 2"),
        (b"id,path\n1,a.png\n2,\n", "Line 3"),
        (b"id,path\n1\n", "Line 2"),
    ):
        path.write_bytes(text)
        with pytest.raises(InputError, match=f"{place} of the manifest .*list is not a path"):
            open_manifest(path)
    parquet.write_table(pa.table({"path": ["a.png", None]}), path)
    with pytest.raises(InputError, match="Row 2 of the manifest"):
        open_manifest(path)
    parquet.write_table(pa.table({"path": [1, 2]}), path)
    with pytest.raises(InputError, match="Row 1 of the manifest"):
        open_manifest(path)


def test_parquet_without_a_file_column_is_refused_with_the_columns_it_has(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"name": ["a.png"], "id": [1]}), tmp_path / "list")
    with pytest.raises(InputError, match="has no column 'path' or 'file', but name, id"):
        open_manifest(tmp_path / "list")


def test_a_file_column_of_parquet_is_read_as_results_write_it(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"file": ["./-a.png", "b.png"]}), tmp_path / "list")
    assert names(tmp_path / "list") == ["-a.png", "b.png"]


@pytest.mark.parametrize("header", ["name,zip", "image", "filename;zip"])
def test_a_header_without_a_file_column_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"{header}\na.png,02108\n")
    with pytest.raises(
        InputError, match=f"begins with '{header}', .* name the column of the files path or file"
    ):
        open_manifest(path)


def test_a_first_line_that_is_a_file_is_not_a_header(tmp_path: Path) -> None:
    (tmp_path / "scan1").touch()
    (tmp_path / "list").write_text("scan1\nb.png\n")
    assert names(tmp_path / "list") == ["scan1", "b.png"]


@pytest.mark.parametrize("data", [b"PAR1", b"PAR1 and nothing more PAR1", b'path\n"a\n'])
def test_a_damaged_manifest_is_an_input_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "list").write_bytes(data)
    with pytest.raises(InputError, match="manifest"):
        open_manifest(tmp_path / "list")


def test_a_manifest_that_cannot_be_opened_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot read the manifest"):
        open_manifest(tmp_path)


def test_manifests_are_identified_by_their_contents(tmp_path: Path) -> None:
    for name, text in (("a", "1.png\n"), ("b", "1.png\n"), ("c", "2.png\n")):
        (tmp_path / name).write_text(text)
    first, same, other = (open_manifest(tmp_path / name).sha256 for name in "abc")
    assert first == same != other


_COUNT = """
import sys, tracemalloc
from pathlib import Path
from zipocr.images.manifest import open_manifest
tracemalloc.start()
print(sum(1 for _ in open_manifest(Path(sys.argv[1])).files()), tracemalloc.get_traced_memory()[1])
"""


def test_a_manifest_is_never_held_in_memory_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(
        "".join(f"{os.fspath(tmp_path)}/{number % 1000}.png\n" for number in range(160_000))
    )
    # In a separate process: Python's table of interned path names grows with every path that a
    # process has seen.
    found = subprocess.run(
        [sys.executable, "-c", _COUNT, path], capture_output=True, text=True, check=True
    )
    count, most = map(int, found.stdout.split())
    assert count == 160_000
    assert most < path.stat().st_size / 4
