"""A fake S3 server with configurable answers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Handler"], None]


class Server(ThreadingHTTPServer):
    """Answers every request in the same way; ``asked`` counts them, ``over`` signals the end."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked += 1
        self.close_connection = True
        self.server.answer(self)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass

    def send(self, status: int, data: bytes, *, claimed: int | None = None, tag: str = "") -> None:
        self.send_response(status)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(data) if claimed is None else claimed))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)


def names(tag: str) -> Answer:
    """Send an empty object with this ETag."""
    return lambda handler: handler.send(200, b"", tag=tag)


def gives(data: bytes) -> Answer:
    return lambda handler: handler.send(200, data)


def refuses(status: int, code: str, message: str = "no") -> Answer:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return lambda handler: handler.send(status, body)


def is_silent(handler: Handler) -> None:
    handler.server.over.wait()


def breaks_off(handler: Handler) -> None:
    handler.send(200, b"half", claimed=8)


def pours(handler: Handler) -> None:
    handler.send(200, b"", claimed=1 << 50)
    while not handler.server.over.is_set():
        handler.wfile.write(bytes(1 << 16))


def drips(handler: Handler) -> None:
    handler.send(200, b"", claimed=1 << 50)
    while not handler.server.over.wait(0.02):
        handler.wfile.write(b"x")


def after(count: int, first: Answer, then: Answer) -> Answer:
    """Answer the first ``count`` requests in one way and the rest in another."""
    return lambda handler: (first if handler.server.asked <= count else then)(handler)


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    server = Server(answer)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # the client may be gone
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
