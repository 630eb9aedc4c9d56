import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from zipocr.errors import OutputError
from zipocr.storage.atomic import (
    Version,
    WholeFile,
    _part_name,
    version_of,
    write_whole,
    written_whole,
)


def test_the_file_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "new"
    with WholeFile(path) as file:
        file.write(b"whole")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_contents_are_synced_before_the_rename_and_the_folder_after_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, synced = tmp_path / "new", []

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append((found.st_ino, stat.S_ISREG(found.st_mode) and found.st_size, path.exists()))

    monkeypatch.setattr("zipocr.storage.atomic.os.fsync", fsync)
    write_whole(path, b"whole")
    contents, name = (path.stat().st_ino, 5, False), (tmp_path.stat().st_ino, False, True)
    assert synced == [contents, name]


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), WholeFile(path) as file:  # noqa: PT012 - what was written before the error matters
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_stream_passed_to_libraries_is_published_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with written_whole(path) as stream:
        stream.write(b"-tail")
        stream.seek(0)
        stream.write(b"h")
        assert not path.exists()
    assert path.read_bytes() == b"htail"
    with pytest.raises(RuntimeError), written_whole(path):
        raise RuntimeError
    assert path.read_bytes() == b"htail"


def test_errors_raised_inside_the_block_are_not_reported_as_file_errors(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError), WholeFile(tmp_path / "x"):
        raise ConnectionError


@pytest.mark.parametrize("place", ["missing/x", "."])
def test_an_unwritable_path_is_an_output_error(tmp_path: Path, place: str) -> None:
    with pytest.raises(OutputError, match="Cannot write"):
        write_whole(tmp_path / place, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.posix
def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_gets_default_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "new", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_device_is_written_to_and_not_replaced() -> None:
    write_whole(Path(os.devnull), b"gone")
    assert not Path(os.devnull).is_file()


@pytest.mark.posix
def test_a_full_disk_is_an_output_error() -> None:
    with pytest.raises(OutputError, match="No space left"):
        write_whole(Path("/dev/full"), b"x" * 100_000)


def test_leftovers_of_a_killed_process_are_removed_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "file"
    kill_at_publication(path, "replace")
    assert [left.name for left in tmp_path.iterdir()] == [_part_name(path.name)]
    write_whole(path, b"whole")
    assert [left.name for left in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"whole"


def test_a_file_published_just_before_a_kill_is_not_touched_by_the_next_writer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    kill_at_publication(path, "unlink", force=False)
    assert path.read_bytes() == b"killed"
    with pytest.raises(OutputError, match="was created or changed"):
        write_whole(path, b"other", force=False)
    assert path.read_bytes() == b"killed"
    assert [left.name for left in tmp_path.iterdir()] == ["file"]


KILLED = """
import os, signal, sys
from pathlib import Path
from zipocr.storage.atomic import Version, WholeFile, _part_name, version_of, write_whole, written_whole
Path.{call} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
write_whole(Path(sys.argv[1]), b"killed", force={force})
"""


def kill_at_publication(path: Path, call: str, *, force: bool = True) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(call=call, force=force), path], check=False
    )
    assert done.returncode == -signal.SIGKILL


def test_a_second_writer_of_the_same_file_is_refused(tmp_path: Path) -> None:
    with WholeFile(tmp_path / "x") as first:
        first.write(b"first")
        with (
            pytest.raises(OutputError, match="Another process is writing"),
            WholeFile(tmp_path / "x"),
        ):
            pass
    assert (tmp_path / "x").read_bytes() == b"first"


@pytest.mark.posix
def test_a_partial_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / _part_name("x")).symlink_to(tmp_path / "secret")
    with pytest.raises(OutputError, match="Cannot write"):
        write_whole(tmp_path / "x", b"data")
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_only_the_known_file_is_replaced_without_force(tmp_path: Path) -> None:
    path = tmp_path / "x"
    known: set[Version] = set()
    write_whole(path, b"1", force=False, known=known)
    assert version_of(path) in known
    write_whole(path, b"2", force=False, known=known)
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="created or changed"):
        write_whole(path, b"3", force=False, known=known)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_interrupted_right_after_publishing_still_knows_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    known: set[Version] = set()
    with monkeypatch.context() as patch:
        patch.setattr("zipocr.storage.atomic.sync_folder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_whole(tmp_path / "x", b"1", force=False, known=known)
    assert version_of(tmp_path / "x") in known
    write_whole(tmp_path / "x", b"2", force=False, known=known)


def test_a_new_file_is_created_even_without_hard_link_support(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("zipocr.storage.atomic.os.link", no_link)
    write_whole(tmp_path / "x", b"1", force=False)
    with pytest.raises(OutputError, match="was created or changed"):
        write_whole(tmp_path / "x", b"2", force=False)
    assert (tmp_path / "x").read_bytes() == b"1"
