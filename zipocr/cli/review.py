"""``zipocr review``: let a person decide about doubtful pages."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zipocr.cli.interrupts import graceful_shutdown
from zipocr.cli.options import FOLDER, NEW_FILE, results_argument
from zipocr.cli.terminal import say
from zipocr.config import ReviewConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from socket import socket

    from zipocr.results.corrections import CorrectionsFile
    from zipocr.review.claims import Claims
    from zipocr.review.queue import Item
    from zipocr.review.session import Session

DEFAULTS = ReviewConfig()
SWITCH_SECONDS = 0.0005


@click.command()
@results_argument
@click.option(
    "--labels-out",
    default=DEFAULTS.labels_out,
    show_default=True,
    type=NEW_FILE,
    metavar="FILE",
    help="CSV file to append decisions to.",
)
@click.option(
    "--port",
    default=DEFAULTS.port,
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Port on this machine; default: 0, any free one.",
)
@click.option(
    "--no-browser", default=DEFAULTS.no_browser, is_flag=True, help="Only print the address."
)
@click.option(
    "--audit",
    default=DEFAULTS.audit,
    type=click.IntRange(min=0),
    metavar="N",
    help="Mix in N accepted rows, drawn at random; confidences are then hidden.",
)
@click.option(
    "--seed",
    default=DEFAULTS.seed,
    show_default=True,
    type=int,
    metavar="S",
    help="Random seed of --audit.",
)
@click.option(
    "--images",
    default=DEFAULTS.images,
    type=FOLDER,
    metavar="DIR",
    help="Folder of the scanned files; default: where they were scanned.",
)
@click.option(
    "--model",
    default=DEFAULTS.model,
    metavar="NAME|PATH",
    help=(
        "Model to find the digits with: digits, mail or a model file; the default is the one of "
        "the results."
    ),
)
def review(*, results: Path, **options: Any) -> None:
    """Review doubtful pages in the browser, from the keyboard.

    Shows every page of RESULTS with the status review or unread, least confident first. Each
    decision is saved to the file of --labels-out before the next page appears. Another review with
    the same file continues where this one ended. Several people can review the same results at
    once, each with a file of their own; they are shown different pages.

    The page can only be opened on this machine, by the first browser that opens its address. Ctrl-C
    ends the review.
    """
    config = ReviewConfig(**options)  # every option is a field of the same name
    try:
        import flask as _  # noqa: F401
    except ImportError:
        raise click.UsageError("Reviewing needs an extra: pip install 'zipocr[review]'.") from None
    from zipocr.results.corrections import open_corrections
    from zipocr.results.formats import read_results
    from zipocr.review.queue import line_up

    items = line_up(read_results(results), audit=config.audit, seed=config.seed)
    if not items:
        say("nothing to review: every row counts as read; --audit N shows some of them anyway")
        return
    with open_corrections(config.labels_out) as corrections, graceful_shutdown():
        _serve(results, items, corrections, config)


def _serve(
    results: Path, items: Sequence[Item], corrections: CorrectionsFile, config: ReviewConfig
) -> None:
    """Serve the page until Ctrl-C."""
    from zipocr.images.lookup import read_origin, sources_of
    from zipocr.results.sinks import sidecar_path
    from zipocr.review.app import Review, make_app, serve_at
    from zipocr.review.claims import Claims
    from zipocr.review.preview import PreviewLoader
    from zipocr.review.session import Session

    origin = read_origin(results)
    model = usable_model(config.model, origin.model)
    bound = bound_to(config.port)
    claims = Claims(path=sidecar_path(results, ".claims"), labels=config.labels_out)
    session = Session(items, corrections, claims=claims)
    loader = PreviewLoader(
        [item.row for item in items], sources_of(results, config.images), origin, model
    )
    then = shlex.join(["zipocr", "apply", str(results), str(config.labels_out), "-o", "final.csv"])
    review = Review(session=session, loader=loader, blind=config.audit > 0, next_command=then)
    address = f"http://127.0.0.1:{bound.getsockname()[1]}{review.entrance.start}"
    server = serve_at(bound, make_app(review))
    # Answering requests has priority over reading ahead, so the reading thread yields this often.
    sys.setswitchinterval(SWITCH_SECONDS)
    for line in _others(session, claims):
        say(line)
    try:
        say(f"{len(items)} pages to review; the page is at\n{address}\nCtrl-C ends it.")
        loader.warm_up()
        if not config.no_browser:
            open_browser(address)
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        session.close()
        for line in summary(session, then):
            say(line)
        # Last, since it may wait, and a second Ctrl-C ends the process at once.
        loader.close()


def usable_model(asked: str | None, recorded: str) -> str:
    """Choose the model: the requested one, else that of the results, else the default.

    Raises
    ------
    ModelError
        If the requested one does not exist.
    """
    from zipocr.config import ScanConfig
    from zipocr.errors import ModelError
    from zipocr.models.model_file import model_digest

    if asked is not None:
        model_digest(asked)
        return asked
    try:
        model_digest(recorded)
    except ModelError:
        return ScanConfig().model
    return recorded


def bound_to(port: int) -> socket:
    """Bind the port, or report that it is in use."""
    from zipocr.review.app import bind

    try:
        return bind(port)
    except OSError as error:
        message = f"{port} is not available ({error.strerror}); omit it to use any free port."
        raise click.BadParameter(message, param_hint="'--port'") from error


def open_browser(address: str) -> None:
    """Open the page in the user's browser; its address is printed in any case."""
    import threading
    import webbrowser

    # Some browsers block the process that starts them.
    threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()


def _others(session: Session, claims: Claims) -> Iterator[str]:
    """Describe how many pages other reviewers of the same results hold."""
    held = session.elsewhere
    if any(held.values()):
        counts = f"{held['decided']} pages are decided by others, {held['claimed']} looked at"
        yield f"{counts}; {claims.path} tells by whom"
    if claims.trouble:
        yield f"warning: others may be shown the same pages. {claims.trouble}"


def summary(session: Session, then: str) -> Iterator[str]:
    """Describe the progress of the review and the next step."""
    from zipocr.results.corrections import Verdict

    counts = session.counts
    decided = sum(counts.values()) - counts[Verdict.SKIPPED]
    told = ", ".join(
        f"{counts[verdict]} {verdict.replace('_', ' ')}"
        for verdict in Verdict
        if counts.get(verdict)
    )
    pace = f"; {session.pace.seconds:.1f} s each" if session.pace.seconds is not None else ""
    yield (
        f"decided {decided} of {len(session.items)}{f' ({told})' if told else ''}; "
        f"{session.pace.decided} in this session{pace}"
    )
    yield f"next: {then}"
