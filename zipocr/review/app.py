"""The web server of a review, for one browser on this machine.

Every address begins with a secret token. Other users can read it in the command line of the
browser, so it only admits the first visitor, who gets a cookie that is required from then on.
Requests with another host name or origin are refused, so that other sites cannot talk to this one,
even by DNS rebinding. Pages are identified by their number in the queue, never by a path. Only POST
changes anything.
"""

import hmac
import json
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from importlib import resources
from threading import Lock
from typing import Any

from flask import Flask, Request, Response, abort, after_this_request, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler

from zipocr.errors import OutputError
from zipocr.results.cells import to_cell
from zipocr.results.corrections import is_zip
from zipocr.review.preview import PreviewLoader
from zipocr.review.queue import Item
from zipocr.review.session import Answer, Conflict, Refused, Session
from zipocr.review.words import WHY
from zipocr.types import Reason

LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 4096
COOKIE = "zipocr-review"
MAX_CONNECTIONS = 64
"""Maximum number of connections; another one closes the oldest, so that idle ones do no harm."""
MAX_SILENCE = 30.0
"""Seconds for which a connection may be idle."""
AHEAD = 3
"""Number of pages sent at once: the current one and the next ones."""
READ_AHEAD = 6
USED = (
    "The address that zipocr review printed lets in one browser, and was opened in one before. "
    "If that was not yours, end the review with Ctrl-C and look at what was decided. "
    "Start it again for another address."
)
FILES = {
    "": ("index.html", "text/html"),
    "review.css": ("review.css", "text/css"),
    "review.js": ("review.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def _secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass(slots=True, kw_only=True, eq=False)
class Entrance:
    """Admission of the first visitor who knows the token, and then of whoever has the key.

    Attributes
    ----------
    token : str
        Prefix of every address.
    """

    token: str = field(default_factory=_secret)
    _key: str = field(default_factory=_secret)
    _is_used: bool = False
    _lock: Lock = field(default_factory=Lock)

    @property
    def start(self) -> str:
        """Path of the page."""
        return f"/{self.token}/"

    def is_known(self, asked: Request) -> bool:
        """Return whether a request has the key."""
        return _is_same(asked.cookies.get(COOKIE, ""), self._key)

    def is_first(self, asked: Request) -> bool:
        """Return whether this is the first visit."""
        if asked.method != "GET" or asked.path != self.start:
            return False
        with self._lock:
            is_first, self._is_used = not self._is_used, True
        return is_first

    def give_key(self, response: Response) -> None:
        """Set the cookie with the key, for this review and this site only."""
        response.set_cookie(COOKIE, self._key, path=self.start, httponly=True, samesite="Strict")


def _is_same(given: str, secret: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Review:
    """The review that is served.

    Attributes
    ----------
    session : Session
        Decisions, and what comes next.
    loader : PreviewLoader
        Loader of pages, by their number in the session.
    blind : bool
        Whether to hide what distinguishes pages of the audit: confidence, and that it is low.
    next_command : str
        The command to suggest when all is decided.
    entrance : Entrance
        Admission of visitors.
    """

    session: Session
    loader: PreviewLoader
    blind: bool = False
    next_command: str = ""
    entrance: Entrance = field(default_factory=Entrance)


def make_app(review: Review) -> Flask:
    """Create the application that serves a review."""
    app = Flask("zipocr.review", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.before_request(lambda: _guard(request, review.entrance))
    app.after_request(_secure)
    app.register_error_handler(HTTPException, _refuse)
    pages = Pages(review)
    for rule, view, method in (
        ("/<token>/", pages.file, "GET"),
        ("/<token>/<any('review.css','review.js'):name>", pages.file, "GET"),
        ("/<token>/state", pages.state, "GET"),
        ("/<token>/items/<int:number>/crop", pages.crop, "GET"),
        ("/<token>/items/<int:number>/look", pages.look, "GET"),
        ("/<token>/items/<int:number>/tiles", pages.tiles, "GET"),
        ("/<token>/places/<zip_>", pages.place, "GET"),
        ("/<token>/decide", pages.decide, "POST"),
        ("/<token>/undo", pages.undo, "POST"),
        ("/<token>/reopen", pages.reopen, "POST"),
    ):
        app.add_url_rule(rule, rule, view, methods=[method])
    return app


def _guard(asked: Request, entrance: Entrance) -> None:
    """Refuse requests that do not come from the page."""
    port = asked.environ.get("SERVER_PORT", "")
    if asked.headers.get("Host") not in {f"{LOOPBACK}:{port}", f"localhost:{port}"}:
        abort(HTTPStatus.FORBIDDEN, "This address is not the one that zipocr review printed.")
    given = asked.path.removeprefix("/").partition("/")[0]
    if not _is_same(given, entrance.token):
        abort(
            HTTPStatus.FORBIDDEN,
            "This is not the address that zipocr review printed, or that of an earlier review.",
        )
    if not entrance.is_known(asked):
        if not entrance.is_first(asked):
            abort(HTTPStatus.FORBIDDEN, USED)
        after_this_request(lambda response: _with_key(response, entrance))
    if asked.view_args is not None:
        asked.view_args.pop("token", None)
    if asked.method not in {"GET", "HEAD"}:
        _guard_change(asked)


def _guard_change(asked: Request) -> None:
    """Refuse changes that do not come from the page."""
    if asked.headers.get("Origin") != f"http://{asked.headers.get('Host')}":
        abort(HTTPStatus.FORBIDDEN, "Another page asks for this.")
    if asked.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        abort(HTTPStatus.FORBIDDEN, "Another page asks for this.")
    if asked.mimetype != "application/json":
        abort(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "JSON is wanted.")


def _with_key(response: Response, entrance: Entrance) -> Response:
    entrance.give_key(response)
    return response


def _secure(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


def _refuse(error: HTTPException) -> Response:
    """Refuse in plain text, which needs no escaping."""
    response = Response(f"{error.description}\n", status=error.code, mimetype="text/plain")
    if error.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        response.headers["Connection"] = "close"
    return response


class Pages:
    """The views of the application."""

    def __init__(self, review: Review) -> None:
        self._review = review
        self._session = review.session
        self._loader = review.loader

    def file(self, name: str = "") -> Response:
        """Return the page, its style or its script."""
        file, kind = FILES[name]
        return Response(
            (resources.files("zipocr.review") / "page" / file).read_bytes(), mimetype=kind
        )

    def state(self) -> Response:
        """Return the next pages and the progress."""
        return _json(self._state())

    def crop(self, number: int) -> Response:
        """Return a page as PNG, or the reason why it cannot be shown."""
        crop = self._loader.crop(self._known(number))
        return (
            _json({"trouble": crop})
            if isinstance(crop, str)
            else Response(crop, mimetype="image/png")
        )

    def look(self, number: int) -> Response:
        """Return the details of reading a page again."""
        look = self._loader.look(self._known(number))
        strings = [[text, None if self._review.blind else share] for text, share in look.strings]
        shapes = [asdict(shape) for shape in look.shapes]
        return _json(
            {
                "zip": look.zip,
                "shapes": shapes,
                "strings": strings,
                "tiles": bool(look.tiles),
                "trouble": look.trouble,
            }
        )

    def tiles(self, number: int) -> Response:
        """Return the digits of a page as PNG."""
        look = self._loader.look(self._known(number))
        return (
            Response(look.tiles, mimetype="image/png")
            if look.tiles
            else abort(HTTPStatus.NOT_FOUND)
        )

    def place(self, zip_: str) -> Response:
        """Return the city and state of a ZIP."""
        place = self._loader.place(zip_) if is_zip(zip_) else None
        return _json({"city": place.city, "state": place.state} if place else None)

    def decide(self) -> Response:
        """Record a decision."""
        body = _body(number=int, answer=str, zip=str)
        if body["answer"] not in set(Answer):
            abort(HTTPStatus.BAD_REQUEST, "There is no such answer.")
        return self._change(
            lambda: self._session.decide(body["number"], Answer(body["answer"]), body["zip"])
        )

    def undo(self) -> Response:
        """Undo the latest decision."""
        revision = _body(revision=int)["revision"]
        return self._change(lambda: self._session.undo(revision))

    def reopen(self) -> Response:
        """Bring back skipped pages."""
        _body()
        return self._change(self._session.reopen_skipped)

    def _change(self, change: Callable[[], None]) -> Response:
        """Make a change, and return the new state; with a message if it was refused."""
        said, status = "", HTTPStatus.OK
        try:
            change()
        except Refused as refused:
            said, status = str(refused), HTTPStatus.BAD_REQUEST
        except Conflict as conflict:
            said, status = to_cell(str(conflict)), HTTPStatus.CONFLICT
        except OutputError as error:
            said, status = str(error), HTTPStatus.INSUFFICIENT_STORAGE
        return _json({"said": said, "state": self._state()}, status)

    def _known(self, number: int) -> int:
        return number if number < len(self._session.items) else abort(HTTPStatus.NOT_FOUND)

    def _state(self) -> dict[str, Any]:
        coming = self._session.coming(READ_AHEAD)
        self._loader.prefetch(coming)
        elsewhere = self._session.elsewhere
        return {
            "revision": self._session.revision,
            "total": len(self._session.items) - elsewhere["decided"],
            "elsewhere": elsewhere["claimed"],
            "counts": self._session.counts,
            "pace": self._session.pace.seconds,
            "can_undo": self._session.can_undo,
            "blind": self._review.blind,
            "next_command": self._review.next_command,
            "items": [self._told(number, self._session.items[number]) for number in coming[:AHEAD]],
        }

    def _told(self, number: int, item: Item) -> dict[str, Any]:
        """Return what a person may know about a page before deciding."""
        row, blind = item.row, self._review.blind
        hidden = {Reason.LOW_CONFIDENCE} if blind else set()
        return {
            "number": number,
            "file": to_cell(row.file),
            "page": row.page,
            "zip": item.read_zip,
            "confidence": None if blind else row.confidence,
            "digits": [] if blind else row.digit_confidences,
            "why": [WHY[reason] for reason in row.reason if reason not in hidden],
            "runner_up": row.runner_up,
            "runner_up_confidence": None if blind else row.runner_up_confidence,
        }


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(json.dumps(value), status=status, mimetype="application/json")


def _body(**kinds: type) -> dict[str, Any]:
    """Parse a request: JSON with exactly these names and types."""
    try:
        body = request.get_json()
    except RecursionError:  # a few thousand nested brackets suffice
        body = None
    if not isinstance(body, dict) or {name: type(value) for name, value in body.items()} != kinds:
        abort(HTTPStatus.BAD_REQUEST, "That is not what is sent here.")
    return body


class _Quiet(WSGIRequestHandler):
    """Request handler that does not log, and has a timeout."""

    timeout = MAX_SILENCE

    def log(self, *_: Any) -> None:
        pass


class _Server(ThreadedWSGIServer):
    """Server with a bounded number of connections, each serving one request in a thread."""

    def __init__(self, bound: socket.socket, app: Flask) -> None:
        self._open: dict[socket.socket, None] = {}
        self._lock = Lock()
        host, port = bound.getsockname()
        super().__init__(host, port, app, handler=_Quiet, fd=bound.fileno())

    def process_request(self, request: Any, client_address: Any) -> None:
        """Accept a connection, closing the oldest if there are too many."""
        with self._lock:
            self._open[request] = None
            oldest = next(iter(self._open))
            is_full = len(self._open) > MAX_CONNECTIONS
            if is_full:
                del self._open[oldest]
        if is_full:
            with suppress(OSError):  # it may already be closed
                oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)


def bind(port: int) -> socket.socket:
    """Bind a port on the loopback interface; 0 takes any free one.

    Raises
    ------
    OSError
        If it is in use.
    """
    return socket.create_server((LOOPBACK, port))


def serve_at(bound: socket.socket, app: Flask) -> BaseWSGIServer:
    """Create the server of an application on a bound socket."""
    with bound:
        return _Server(bound, app)
