"""Files on S3, read from a local stand-in."""

import errno
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import fakes
import objectstore
import pytest
import scanner
from click.testing import CliRunner
from PIL import Image
from waiting import wait_until

from zipocr.cli import main, manifest
from zipocr.cli.runs import patience_of
from zipocr.config import ScanConfig
from zipocr.errors import InputError
from zipocr.images import s3 as remote
from zipocr.images.listing import ImageFile, stamped
from zipocr.images.s3 import Url, etag, fetch
from zipocr.results.parquet_file import read_rows

pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")

DEADLINE = 120
QUICK = 20.0
"""Seconds; generous, since not every machine is idle."""
COUNT = 12
BUCKET = "mail"
Serve = Callable[[objectstore.Answer], objectstore.Server]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a server and return the environment that points to it."""
    log = tmp_path_factory.mktemp("s3") / "log"
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with (
        log.open("wb") as talk,
        subprocess.Popen(words, stdout=talk, stderr=talk, start_new_session=True) as process,
    ):
        try:
            address = _address(log)
            names = {
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            yield {
                **names,
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
            }
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
    """Point this process at the server, and create a bucket."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    remote._s3.cache_clear()
    urllib.request.urlopen(
        urllib.request.Request(f"{s3['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")
    ).close()
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
def test_a_file_is_fetched_unchanged() -> None:
    for name, data in (
        ("a.png", b"some bytes"),
        ("a folder/ä #?+%.png", bytes(range(256)) * 999),
        ("empty.png", b""),
    ):
        assert fetch(Url(put(name, data)), most=10**6) == data


@pytest.mark.usefixtures("bucket")
def test_only_the_beginning_of_a_file_that_is_too_large_is_fetched() -> None:
    assert fetch(Url(put("large", b"x" * 1000)), most=10) == b"x" * 11


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("url", [f"s3://{BUCKET}/missing.png", "s3://no-such-bucket/a.png"])
def test_a_missing_file_gives_the_same_error_as_on_disk(url: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fetch(Url(url), most=10)
    assert caught.value.strerror == "No such file or directory"


@pytest.mark.usefixtures("bucket")
def test_a_file_on_s3_is_distinguished_from_its_replacement_of_the_same_size() -> None:
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


@pytest.fixture(scope="module")
def objects() -> Iterator[objectstore.Server]:
    """A server whose answers can be set."""
    with objectstore.serving(objectstore.is_silent) as server:
        yield server


@pytest.fixture
def answer(objects: objectstore.Server, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Point this process at that server, and set its answer."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", objects.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def answer(how: objectstore.Answer) -> objectstore.Server:
        objects.answer, objects.asked = how, 0
        return objects

    return answer


def ask(patience: float = DEADLINE, url: str = "s3://b/k", most: int = 100) -> bytes:
    remote._s3(patience).connect()  # so that connecting does not use up the patience
    return fetch(Url(url, patience=patience), most=most)


def test_an_unreachable_s3_ends_the_run(monkeypatch: pytest.MonkeyPatch, bucket: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    message = r"Could not connect to .*given up after 0.3 s.*the same command continues"
    with pytest.raises(InputError, match=message):
        ask(0.3, f"s3://{bucket}/a.png")


SLOW = {
    "silent": objectstore.is_silent,
    "drips": objectstore.drips,
    "breaks off": objectstore.breaks_off,
    "busy": objectstore.refuses(503, "SlowDown"),
    "broken": objectstore.refuses(500, "InternalError"),
    "throttled": objectstore.refuses(400, "RequestTimeout"),
}


@pytest.mark.parametrize("kind", SLOW)
def test_running_out_of_patience_is_not_blamed_on_the_file(answer, kind: str) -> None:
    answer(SLOW[kind])
    began = time.monotonic()
    message = r"given up after 0.3 s, see --patience\).*the same command continues"
    with pytest.raises(InputError, match=message):
        ask(0.3)
    assert time.monotonic() - began < QUICK


@pytest.mark.parametrize("kind", ["silent", "breaks off", "busy"])
def test_temporary_trouble_costs_nothing(answer, kind: str) -> None:
    server = answer(objectstore.after(1, SLOW[kind], objectstore.gives(b"data")))
    assert ask(3.0 if kind == "silent" else DEADLINE) == b"data"
    assert server.asked == 2


def test_only_the_beginning_of_an_endless_file_is_fetched(answer) -> None:
    answer(objectstore.pours)
    assert ask(most=10**6) == bytes(10**6 + 1)


def test_contents_are_identified_by_their_etag(answer) -> None:
    remote._s3(DEADLINE).connect()
    answer(objectstore.names('"a1"'))
    assert etag(Url("s3://b/k", patience=DEADLINE)) == '"a1"'
    answer(objectstore.refuses(404, "NoSuchKey"))
    assert etag(Url("s3://b/k", patience=DEADLINE)) == etag(Url("http://b/k")) == ""
    answer(objectstore.is_silent)
    remote._s3(0.3).connect()
    with pytest.raises(InputError, match="see --patience"):
        etag(Url("s3://b/k", patience=0.3))


REFUSALS = {
    (403, "AccessDenied"): PermissionError,
    (404, "NoSuchKey"): FileNotFoundError,
    (403, "InvalidObjectState"): OSError,
    (400, "InvalidRequest"): OSError,
    (405, "MethodNotAllowed"): OSError,
    (403, "InvalidAccessKeyId"): InputError,
    (403, "SignatureDoesNotMatch"): InputError,
    (400, "ExpiredToken"): InputError,
    (401, "Unauthorized"): InputError,
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_an_error_about_one_file_does_not_end_the_run(answer, refusal: tuple[int, str]) -> None:
    server = answer(objectstore.refuses(*refusal))
    with pytest.raises(REFUSALS[refusal]) as caught:
        ask()
    assert server.asked == 1
    assert not str(caught.value).endswith("()")


def test_an_archived_file_is_reported_in_plain_words(answer) -> None:
    answer(objectstore.refuses(403, "InvalidObjectState"))
    with pytest.raises(OSError, match="archived") as caught:
        ask()
    assert caught.value.strerror == "archived; it must be restored before it can be read"


def test_messages_of_a_server_never_reach_a_terminal_raw(answer) -> None:
    answer(objectstore.refuses(400, "InvalidRequest", "a&#10;b &#155;31m" + 999 * "x"))
    with pytest.raises(OSError, match="a b") as caught:
        ask()
    assert str(caught.value.strerror).isprintable()
    assert len(str(caught.value.strerror)) < 400


@pytest.mark.parametrize(
    "url", ["s3://", "s3://b", "s3://b/", "s3:///k", "s3://a b/k", "s3://\x1b[2J/k"]
)
def test_an_invalid_url_is_an_error_of_that_file_alone(answer, url: str) -> None:
    server = answer(objectstore.gives(b"data"))
    with pytest.raises(OSError, match=r"no address of an object, which looks like s3://bucket/key"):
        ask(url=url)
    assert server.asked == 0


def test_a_missing_extra_is_reported_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
    (tmp_path / "list.csv").write_text(
        "id,path\n" + "".join(f"1,{url}\n" for url in [*urls, f"s3://{BUCKET}/gone.png"])
    )
    program, env = [sys.executable, "-P", scanner.__file__], {**os.environ, **s3}
    words = [
        "--manifest",
        tmp_path / "list.csv",
        "--out-dir",
        tmp_path / "parts",
        "--shard-size",
        "5",
        "--jobs",
        "2",
    ]
    done = subprocess.run(
        [*program, "scan", *words], check=False, capture_output=True, env=env, timeout=DEADLINE
    )
    assert done.returncode == 1, done.stderr
    assert f"failed: s3://{BUCKET}/gone.png: No such file or directory" in done.stderr.decode()
    subprocess.run(
        [*program, "merge", tmp_path / "parts", "-o", tmp_path / "merged.csv"],
        check=True,
        env=env,
        capture_output=True,
    )
    subprocess.run(
        [*program, "scan", tmp_path / "in", "-o", tmp_path / "plain.csv"],
        check=False,
        env=env,
        capture_output=True,
    )
    expected = (tmp_path / "plain.csv").read_text().splitlines()
    merged = (tmp_path / "merged.csv").read_text().splitlines()
    assert merged[:-1] == [expected[0], *(f"s3://{BUCKET}/{row}" for row in expected[1:])]
    assert merged[-1] == f"s3://{BUCKET}/gone.png,1,,,,unread,unreadable_file,,,,,,"


@pytest.fixture
def waiting_scan(tmp_path: Path, answer: Serve):
    """Scan two crops, the second of which is on a server whose answer can be set."""
    Image.fromarray(fakes.page(ink=7)).save(tmp_path / "0.png")
    (tmp_path / "list").write_text("0.png\ns3://b/1.png\n")
    folder = tmp_path / "parts"

    def scan(how: objectstore.Answer, *words: str) -> subprocess.CompletedProcess[str]:
        answer(how)
        program = [sys.executable, "-P", scanner.__file__, "scan", "--manifest", tmp_path / "list"]
        command = [*program, "--out-dir", folder, "--shard-size", "1", "--jobs", "1", *words]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    return scan


def test_a_server_that_does_not_answer_costs_no_page(waiting_scan, tmp_path: Path) -> None:
    page = (tmp_path / "0.png").read_bytes()
    # With worker processes, where a page that takes as long as --timeout is given up.
    lost = waiting_scan(objectstore.is_silent, "--timeout", "40", "--patience", "0.5")
    assert lost.returncode == InputError.exit_code, lost.stderr
    assert "Traceback" not in lost.stderr
    assert "s3://b/1.png could not be fetched" in lost.stderr
    assert "When S3 can be reached again, the same command continues" in lost.stderr
    assert waiting_scan(objectstore.gives(page)).returncode == 0
    parts = sorted((tmp_path / "parts").glob("*.parquet"))
    here, there = (row for part in parts for row in read_rows(part))
    assert there == replace(here, file="s3://b/1.png")


def test_a_file_that_cannot_be_fetched_costs_only_its_row(waiting_scan) -> None:
    done = waiting_scan(objectstore.refuses(403, "InvalidObjectState"))
    assert done.returncode == 1
    assert "failed: s3://b/1.png: archived; it must be restored" in done.stderr
    assert "2 crops" in done.stderr


def test_patience_is_always_less_than_the_page_timeout(tmp_path: Path) -> None:
    (tmp_path / "list").touch()
    words = ["scan", "--manifest", tmp_path / "list", "--out-dir", tmp_path / "parts", "--patience"]
    for allowed, more in (("60", []), ("3", ["--timeout", "3"])):
        done = CliRunner().invoke(main, [*map(str, words), allowed, *more])
        message = f"--patience must be less than --timeout, which is {allowed}."
        assert (done.exit_code, message in done.stderr) == (2, True)
    assert patience_of(ScanConfig()) == 30
    assert patience_of(ScanConfig(timeout=3.0)) == 1.5
    assert patience_of(ScanConfig(timeout=3.0, patience=2.0)) == 2


def test_the_file_waited_for_is_named_once_it_takes_long(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(manifest, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(manifest, "TELL_AFTER", 0.05)
    files = [ImageFile(place=name, name=name) for name in ("a.png", "s3://b/\x1b.png")]
    notice = manifest.WaitNotice(config=ScanConfig())
    said: list[str] = []

    def is_reported() -> bool:
        said.append(capsys.readouterr().err)
        return any(said)

    def read(files: Iterator[ImageFile]) -> Iterator[ImageFile]:
        first, second = files
        yield first
        assert wait_until(is_reported, deadline=DEADLINE)
        yield second

    assert list(notice.watched(read(notice.noted(iter(files))))) == files
    assert "".join(said) == "still waiting for s3://b/\\x1b.png\n"
