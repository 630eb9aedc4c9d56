r"""Rows of results, and the CSV that holds them: one line a page, read back as it was written.

Cells that hold text (file names first of all) are written so that every name can be told from every
other, fits on one line of valid UTF-8, and is not taken for a formula by a spreadsheet:

- bytes of a file name that are not UTF-8, and control characters, become ``\xNN``; other surrogates
  ``\uNNNN``; a backslash is doubled;
- a text that begins with ``=``, ``+``, ``-``, ``@`` (also in their full-width forms), a tab or a
  line end, or with ``./`` itself, gets
  ``./`` in front.

`from_cell` is the exact inverse of `to_cell`.
"""

import csv
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TextIO

from zipocr.errors import InputError, OutputError, printable
from zipocr.storage.untrusted import open_plain
from zipocr.types import Box, Reason, Status, Unread, ZipReading, eaten_zeros

STDOUT = "-"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - the full-width forms are meant
_TO_ESCAPE = re.compile("[\\\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4}))")
_UNDECODED = 0xDC00
_UNDECODABLE = re.compile("[\udc80-\udcff]")
_FIRST_UNDECODED = 0x80
_ZIP, _PLUS4, _RUNNER_UP = (
    re.compile("[0-9]{5}"),
    re.compile("[0-9]{4}"),
    re.compile("[0-9]{5}(-[0-9]{4})?"),
)
_SHOWN = 40  # letters of a wrong cell that an error repeats
_CURE = "Write the results anew with zipocr scan."


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One page in the results; the fields are the columns, in their order.

    Probabilities are None where there are none. ``file`` is the name itself, not its cell.
    """

    file: str
    page: int
    zip: str
    plus4: str = ""
    confidence: float | None
    status: Status
    reason: tuple[Reason, ...]
    digit_confidences: tuple[float, ...]
    runner_up: str
    runner_up_confidence: float | None
    city: str
    state: str
    box: Box | None = None


COLUMNS = tuple(field.name for field in fields(Row))
# Results of earlier versions lack the last columns.
FEWEST_COLUMNS = COLUMNS.index("box")


def to_row(
    file: str,
    page: int,
    reading: ZipReading | Unread,
    *,
    min_confidence: float,
    require_listed: bool = False,
) -> Row:
    """Put a reading into its row and decide its status.

    Parameters
    ----------
    file : str
        Name of the file.
    page : int
        Number of the page, from 1.
    reading : ZipReading or Unread
        What was read.
    min_confidence : float
        Confidence from which a ZIP counts as read; the confidence as shown, with four decimals, is
        what is compared.
    require_listed : bool
        Whether a ZIP that the directory does not list counts as read in no case.

    Returns
    -------
    Row
        With `Reason.LOW_CONFIDENCE` where the threshold is missed, and the reasons in the order of
        `Reason`.
    """
    if isinstance(reading, Unread):
        return unread_row(file, page, reading.reason)
    confidence = round(reading.confidence, 4)
    low = confidence < min_confidence
    reasons = {*reading.reasons, Reason.LOW_CONFIDENCE} if low else {*reading.reasons}
    unlisted = require_listed and Reason.NOT_IN_DIRECTORY in reasons
    return Row(
        file=file,
        page=page,
        zip=reading.zip,
        plus4=reading.plus4,
        confidence=confidence,
        status=Status.REVIEW if low or unlisted else Status.READ,
        reason=tuple(reason for reason in Reason if reason in reasons),
        digit_confidences=tuple(round(digit.probability, 4) for digit in reading.digits),
        runner_up=reading.runner_up,
        runner_up_confidence=round(reading.runner_up_confidence, 4) if reading.runner_up else None,
        city=reading.city,
        state=reading.state,
        box=reading.box,
    )


def row_names(paths: Sequence[Path], *, folder: Path = Path()) -> list[str]:
    """Name each PATH as rows do: by its own name, or as it was given where that could be mistaken.

    Rows must say which file they mean: no name is that of another PATH, or begins as the names of
    the files in another one do. Only PATHs one of which is inside the other are left to clash, and
    there a name stands for one file. ``folder`` is where relative PATHs are meant from.
    """
    named = (path if path.name not in {"", ".."} else (folder / path).resolve() for path in paths)
    names = [path.name for path in named]
    given = ["" if path == Path() else path.as_posix() for path in paths]
    while mistaken := {number for number in clashing(names) if names[number] != given[number]}:
        names = [given[number] if number in mistaken else name for number, name in enumerate(names)]
    return names


def clashing(names: Sequence[str]) -> set[int]:
    """Tell the places of names that are the same as another, or inside it, or around it."""
    parts = [PurePosixPath(name).parts for name in names]
    counts = Counter(parts)
    found = {own for own, times in counts.items() if times > 1}
    for own in counts:
        around = [own[:length] for length in range(len(own)) if own[:length] in counts]
        found.update([own, *around] if around else [])
    return {number for number, own in enumerate(parts) if own in found}


def unread_row(file: str, page: int, reason: Reason) -> Row:
    """Make the row of a page without a ZIP."""
    return Row(
        file=file,
        page=page,
        zip="",
        confidence=None,
        status=Status.UNREAD,
        reason=(reason,),
        digit_confidences=(),
        runner_up="",
        runner_up_confidence=None,
        city="",
        state="",
    )


def to_cell(text: str) -> str:
    r"""Write a text as a cell; see the module's description.

    Examples
    --------
    >>> to_cell("=x.png"), to_cell("a/b.png")
    ('./=x.png', 'a/b.png')
    >>> print(to_cell("\udcff.png"))
    \xff.png
    """
    prefix = "./" if text.startswith((*_FORMULA_STARTS, "./")) else ""
    return prefix + _TO_ESCAPE.sub(_escape, text)


def from_cell(cell: str) -> str:
    """Read the text that `to_cell` wrote.

    Examples
    --------
    >>> from_cell("./=x.png")
    '=x.png'
    """
    return _ESCAPED.sub(_unescape, cell.removeprefix("./"))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\\":
        return r"\\"
    if _UNDECODED + _FIRST_UNDECODED <= code <= _UNDECODED + 0xFF:
        return rf"\x{code - _UNDECODED:02x}"
    return rf"\x{code:02x}" if code < _FIRST_UNDECODED else rf"\u{code:04x}"


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        code = int(match[1], 16)
        return chr(code + _UNDECODED if code >= _FIRST_UNDECODED else code)
    return chr(int(match[2], 16)) if match[2] else "\\"


def format_rows(rows: Iterable[Row]) -> str:
    """Write rows as lines of CSV, without the header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(to_cells(row) for row in rows)
    return text.getvalue()


def to_cells(row: Row) -> list[str]:
    """Return one cell a column; what a reader or a directory supplied as text is made safe, too."""
    return [
        to_cell(row.file),
        str(row.page),
        to_cell(row.zip),
        to_cell(row.plus4),
        _probability(row.confidence),
        row.status,
        ";".join(row.reason),
        ";".join(map(_probability, row.digit_confidences)),
        to_cell(row.runner_up),
        _probability(row.runner_up_confidence),
        to_cell(row.city),
        to_cell(row.state),
        "" if row.box is None else ";".join(map(str, corners(row.box))),
    ]


def corners(box: Box) -> tuple[int, int, int, int]:
    """List the sides of a box as the column ``box`` has them."""
    return box.top, box.left, box.bottom, box.right


def to_box(sides: Sequence[int]) -> Box:
    """Make a box of its sides: top, left, bottom and right, in pixels.

    Raises
    ------
    ValueError
        If they enclose no pixels of a page.
    """
    if len(sides) != 4 or min(sides) < 0 or sides[0] >= sides[2] or sides[1] >= sides[3]:
        raise ValueError(f"{';'.join(map(str, sides))[:_SHOWN]!r} is no box: top;left;bottom;right")
    return Box(top=sides[0], left=sides[1], bottom=sides[2], right=sides[3])


def _probability(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""

    def flush(self) -> None:
        """Hand them on."""


class LineWriter(Protocol):
    """What takes rows as `format_rows` writes them, in whatever format it keeps them."""

    def write_lines(self, text: str, /) -> None:
        """Append rows."""

    def flush(self) -> None:
        """Hand on what was appended, if the format can be handed on in pieces."""


HEADER = ",".join(COLUMNS) + "\n"


class CsvWriter:
    """Writes rows as CSV, to the letter."""

    def __init__(self, sink: Sink, header: str) -> None:
        self._sink = sink
        self._sink.write(header.encode())

    def write_lines(self, text: str, /) -> None:
        """Append rows that `format_rows` wrote."""
        self._sink.write(text.encode())

    def flush(self) -> None:
        """Hand on what was appended."""
        self._sink.flush()


@contextmanager
def open_writer(sink: Sink, *, header: str, facts: Mapping[str, Any]) -> Iterator[LineWriter]:  # noqa: ARG001
    """Begin CSV."""
    yield CsvWriter(sink, header)


class Stdout:
    """Standard output as bytes, whatever the locale."""

    def write(self, data: bytes, /) -> None:
        """Hand on bytes."""
        with standard_output() as stream:
            stream.buffer.write(data)

    def flush(self) -> None:
        """Hand on what is buffered."""
        with standard_output() as stream:
            stream.buffer.flush()


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Give standard output for a moment.

    Raises
    ------
    OutputError
        If it was closed when the program began, or cannot be written in the block.
    BrokenPipeError
        If whoever read it has left.
    """
    if sys.stdout is None:
        raise OutputError(
            "Standard output is closed. Lead it somewhere, or write to a file with --output."
        )
    try:
        yield sys.stdout
    except BrokenPipeError:
        abandon_stdout()
        raise
    except OSError as error:
        abandon_stdout()
        message = (
            f"Cannot write to standard output: {error.strerror}. Write to a file with --output."
        )
        raise OutputError(message) from error


def sidecar_path(path: Path, suffix: str) -> Path:
    """Name a companion of the results."""
    return path.with_name(path.name + suffix)


def abandon_stdout() -> None:
    """Let standard output lead nowhere.

    What is still buffered would fail once more when Python exits.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def read_lines(path: Path) -> Iterator[tuple[str, Row | None]]:
    """Read rows and what the file has for each, to the letter; columns it lacks are empty.

    Parameters
    ----------
    path : Path
        A CSV file that zipocr wrote.

    Yields
    ------
    str and Row or None
        The text of a row with its line end, and the row; first that of the header, and None.

    Raises
    ------
    InputError
        If the file cannot be opened or is no such file; the message names the line.
    """
    try:
        with io.TextIOWrapper(
            open_plain(path), encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            yield from _read_lines(file, shown=printable(path))
    except OSError as error:
        message = f"Cannot read {path}: {error.strerror}."
        raise InputError(message) from error


def _read_lines(file: Iterable[str], *, shown: str) -> Iterator[tuple[str, Row | None]]:
    texts = _Texts(file)
    lines = csv.reader(texts, strict=True)
    try:
        missing = _missing_columns(next(lines, []), shown=shown)
        yield _extend(texts.take(), [f",{name}" for name in missing]), None
        commas = [","] * len(missing)
        for cells in lines:
            where = f"{shown}, line {lines.line_num}"
            if len(cells) + len(missing) != len(COLUMNS):
                raise InputError(_other_columns(cells, where))
            yield _extend(texts.take(), commas), from_cells(cells, where=where)
    except csv.Error as error:
        message = f"{shown}, line {texts.count}: {error}. {_CURE}"
        raise InputError(message) from error


def _missing_columns(header: list[str], *, shown: str) -> tuple[str, ...]:
    """Tell which columns the results of an earlier version lack; none where all are there."""
    count = len(header)
    if count < FEWEST_COLUMNS or header != list(COLUMNS[:count]):
        message = f"{shown} is not a results file: its first line is not {','.join(COLUMNS)}."
        raise InputError(message)
    return COLUMNS[count:]


def _extend(line: str, cells: Iterable[str]) -> str:
    """Put cells behind the last one of a line, whose line end is kept."""
    text = line.rstrip("\r\n")
    return "".join([text, *cells, line[len(text) :]])


class _Texts:
    """Lines of a file that remember what was read of them since the last `take`."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.count = 0
        self._lines = iter(lines)
        self._taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.count += 1
        if not line.isascii() and _UNDECODABLE.search(
            line
        ):  # let in, so that its line can be named
            raise csv.Error("this is not UTF-8")
        self._taken.append(line)
        return line

    def take(self) -> str:
        text = "".join(self._taken)
        self._taken.clear()
        return text


def parse_rows(text: str) -> Iterator[Row]:
    """Read rows back from what `format_rows` wrote.

    Raises
    ------
    InputError
        If it did not.
    """
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), strict=True):
            yield from_cells(cells, where="rows")
    except csv.Error as error:
        message = f"These are no rows: {error}."
        raise InputError(message) from error


def from_cells(cells: list[str], *, where: str) -> Row:
    """Read a row from its cells; the last ones may be missing.

    Raises
    ------
    InputError
        If they are no row; the message begins with ``where`` they are.
    """
    if not FEWEST_COLUMNS <= len(cells) <= len(COLUMNS):
        raise InputError(_other_columns(cells, where))
    cells = cells + [""] * (len(COLUMNS) - len(cells))
    (
        file,
        page,
        zip_,
        plus4,
        confidence,
        status,
        reason,
        digits,
        runner_up,
        runner_up_confidence,
        city,
        state,
        box,
    ) = cells
    try:
        row = Row(
            file=from_cell(file),
            page=int(page),
            zip=from_cell(zip_),
            plus4=from_cell(plus4),
            confidence=_from_probability(confidence) if confidence else None,
            status=Status(status),
            reason=tuple(Reason(word) for word in reason.split(";") if word),
            digit_confidences=tuple(
                _from_probability(value) for value in digits.split(";") if value
            ),
            runner_up=from_cell(runner_up),
            runner_up_confidence=_from_probability(runner_up_confidence)
            if runner_up_confidence
            else None,
            city=from_cell(city),
            state=from_cell(state),
            box=to_box([int(side) for side in box.split(";")]) if box else None,
        )
        check_row(row)
    except ValueError as error:
        message = f"{where}: {str(error).rstrip('.')}. {_CURE}"
        raise InputError(message) from error
    return row


def _other_columns(cells: Sequence[str], where: str) -> str:
    return f"{where}: {len(cells)} cells where there are {len(COLUMNS)} columns. {_CURE}"


def _from_probability(cell: str) -> float:
    value = float(cell)
    if not 0 <= value <= 1:
        raise ValueError(_no_probability(cell))
    return value


def _no_probability(value: object) -> str:
    return f"{value!r:.40} is no probability"


def check_row(row: Row) -> None:
    """See that a row is one that zipocr writes, wherever it was read from.

    Raises
    ------
    ValueError
        If not; the message says why.
    """
    probabilities = (row.confidence, *row.digit_confidences, row.runner_up_confidence)
    for value in probabilities:
        if value is not None and not 0 <= value <= 1:
            raise ValueError(_no_probability(value))
    if trouble := _trouble(row):
        raise ValueError(trouble)


def _trouble(row: Row) -> str:
    """Say what is wrong with the digits of a row or what goes with them; empty where nothing is."""
    if row.page < 1:
        return "pages count from 1"
    if row.zip and not _ZIP.fullmatch(row.zip):
        return eaten_zeros(row.zip) or f"{row.zip[:_SHOWN]!r} is no ZIP of five digits"
    if row.plus4 and not (row.zip and _PLUS4.fullmatch(row.plus4)):
        return f"{row.plus4[:_SHOWN]!r} in the column plus4 is not the four digits after a ZIP"
    if row.runner_up and not _RUNNER_UP.fullmatch(row.runner_up):
        return eaten_zeros(row.runner_up) or f"{row.runner_up[:_SHOWN]!r} is no ZIP"
    if bool(row.zip) == (row.status is Status.UNREAD) or bool(row.zip) == (row.confidence is None):
        return "a ZIP goes with a confidence and the status read or review, and none with unread"
    return ""
