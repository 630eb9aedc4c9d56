"""Files on S3, read from a stand-in for it on this machine."""

import errno
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import fakes
import pytest
import scanner
from PIL import Image

from zipocr import remote
from zipocr.errors import InputError
from zipocr.images import ImageFile, stamped
from zipocr.remote import Url, etag, fetch

pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")

DEADLINE = 120
COUNT = 12
BUCKET = "mail"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a server and give the environment that leads to it."""
    log = tmp_path_factory.mktemp("s3") / "log"
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("wb") as talk, subprocess.Popen(words, stdout=talk, stderr=talk, start_new_session=True) as process:
        try:
            address = _address(log)
            names = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
            yield {**names, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def _address(log: Path) -> str:
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        for line in log.read_text().splitlines():
            if "Running on http://" in line:
                return line.rpartition("Running on ")[2].strip()
        time.sleep(0.05)
    raise TimeoutError


@pytest.fixture
def bucket(s3: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Lead this process to the server, and fill a bucket."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    remote._s3.cache_clear()
    urllib.request.urlopen(urllib.request.Request(f"{s3['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")).close()
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir(BUCKET)
    yield BUCKET
    remote._s3.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


def put(name: str, data: bytes) -> str:
    url = f"s3://{BUCKET}/{name}"
    s3fs.S3FileSystem().pipe_file(url, data)
    return url


@pytest.mark.usefixtures("bucket")
def test_a_file_is_fetched_as_it_is() -> None:
    for name, data in (("a.png", b"some bytes"), ("a folder/ä #?+%.png", bytes(range(256)) * 999), ("empty.png", b"")):
        assert fetch(Url(put(name, data)), most=10**6) == data


@pytest.mark.usefixtures("bucket")
def test_of_a_file_that_is_too_large_only_the_beginning_is_fetched() -> None:
    assert fetch(Url(put("large", b"x" * 1000)), most=10) == b"x" * 11


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("url", [f"s3://{BUCKET}/missing.png", "s3://no-such-bucket/a.png"])
def test_a_file_that_is_not_there_is_told_as_on_a_disk(url: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fetch(Url(url), most=10)
    assert caught.value.strerror == "No such file or directory"


@pytest.mark.usefixtures("bucket")
def test_a_file_on_s3_is_told_from_its_successor_of_the_same_size() -> None:
    places = [put(f"{number}.png", b"old") for number in range(3)]
    places += [f"s3://{BUCKET}/missing.png", __file__]
    files = [ImageFile(place=place, name=place) for place in places]
    before = dict(stamped(files))
    assert list(before) == files
    put("1.png", b"new")
    after = dict(stamped(files))
    assert [file for file in files if after[file] != before[file]] == [files[1]]
    assert before[files[3]] == ""


def test_other_urls_are_not_followed() -> None:
    for url in ("http://localhost/a.png", "file:///etc/passwd", "github://a:b@main/c"):
        with pytest.raises(OSError, match="only those that begin with s3://") as caught:
            fetch(Url(url), most=10)
        assert caught.value.errno == errno.EPROTONOSUPPORT
        assert etag(Url(url)) == ""


def test_an_s3_that_cannot_be_reached_is_not_the_file_s_fault(monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    with pytest.raises(InputError, match=r"could not be fetched .*the same command goes on"):
        fetch(Url(f"s3://{bucket}/a.png"), most=10)


REFUSALS = {"AccessDenied": PermissionError, "ExpiredToken": InputError, "InternalError": InputError}


@pytest.mark.parametrize("code", REFUSALS)
def test_what_may_not_be_read_is_told_from_trouble_with_all_files(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    class Refusing:
        def cat_file(self, *_: object, **__: object) -> bytes:
            cause = ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")
            raise translate_boto_error(cause) from cause

    monkeypatch.setattr(remote, "_s3", Refusing)
    with pytest.raises(REFUSALS[code]):
        fetch(Url("s3://b/k"), most=10)


def test_without_the_extra_it_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    remote._s3.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'zipocr\[s3\]'"):
        fetch(Url("s3://b/k"), most=10)


@pytest.mark.usefixtures("bucket")
def test_a_manifest_of_urls_gives_the_rows_of_the_files(s3: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    names = [f"{number:02}.png" for number in range(COUNT)]
    for number, name in enumerate(names):
        Image.fromarray(fakes.page(ink=number)).save(tmp_path / "in" / name)
    (tmp_path / "in" / names[3]).write_text("no image")
    for name in names:
        put(name, (tmp_path / "in" / name).read_bytes())
    urls = [f"s3://{BUCKET}/{name}" for name in names]
    (tmp_path / "list.csv").write_text("id,path\n" + "".join(f"1,{url}\n" for url in [*urls, f"s3://{BUCKET}/gone.png"]))
    program, env = [sys.executable, "-P", scanner.__file__], {**os.environ, **s3}
    words = ["--manifest", tmp_path / "list.csv", "--out-dir", tmp_path / "parts", "--shard-size", "5", "--jobs", "2"]
    done = subprocess.run([*program, "scan", *words], check=False, capture_output=True, env=env, timeout=DEADLINE)
    assert done.returncode == 1, done.stderr
    assert f"failed: s3://{BUCKET}/gone.png: No such file or directory" in done.stderr.decode()
    subprocess.run([*program, "merge", tmp_path / "parts", "-o", tmp_path / "merged.csv"], check=True, env=env, capture_output=True)
    subprocess.run([*program, "scan", tmp_path / "in", "-o", tmp_path / "plain.csv"], check=False, env=env, capture_output=True)
    expected = (tmp_path / "plain.csv").read_text().splitlines()
    merged = (tmp_path / "merged.csv").read_text().splitlines()
    assert merged[:-1] == [expected[0], *(f"s3://{BUCKET}/{row}" for row in expected[1:])]
    assert merged[-1] == f"s3://{BUCKET}/gone.png,1,,,,unread,unreadable_file,,,,,"
