"""Serves the review to one browser on this machine.

Every address begins with a token that cannot be guessed. Others on this machine can read it in the
command line of the browser: it lets in the first visitor alone, who gets a cookie, and from then on
whoever has that. Requests that come by another host name, or from a page of another origin, are
refused: a page elsewhere on the net cannot talk to this one, even if its name is made to lead here.
Pages are named by their number in the queue, never by a path. Only POST changes anything.
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
"""A further one closes the oldest, so that connections on which nothing is said keep no one out."""
MAX_SILENCE = 30.0
"""Seconds for which a connection may say nothing, or take nothing of what it is sent."""
AHEAD = 3
"""So many pages are told of at once, the one to decide and the next ones."""
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
    """Lets in the first visitor who knows the token, and from then on whoever has the key.

    Attributes
    ----------
    token : str
        What every address begins with.
    """

    token: str = field(default_factory=_secret)
    _key: str = field(default_factory=_secret)
    _is_used: bool = False
    _lock: Lock = field(default_factory=Lock)

    @property
    def start(self) -> str:
        """Path of the page itself."""
        return f"/{self.token}/"

    def is_known(self, asked: Request) -> bool:
        """Tell whether a request brings the key."""
        return _is_same(asked.cookies.get(COOKIE, ""), self._key)

    def is_first(self, asked: Request) -> bool:
        """Take a request for the first visit if there was none before."""
        if asked.method != "GET" or asked.path != self.start:
            return False
        with self._lock:
            is_first, self._is_used = not self._is_used, True
        return is_first

    def give_key(self, response: Response) -> None:
        """Hand out the key: to be sent to this review alone, and by no page of another site."""
        response.set_cookie(COOKIE, self._key, path=self.start, httponly=True, samesite="Strict")


def _is_same(given: str, secret: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Review:
    """What is served.

    Attributes
    ----------
    session : Session
        What was decided and what comes next.
    looker : PreviewLoader
        What pages look like; its numbers are those of the session.
    blind : bool
        Whether to keep back what tells a page of the audit from the others: confidence, and that it
        is low.
    next_command : str
        What to do when all is decided.
    entrance : Entrance
        Who is let in.
    """

    session: Session
    looker: PreviewLoader
    blind: bool = False
    next_command: str = ""
    entrance: Entrance = field(default_factory=Entrance)


def make_app(review: Review) -> Flask:
    """Make the application that serves a review."""
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
    """Let through what the page itself asks for."""
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
    """Let only the page itself change anything."""
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
    """Say no in plain text: nothing to escape, nothing to run."""
    response = Response(f"{error.description}\n", status=error.code, mimetype="text/plain")
    if error.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        response.headers["Connection"] = "close"
    return response


class Pages:
    """What the addresses answer."""

    def __init__(self, review: Review) -> None:
        self._review = review
        self._session = review.session
        self._looker = review.looker

    def file(self, name: str = "") -> Response:
        """Give the page itself, its style or its script."""
        file, kind = FILES[name]
        return Response(
            (resources.files("zipocr.review") / "page" / file).read_bytes(), mimetype=kind
        )

    def state(self) -> Response:
        """Tell what comes next and how far it is."""
        return _json(self._state())

    def crop(self, number: int) -> Response:
        """Give a page as PNG, or the reason why it cannot be shown."""
        crop = self._looker.crop(self._known(number))
        return (
            _json({"trouble": crop})
            if isinstance(crop, str)
            else Response(crop, mimetype="image/png")
        )

    def look(self, number: int) -> Response:
        """Tell what reading a page once more shows."""
        look = self._looker.look(self._known(number))
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
        """Give the digits of a page as PNG."""
        look = self._looker.look(self._known(number))
        return (
            Response(look.tiles, mimetype="image/png")
            if look.tiles
            else abort(HTTPStatus.NOT_FOUND)
        )

    def place(self, zip_: str) -> Response:
        """Tell whose ZIP it is."""
        place = self._looker.place(zip_) if is_zip(zip_) else None
        return _json({"city": place.city, "state": place.state} if place else None)

    def decide(self) -> Response:
        """Take a decision."""
        body = _body(number=int, answer=str, zip=str)
        if body["answer"] not in set(Answer):
            abort(HTTPStatus.BAD_REQUEST, "There is no such answer.")
        return self._change(
            lambda: self._session.decide(body["number"], Answer(body["answer"]), body["zip"])
        )

    def undo(self) -> Response:
        """Take the latest decision back."""
        revision = _body(revision=int)["revision"]
        return self._change(lambda: self._session.undo(revision))

    def reopen(self) -> Response:
        """Bring back what was skipped."""
        _body()
        return self._change(self._session.reopen_skipped)

    def _change(self, change: Callable[[], None]) -> Response:
        """Do something, and tell how things stand then; with a word where it was not done."""
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
        self._looker.prefetch(coming)
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
        """Tell about a page what a person may know before deciding."""
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
    """Read what was sent: JSON with these names and kinds, and nothing else."""
    try:
        body = request.get_json()
    except RecursionError:  # some thousand brackets are enough
        body = None
    if not isinstance(body, dict) or {name: type(value) for name, value in body.items()} != kinds:
        abort(HTTPStatus.BAD_REQUEST, "That is not what is sent here.")
    return body


class _Quiet(WSGIRequestHandler):
    """Says nothing about requests, and waits for none without end."""

    timeout = MAX_SILENCE

    def log(self, *_: Any) -> None:
        pass


class _Server(ThreadedWSGIServer):
    """Has a bounded number of connections, each of which serves one request, in a thread."""

    def __init__(self, bound: socket.socket, app: Flask) -> None:
        self._open: dict[socket.socket, None] = {}
        self._lock = Lock()
        host, port = bound.getsockname()
        super().__init__(host, port, app, handler=_Quiet, fd=bound.fileno())

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin with a connection; the oldest makes room for it."""
        with self._lock:
            self._open[request] = None
            oldest = next(iter(self._open))
            is_full = len(self._open) > MAX_CONNECTIONS
            if is_full:
                del self._open[oldest]
        if is_full:
            with suppress(OSError):  # it may have ended meanwhile
                oldest.shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Be done with a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)


def bind(port: int) -> socket.socket:
    """Take a port of this machine that only this machine can reach; 0 takes one that is free.

    Raises
    ------
    OSError
        If it is taken.
    """
    return socket.create_server((LOOPBACK, port))


def serve_at(bound: socket.socket, app: Flask) -> BaseWSGIServer:
    """Make the server of an application at a port; it takes over the socket."""
    with bound:
        return _Server(bound, app)
