"""Hand-over of finished files: run a program for each, and move the file into a folder.

Each step is journaled before and after it is taken, so that the next watch knows the state of each
file, however this one ends:

- A program that was started but whose outcome is unknown is not run again, since it may have done
  its work. One that failed, hung or could not be started is run again at the next start.
- A file is moved by renaming it over a name reserved for it, so that it always exists somewhere
  and never replaces another. Across disks it is copied completely before it is removed.
"""

import filecmp
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from errno import EXDEV
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from zipocr.batch.read_files import FileResult
from zipocr.errors import OutputError
from zipocr.images.listing import ImageFile, stamp_of
from zipocr.results.cells import to_cell
from zipocr.results.jsonl_file import to_json_lines
from zipocr.storage.atomic import WholeFile, sync_folder
from zipocr.storage.journal import Journal
from zipocr.storage.untrusted import open_plain
from zipocr.types import Status

END_SECONDS = 1.0
"""Seconds that a program may take to end after a signal."""
PATH_VARIABLE = "ZIPOCR_PATH"


class Step(StrEnum):
    """The last step taken for a file."""

    STARTED = "started"
    ENDED = "ended"
    PLACING = "placing"
    PLACED = "placed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOffConfig:
    """What to do with finished files.

    Attributes
    ----------
    done : Path or None
        Folder whose subfolders, named by status, the files are moved to.
    is_link : bool
        Whether to link the files instead of moving them.
    program : sequence of str
        Program to run for each file, with its arguments; empty for none.
    timeout : float
        Time limit of the program in seconds.
    """

    done: Path | None = None
    is_link: bool = False
    program: Sequence[str] = ()
    timeout: float = 60.0


def numbered(name: str, number: int) -> str:
    """Add a number to a name, unless it is the first one.

    Examples
    --------
    >>> numbered("in/a.png", 1), numbered("in/a.png", 2)
    ('in/a.png', 'in/a~2.png')
    """
    path = PurePosixPath(name)
    return name if number == 1 else str(path.with_name(f"{path.stem}~{number}{path.suffix}"))


def folder_of(result: FileResult) -> str:
    """Return the folder of a file: the status of its pages, or ``review`` if they differ."""
    statuses = {row.status for row in result.rows}
    return statuses.pop().value if len(statuses) == 1 else Status.REVIEW.value


_OVER: Mapping[str, Any] = {"step": Step.PLACED}


class HandOffError(Exception):
    """Raised if a file cannot be handed over; the message says why."""


@dataclass(slots=True, kw_only=True, eq=False)
class HandOff:
    """Hand-over of files, with the last step of each.

    Attributes
    ----------
    orders : HandOffConfig
        What to do.
    journal : Journal or None
        An open journal, whose unfinished files are continued; None if there are no orders and never
        were any.
    tell : callable
        Called with a sentence about each failure.
    moved : set of str
        Row names of files that were moved away, so that another file may arrive under the same
        name.
    done, failed : int
        Numbers of files handed over since the start, and of failures.
    """

    orders: HandOffConfig
    journal: Journal | None
    tell: Callable[[str], None]
    moved: set[str] = field(default_factory=set)
    done: int = 0
    failed: int = 0
    _last: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    _unfinished: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Read the last step of each file from the journal."""
        for _, record in self.journal.records() if self.journal else ():
            self._keep(record)

    def row_name(self, name: str) -> str:
        """Return a row name for a new file that no moved file has used."""
        names = (numbered(name, number) for number in count(1))
        return next(own for own in names if not self._is_taken(own))

    def source_name(self, name: str) -> str:
        """Return the name under which a file arrived, from its row name."""
        path = PurePosixPath(name)
        stem, mark, _ = path.stem.rpartition("~")
        first = str(path.with_name(stem + path.suffix)) if mark and stem else name
        return first if self._is_taken(first) else name

    def _is_taken(self, name: str) -> bool:
        """Return whether a file of this name was moved away, by this watch or another one."""
        done = self.orders.done
        if name in self.moved:
            return True
        if done is None or self.orders.is_link or name in self._unfinished:
            return False
        return any(os.path.lexists(done / status / name) for status in Status)

    def is_over(self, name: str, stamp: str) -> bool:
        """Return whether nothing is left to do for a file."""
        last = self._last.get((name, stamp), {})
        if last.get("step") == Step.PLACED:
            return True
        is_run = not self.orders.program or self._has_run(last)
        return self.orders.done is None and is_run

    def hand_over(self, file: ImageFile, stamp: str, result: FileResult) -> None:
        """Do the remaining steps for a file; on failure it is reported and stays where it is.

        Parameters
        ----------
        file : ImageFile
            Its path and row name.
        stamp : str
            Its stamp when it was read; a file that has changed since is left alone.
        result : FileResult
            What was read.

        Raises
        ------
        OutputError
            If the journal cannot be written.
        """
        if self.is_over(file.name, stamp) or not self._is_there(file, stamp):
            return
        try:
            self._run(file, stamp, result)
            if self.orders.done is not None:
                self._place(self.orders.done, file, stamp, folder_of(result))
            self.done += 1
        except HandOffError as problem:
            self._fail(file, str(problem))
        except OSError as error:
            self._fail(file, f"{error.strerror or error}")

    def _fail(self, file: ImageFile, why: str) -> None:
        self.failed += 1
        self.tell(f"not handed over: {to_cell(file.name)}: {why}")

    def _is_there(self, file: ImageFile, stamp: str) -> bool:
        """Return whether a file is unchanged; record a move that a watch had no time to record."""
        if stamp_of(file.place) == stamp:
            return True
        last = self._last.get((file.name, stamp), {})
        if last.get("step") == Step.PLACING and self.orders.done is not None:
            place = last["place"]
            if _has_size(self.orders.done / place, stamp):
                self._note(file.name, stamp, Step.PLACED, place=place)
        return False

    def _note(self, name: str, stamp: str, step: Step, **facts: Any) -> None:
        """Record a step in the journal; it is on disk when this returns."""
        record = {"name": name, "stamp": stamp, "step": step, **facts}
        if self.journal:
            self.journal.append(record)
            self.journal.sync()
        self._keep(record)

    def _keep(self, record: Mapping[str, Any]) -> None:
        self._last[record["name"], record["stamp"]] = record
        name, is_placed = record["name"], record["step"] == Step.PLACED
        if is_placed:  # to save memory: there may be very many
            self._last[name, record["stamp"]] = _OVER
        if is_placed and not record.get("is_link"):
            self.moved.add(name)
        (self._unfinished.discard if is_placed else self._unfinished.add)(name)

    def _has_run(self, last: Mapping[str, Any]) -> bool:
        return last.get("step") in {Step.PLACING, Step.PLACED} or (
            last.get("step") == Step.ENDED and last["code"] == 0
        )

    def _run(self, file: ImageFile, stamp: str, result: FileResult) -> None:
        """Run the program, unless it has been run."""
        last = self._last.get((file.name, stamp), {})
        if not self.orders.program or self._has_run(last):
            return
        if last.get("step") == Step.STARTED:
            program = self.orders.program[0]
            told = f"{program} was at work when a watch ended, and may have done it"
            raise HandOffError(f"{told}. Look, and touch the file to hand it over again.")
        self._note(file.name, stamp, Step.STARTED)
        code: int | str = "stopped"
        try:
            code = run_program(
                self.orders.program,
                to_json_lines(result.lines).encode(),
                path=file.place,
                timeout=self.orders.timeout,
            )
        finally:
            self._note(file.name, stamp, Step.ENDED, code=code)
        if code != 0:
            program = self.orders.program[0]
            raise HandOffError(f"{program} ended with {code}; tried again at the next start")

    def _place(self, done: Path, file: ImageFile, stamp: str, folder: str) -> None:
        """Move or link a file to its folder."""
        source = Path(file.place)
        if not stat.S_ISREG(source.lstat().st_mode):
            raise HandOffError("it is a link, a pipe or a folder, and is left in place")
        if self._is_copied(done, file, stamp):
            source.unlink()
            place = self._last[file.name, stamp]["place"]
            self._note(file.name, stamp, Step.PLACED, place=place)
            return
        put = link if self.orders.is_link else move
        wanted = f"{folder}/{file.name}"
        for number in count(1):
            place = numbered(wanted, number)
            target = done / place
            target.parent.mkdir(parents=True, exist_ok=True)
            if self._is_free(target, file, stamp, place):
                self._note(file.name, stamp, Step.PLACING, place=place)
                if put(source, target, stamp):
                    break
        self._note(file.name, stamp, Step.PLACED, place=place, is_link=self.orders.is_link)

    def _is_copied(self, done: Path, file: ImageFile, stamp: str) -> bool:
        """Return whether a file was copied to another disk just before a watch ended."""
        last = self._last.get((file.name, stamp), {})
        if self.orders.is_link or last.get("step") != Step.PLACING:
            return False
        target = done / last["place"]
        if not _has_size(target, stamp) or target.is_symlink() or target.samefile(file.place):
            return False
        return filecmp.cmp(file.place, target, shallow=False)

    def _is_free(self, target: Path, file: ImageFile, stamp: str, place: str) -> bool:
        """Return whether a name is free, or reserved for this file and unused."""
        if not os.path.lexists(target):
            return True
        last = self._last.get((file.name, stamp), {})
        is_own = last.get("step") == Step.PLACING and last["place"] == place
        return is_own and (target.stat().st_size == 0 or target.samefile(file.place))


def link(source: Path, target: Path, _: str) -> bool:
    """Link a file; return False if the name has been taken in the meantime."""
    try:
        os.link(source, target)
    except FileExistsError:
        return target.samefile(source)
    except OSError as error:
        told = f"it cannot be linked there ({error.strerror})"
        raise HandOffError(f"{told}; leave out --done-link to move files") from error
    sync_folder(target.parent)
    return True


def move(source: Path, target: Path, stamp: str) -> bool:
    """Move a file to its reserved name; return False if that has been taken in the meantime.

    Raises
    ------
    HandOffError
        If another file has replaced it in the meantime; that one is kept.
    """
    if not _reserve(target):
        return False
    try:
        os.replace(source, target)  # noqa: PTH105 - the same as Path.replace
    except OSError as error:
        if error.errno != EXDEV:
            target.unlink()
            raise
        try:
            _copy_over(source, target, stamp)
        except OutputError as problem:
            raise HandOffError(str(problem)) from problem
    else:
        if stamp_of(str(target)) != stamp:
            _put_back(target, source)
    for folder in (target.parent, source.parent):
        sync_folder(folder)
    return True


def _reserve(target: Path) -> bool:
    try:
        target.open("xb").close()
    except FileExistsError:
        return target.lstat().st_size == 0 and not target.is_symlink()
    return True


def _put_back(target: Path, source: Path) -> None:
    """Move back a file that turned out not to be the one that was read."""
    with suppress(FileExistsError):
        os.link(target, source)
        target.unlink()
    raise HandOffError("another file came under its name meanwhile, and will be read")


def _copy_over(source: Path, target: Path, stamp: str) -> None:
    """Copy a file to another disk, and remove it if it is still the one that was read."""
    part = target.with_name(f".{target.name}.part")
    try:
        with open_plain(source) as found, WholeFile(part) as file:
            shutil.copyfileobj(found, file)
        shutil.copystat(source, part)
        _refuse_changed(source, part, stamp)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        target.unlink()
        raise
    sync_folder(target.parent)
    source.unlink()


def _has_size(path: Path, stamp: str) -> bool:
    """Compare sizes only, since file systems store times with different precision."""
    return stamp_of(str(path)).partition("-")[0] == stamp.partition("-")[0]


def _refuse_changed(source: Path, copied: Path, stamp: str) -> None:
    if stamp_of(str(source)) != stamp or not _has_size(copied, stamp):
        raise HandOffError("it changed while it was copied, and will be read again")


def run_program(program: Sequence[str], told: bytes, *, path: str, timeout: float) -> int | str:
    """Run a program without a shell, in its own session.

    Parameters
    ----------
    program : sequence of str
        The program and its arguments.
    told : bytes
        The program's standard input.
    path : str
        Value of the environment variable `PATH_VARIABLE`.
    timeout : float
        Seconds after which it is stopped, with all its child processes.

    Returns
    -------
    int or str
        Its exit status, or a description of why there is none.
    """
    environment = {**os.environ, PATH_VARIABLE: os.path.abspath(path)}  # noqa: PTH100 - keeps links
    try:
        process = subprocess.Popen(
            list(program),
            stdin=subprocess.PIPE,
            stdout=2,  # its messages are for people, and standard output is for data
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return f"no start: {error.strerror}"
    try:
        process.communicate(told, timeout=timeout)
    except subprocess.TimeoutExpired:
        return f"no end within {timeout:g} s"
    finally:
        _stop(process)
    return process.returncode


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop a running program and all its child processes."""
    if process.poll() is not None:
        return
    for end in (process.terminate, process.kill):
        _signal_group(process, end)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=END_SECONDS)
            return


def _signal_group(process: "subprocess.Popen[bytes]", end: Callable[[], None]) -> None:
    if not hasattr(os, "killpg"):
        end()
        return
    from signal import SIGKILL, SIGTERM

    with suppress(ProcessLookupError):
        os.killpg(process.pid, SIGTERM if end.__name__ == "terminate" else SIGKILL)
