import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from reviewing import DEADLINE, row, unread, write_page
from werkzeug.test import TestResponse

from zipocr.errors import OutputError
from zipocr.images.lookup import Origin, SearchRoot, Sources
from zipocr.results.corrections import CorrectionsFile
from zipocr.review import app
from zipocr.review.app import COOKIE, MAX_BODY_BYTES, Entrance, Review, bind, make_app, serve_at
from zipocr.review.preview import PreviewLoader
from zipocr.review.queue import line_up
from zipocr.review.session import Session
from zipocr.types import Reason, Status

TOKEN = "t0ken"
BASE = "http://127.0.0.1:8123"
ROWS = [
    unread("../secret.png", Reason.UNREADABLE_FILE),
    row("a.png", "02108", 0.1),
    row("<b>&\"'.png", "10001", 0.2),
    row("c.png", confidence=0.999, status=Status.READ),
]
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def review(tmp_path: Path, corrections: CorrectionsFile) -> Iterator[Review]:
    write_page(tmp_path / "in" / "a.png")
    write_page(tmp_path / "secret.png")
    items = line_up(ROWS)
    loader = PreviewLoader(
        [item.row for item in items],
        Sources(roots=(SearchRoot(path=tmp_path / "in"),)),
        Origin(),
        "digits",
    )
    yield Review(
        session=Session(items, corrections),
        loader=loader,
        entrance=Entrance(token=TOKEN),
        next_command="zipocr apply",
    )
    loader.close()


def visitor(review: Review) -> FlaskClient:
    """The first visitor, with the page open."""
    client = make_app(review).test_client()
    assert get(client, "").status_code == 200
    return client


@pytest.fixture
def client(review: Review) -> FlaskClient:
    return visitor(review)


def get(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    return client.get(f"/{TOKEN}/{path}", base_url=BASE, headers=headers)


def post(
    client: FlaskClient, path: str, body: object, token: str = TOKEN, **headers: str
) -> TestResponse:
    sent = {"Origin": BASE, "Content-Type": "application/json", **headers}
    return client.post(
        f"/{token}/{path}",
        base_url=BASE,
        data=json.dumps(body),
        headers={name.replace("_", "-"): value for name, value in sent.items()},
    )


def decision(
    number: int = 1, answer: str = "accept", zip_: str = "02108", **more: object
) -> dict[str, object]:
    return {"number": number, "answer": answer, "zip": zip_, **more}


def json_of(response: TestResponse) -> Any:
    return json.loads(response.data)


@pytest.mark.parametrize(
    "address", ["", "review.css", "review.js", "state", "items/1/crop", "places/10001"]
)
def test_the_resources_of_the_page_are_served_with_security_headers(
    client: FlaskClient, address: str
) -> None:
    response = get(client, address)
    assert response.status_code == 200
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in response.headers


def test_the_page_loads_nothing_external_and_runs_nothing_inline(client: FlaskClient) -> None:
    page = get(client, "").get_data(as_text=True)
    assert "//" not in page.replace("<!DOCTYPE html>", "")
    assert " style=" not in page
    assert " onclick=" not in page
    script = get(client, "review.js").get_data(as_text=True)
    assert not any(
        word in script
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "http:",
            "https:",
        )
    )
    assert not any(
        word in get(client, "review.css").get_data(as_text=True)
        for word in ("url(", "@import", "http")
    )


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "%00", "é"])
@pytest.mark.parametrize("address", ["", "state", "items/1/crop", "review.js", "nothing"])
def test_requests_without_the_token_are_refused(
    client: FlaskClient, token: str, address: str
) -> None:
    response = client.get(f"/{token}/{address}", base_url=BASE)
    assert response.status_code == 403
    assert TOKEN not in response.get_data(as_text=True)


def test_the_first_visitor_gets_a_cookie_and_later_ones_are_refused(
    review: Review, path: Path
) -> None:
    served = make_app(review)
    first, later = served.test_client(), served.test_client()
    assert get(first, "state").status_code == 403
    assert first.head(f"/{TOKEN}/", base_url=BASE).status_code == 403
    cookie = get(first, "").headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=Strict", f"Path=/{TOKEN}/"} == set(cookie.split("; ")[1:])
    assert TOKEN not in cookie.split(";")[0]
    for address in ("", "state", "review.js", "items/1/crop"):
        response = get(later, address)
        assert (response.status_code, "Set-Cookie" in response.headers) == (403, False)
        assert "lets in one browser" in response.get_data(as_text=True)
    assert post(later, "decide", decision()).status_code == 403
    assert path.read_text().count("\n") == 1
    assert get(first, "").status_code == get(first, "state").status_code == 200
    assert post(first, "decide", decision()).status_code == 200


@pytest.mark.parametrize("key", ["", "x", TOKEN, "é", "%00"])
def test_a_wrong_cookie_is_refused(client: FlaskClient, key: str) -> None:
    other = client.application.test_client()
    other.set_cookie(COOKIE, key, domain="127.0.0.1", path=f"/{TOKEN}/")
    assert get(other, "state").status_code == get(other, "").status_code == 403
    assert get(client, "state").status_code == 200


def test_only_one_of_many_simultaneous_visitors_is_let_in(review: Review) -> None:
    served = make_app(review)
    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda _: get(served.test_client(), "").status_code, range(64)))
    assert sorted(codes) == [200, *[403] * 63]


def test_the_root_of_the_server_reveals_nothing(client: FlaskClient) -> None:
    assert client.get("/", base_url=BASE).status_code == 403
    assert client.get("/favicon.ico", base_url=BASE).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8123",
        "127.0.0.1",
        "127.0.0.1:80",
        "localhost.evil.example:8123",
        "[::1]:8123",
    ],
)
def test_another_host_name_is_refused_even_with_the_token(
    client: FlaskClient, path: Path, host: str
) -> None:
    assert get(client, "state", Host=host).status_code == 403
    assert post(client, "decide", decision(), Host=host, Origin=f"http://{host}").status_code == 403
    assert path.read_text().count("\n") == 1


def test_localhost_is_accepted_too(review: Review) -> None:
    client, base = make_app(review).test_client(), "http://localhost:8123"
    assert client.get(f"/{TOKEN}/", base_url=base).status_code == 200
    sent = {"Origin": base, "Content-Type": "application/json"}
    done = client.post(f"/{TOKEN}/decide", base_url=base, data=json.dumps(decision()), headers=sent)
    assert done.status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://evil.example",
        "https://127.0.0.1:8123",
        "http://127.0.0.1:8124",
        "http://127.0.0.1",
    ],
)
@pytest.mark.parametrize("where", ["decide", "undo", "reopen"])
def test_a_request_from_another_origin_changes_nothing(
    client: FlaskClient, path: Path, origin: str, where: str
) -> None:
    assert post(client, where, decision(), Origin=origin).status_code == 403
    assert path.read_text().count("\n") == 1


def test_forms_and_cross_site_requests_change_nothing(client: FlaskClient, path: Path) -> None:
    assert post(client, "decide", decision(), Content_Type=FORM).status_code == 415
    assert post(client, "decide", decision(), Content_Type="text/plain").status_code == 415
    assert post(client, "decide", decision(), Sec_Fetch_Site="cross-site").status_code == 403
    assert path.read_text().count("\n") == 1


@pytest.mark.parametrize("where", ["decide", "undo", "reopen", "state", "", "items/1/look"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_post_changes_anything(
    client: FlaskClient, path: Path, where: str, method: str
) -> None:
    before = json_of(get(client, "state"))["revision"]
    headers = {"Origin": BASE, "Content-Type": "application/json"}
    client.open(
        f"/{TOKEN}/{where}",
        base_url=BASE,
        method=method,
        headers=headers,
        data=json.dumps(decision()),
    )
    assert json_of(get(client, "state"))["revision"] == before
    assert path.read_text().count("\n") == 1


@pytest.mark.parametrize(
    "address",
    [
        "items/..%2f..%2fsecret.png/crop", "items/../../secret.png/crop", "items/a.png/crop", "items/-1/crop",
        "items/99/crop", "items/1e1/crop",
        "..%2fapp.py", "index.html", "review.html", "../app.py", "%2e%2e/app.py", "items/99999999999999999999/crop", "items/3/crop",
    ],
)  # fmt: skip
def test_only_pages_by_number_are_served(client: FlaskClient, address: str) -> None:
    assert get(client, address).status_code in {403, 404}


def test_a_name_that_escapes_the_folder_is_not_opened(client: FlaskClient) -> None:
    response = get(client, "items/0/crop")
    assert response.mimetype == "application/json"
    assert "no such file" in json_of(response)["trouble"]
    assert get(client, "items/0/tiles").status_code == 404


@pytest.mark.parametrize("zip_", ["", "1234", "abcde", "12345-67", "..%2f..", "%3Cscript%3E"])
def test_an_invalid_zip_has_no_place(client: FlaskClient, zip_: str) -> None:
    response = get(client, f"places/{zip_}")
    assert response.status_code == 404 or json_of(response) is None


def test_names_are_data_never_markup(client: FlaskClient) -> None:
    response = get(client, "state")
    assert response.mimetype == "application/json"
    assert json_of(response)["items"][2]["file"] == "<b>&\"'.png"
    refused = get(client, "items/%3Cb%3E")
    assert refused.mimetype == "text/plain"


@pytest.mark.parametrize(
    "body",
    [
        None, [], "x", 3, {}, decision(answer="undone"), decision(answer=""), decision(extra=1), decision(zip_=3), decision(number="1"),  # type: ignore[arg-type]
        decision(number=True), decision(number=1.0), decision(number=None), {"number": 1},  # type: ignore[arg-type]
        decision(number=-1), decision(number=10**30), decision(zip_="1234"), decision(zip_="../x"),
    ],
)  # fmt: skip
def test_a_malformed_decision_changes_nothing(
    client: FlaskClient, path: Path, body: object
) -> None:
    assert post(client, "decide", body).status_code == 400
    assert path.read_text().count("\n") == 1


def test_request_bodies_are_limited(client: FlaskClient, path: Path) -> None:
    assert post(client, "decide", decision(zip_="1" * MAX_BODY_BYTES)).status_code == 413
    headers = {"Origin": BASE, "Content-Type": "application/json"}
    assert (
        client.post(
            f"/{TOKEN}/decide", base_url=BASE, data="[" * (MAX_BODY_BYTES - 1), headers=headers
        ).status_code
        == 400
    )
    assert path.read_text().count("\n") == 1


def test_a_decision_is_saved_before_the_reply_and_the_next_page_follows(
    client: FlaskClient, path: Path
) -> None:
    state = json_of(get(client, "state"))
    assert [item["number"] for item in state["items"]] == [0, 1, 2]
    response = post(client, "decide", decision(zip_="02109-1234"))
    assert response.status_code == 200
    assert "a.png,1,02108,02109-1234,corrected,doubt," in path.read_text()
    assert [item["number"] for item in json_of(response)["state"]["items"]] == [0, 2]
    undone = post(client, "undo", {"revision": json_of(response)["state"]["revision"]})
    assert [item["number"] for item in json_of(undone)["state"]["items"]] == [0, 1, 2]
    assert "a.png,1,02108,,undone,doubt," in path.read_text()


def test_a_page_decided_elsewhere_is_reported_and_not_decided_again(
    client: FlaskClient, path: Path
) -> None:
    post(client, "decide", decision())
    again = post(client, "decide", decision(zip_="99999"))
    assert again.status_code == 409
    assert "a.png, page 1, is already decided: 02108" in json_of(again)["said"]
    assert [item["number"] for item in json_of(again)["state"]["items"]] == [0, 2]
    assert post(client, "undo", {"revision": 0}).status_code == 409
    assert path.read_text().count("\n") == 2


def test_a_full_disk_is_reported_and_nothing_is_decided(
    client: FlaskClient, corrections: CorrectionsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        message = "Cannot write c.csv: No space left on device."
        raise OutputError(message)

    monkeypatch.setattr(corrections, "append", fail)
    response = post(client, "decide", decision())
    assert response.status_code == 507
    assert "No space left" in json_of(response)["said"]
    assert json_of(response)["state"]["items"][1]["number"] == 1


def test_skipped_pages_come_back_when_reopened(client: FlaskClient) -> None:
    for number in range(3):
        post(client, "decide", decision(number, "skip", ""))
    assert json_of(get(client, "state"))["items"] == []
    assert [item["number"] for item in json_of(post(client, "reopen", {}))["state"]["items"]] == [
        0,
        1,
        2,
    ]


def test_an_audit_page_cannot_be_distinguished_from_the_others(
    tmp_path: Path, corrections: CorrectionsFile
) -> None:
    rows = [row("doubt.png", confidence=0.2), row("sure.png", confidence=0.99, status=Status.READ)]
    items = line_up(rows, audit=1)
    loader = PreviewLoader(
        [item.row for item in items],
        Sources(roots=(SearchRoot(path=tmp_path),)),
        Origin(),
        "digits",
    )
    review = Review(
        session=Session(items, corrections),
        loader=loader,
        blind=True,
        entrance=Entrance(token=TOKEN),
    )
    shown = json_of(get(visitor(review), "state"))["items"]
    loader.close()
    assert len(shown) == 2
    one, other = (
        {name: value for name, value in item.items() if name not in {"number", "file"}}
        for item in shown
    )
    assert one == other
    assert "0.2" not in json.dumps(shown)
    assert "0.99" not in json.dumps(shown)


def test_tokens_are_long_and_unique(review: Review) -> None:
    tokens = {
        Review(session=review.session, loader=review.loader).entrance.token for _ in range(20)
    }
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 32


def test_the_port_is_local_and_belongs_to_one_server() -> None:
    with bind(0) as bound:
        host, port = bound.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(OSError, match="in use"):
            bind(port)


@contextmanager
def served(review: Review) -> Iterator[tuple[str, int]]:
    """Serve on a local port."""
    bound = bind(0)
    address = bound.getsockname()
    server = serve_at(bound, make_app(review))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        thread.join()


def start_page(address: tuple[str, int]) -> int:
    connection = HTTPConnection(*address, timeout=DEADLINE)
    connection.request("GET", f"/{TOKEN}/")
    return connection.getresponse().status


HALVES = [
    b"",
    b"GET / HT",
    f"POST /{TOKEN}/decide HTTP/1.1\r\nContent-Length: 99\r\n\r\n{{".encode(),
]


@pytest.mark.parametrize("half", HALVES)
def test_silent_connections_make_room_for_new_ones(
    review: Review, monkeypatch: pytest.MonkeyPatch, half: bytes
) -> None:
    monkeypatch.setattr(app, "MAX_CONNECTIONS", 4)
    with served(review) as address, ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(address, DEADLINE)) for _ in range(4)
        ]
        for one in silent:
            one.sendall(half)
        assert start_page(address) == 200
        while silent[0].recv(4096):
            pass


def test_a_silent_connection_is_closed(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app._Quiet, "timeout", 0.05)
    with served(review) as address, socket.create_connection(address, DEADLINE) as silent:
        silent.sendall(b"GET / HT")
        assert silent.recv(4096) == b""


def test_a_malformed_request_is_not_logged(
    review: Review, caplog: pytest.LogCaptureFixture
) -> None:
    with served(review) as address, socket.create_connection(address, DEADLINE) as odd:
        odd.sendall(b"\x1b[2J\r\n\r\n")
        while odd.recv(4096):
            pass
    assert not caplog.records
