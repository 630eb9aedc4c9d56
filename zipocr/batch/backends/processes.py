"""The backend for several processes on this machine, any of which may hang or die.

A worker process sends each result as soon as it has it, and records in shared memory what it has
begun, so that the step at which a worker was lost is known. If it was doing several tasks together,
they are redone one by one to find out. Process pools of other libraries know the task at best: one
bad page would lose a scan of a hundred.
"""

import atexit
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from pickle import dumps
from typing import Any, Generic, Self

from zipocr.batch.backends import Loss, LossKind, StepT, TaskT, Work
from zipocr.batch.backends.worker import NO_MEMORY, Message, Progress, serve
from zipocr.errors import BackendError

DEFAULT_TIMEOUT = 60.0
DEFAULT_MAX_MEMORY = 2 << 30
# Tasks queued per worker, including the current ones, so that no worker waits for this process;
# fewer near the end, so that workers finish together.
PREFETCH, PREFETCH_LAST = 32, 3
# Maximum size of a worker's queue in bytes. Beyond the capacity of a pipe, 8 kB on some systems,
# both ends could deadlock.
MAX_SENT = 6_000
# Tasks in flight per worker: while one hangs, those behind it are finished by other workers.
MAX_IN_FLIGHT = 96
STARTS = 3
START_SECONDS = 120.0
GRACE_SECONDS = 1.0
# The clock is read at least once a second, and at least this often within a timeout.
TICK_SECONDS, TICKS = 1.0, 10
_FOREVER = float("inf")


@dataclass(slots=True, kw_only=True, eq=False)
class _Clock:
    """A clock that stops while this process is stopped, as by Ctrl-Z.

    The workers are stopped then, too. It must be read every ``tick`` seconds; longer intervals
    count as one tick.
    """

    tick: float
    passed: float = 0.0
    seen: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """Return the seconds since it was created."""
        seen = time.monotonic()
        self.passed += min(seen - self.seen, self.tick)
        self.seen = seen
        return self.passed


@dataclass(slots=True, kw_only=True, eq=False)
class _Job(Generic[TaskT, StepT]):
    """A task in flight, and its results so far.

    ``alone``: must not be done together with others, since a worker was lost with it. ``retried``:
    was lost once while alone, and not because its step took too long or too much memory. ``size``:
    of its last message, in bytes.
    """

    task: TaskT
    results: list[StepT] = field(default_factory=list)
    alone: bool = False
    retried: bool = False
    done: bool = False
    size: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker(Generic[TaskT, StepT]):
    """A worker process, its jobs, and when it was last heard from.

    ``ended`` and ``steps`` count the jobs and steps reported so far, ``delay`` the seconds that it
    had waited for a processor when it was last heard from.
    """

    process: SpawnProcess
    connection: Connection
    progress: Progress
    heard: float
    queue: deque[_Job[TaskT, StepT]] = field(default_factory=deque)
    ready: bool = False
    ended: int = 0
    steps: int = 0
    delay: float = 0.0
    killed: bool = False
    # The counts of ended jobs and steps when it was killed for taking too long.
    overdue: tuple[int, int] | None = None

    @property
    def load(self) -> int:
        """Size of its tasks in bytes."""
        return sum(job.size for job in self.queue)

    def waits_since(self) -> float:
        """Return the time since which it has been at the same step.

        Infinity if it has nothing to do or is being ended.
        """
        return self.heard if not self.killed and (self.queue or not self.ready) else _FOREVER

    def begin_wait(self, now: float) -> None:
        """Start to count the time of its next step."""
        self.heard = now
        self.delay = _run_delay(self.process.pid)

    def excuse_starvation(self) -> None:
        """Do not count the time for which it has waited for a processor since then.

        A page is not at fault if the machine is busy.
        """
        delay = _run_delay(self.process.pid)
        self.heard += max(0.0, delay - self.delay)
        self.delay = delay

    def take(self, job: _Job[TaskT, StepT], now: float) -> bytes:
        """Assign one more job; return the message to send."""
        if not self.queue:
            self.begin_wait(now)
        self.queue.append(job)
        message = dumps((job.task, len(job.results) + 1, job.alone))
        job.size = len(message)
        return message

    def finish_jobs(self, ended: int) -> None:
        """Record the total number of jobs that it has ended."""
        while self.ended < ended:
            self.queue.popleft().done = True
            self.ended += 1


class ProcessBackend:
    """Backend that works in ``jobs`` spawned processes, since OpenCV can hang after a fork.

    The processes live as long as a map; in a ``with`` block they are reused by maps with the same
    ``start``.

    Parameters
    ----------
    jobs : int
        Number of processes. No more are started than there are tasks.
    timeout : float
        Seconds after which a step counts as hanging: its process is killed.
    max_memory : int, optional
        Memory limit of a process in bytes.
    """

    def __init__(
        self, *, jobs: int, timeout: float = DEFAULT_TIMEOUT, max_memory: int | None = None
    ) -> None:
        self.jobs = jobs
        self.timeout = timeout
        self.max_memory = max_memory
        self._keeps = False
        self._workers: list[_Worker[Any, Any]] = []
        self._clock = _Clock(tick=min(TICK_SECONDS, timeout / TICKS))

    def __enter__(self) -> Self:
        """Keep the processes from map to map."""
        self._keeps = True
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        self._keeps = False
        self._dismiss()

    def map(
        self,
        start: Callable[[], Work[TaskT, StepT]],
        tasks: Iterable[TaskT],
        *,
        lost: Callable[[TaskT, int, Loss], StepT],
    ) -> Iterator[list[StepT]]:
        """Do the work that ``start`` makes on each task.

        Parameters
        ----------
        start : callable
            Called once in each process; must be picklable. Its exceptions are raised here.
        tasks : iterable
            The tasks, picklable. At most ``MAX_IN_FLIGHT`` per process are consumed ahead of the
            results.
        lost : callable
            Makes the result of a step whose process hung or died. Tasks done together are redone
            one by one. A step is tried twice, unless it takes too long or needs too much memory;
            then it costs one result. If it had not begun, its task ends there, since it is unknown
            what follows.

        Yields
        ------
        list
            The results of a task's steps, in the order of the tasks.

        Raises
        ------
        BackendError
            If processes cannot be started.
        """
        crew = _Scheduler(
            workers=self._workers,
            launch=lambda: self._launch(dumps(start)),
            timeout=self.timeout,
            clock=self._clock,
            lost=lost,
        )
        try:
            yield from crew.run(iter(tasks), jobs=self.jobs)
        except BaseException:
            self._dismiss()
            raise
        if not self._keeps:
            self._dismiss()

    def _launch(self, start: bytes) -> _Worker[Any, Any]:
        """Start a worker that ends with this process, even if that is killed."""
        if not self._workers:
            # If a map is still open when Python exits, multiprocessing would send SIGTERM to the
            # children, which ignore it.
            atexit.register(self._dismiss)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        try:
            progress = context.RawValue(Progress)
            process = context.Process(
                target=serve, args=(theirs, progress, start, self.max_memory), daemon=True
            )
            with interrupts_held_back():
                process.start()
        except OSError as error:
            message = (
                f"A worker process could not be started: {error.strerror}. Run again with fewer "
                "--jobs."
            )
            raise BackendError(message) from error
        finally:
            theirs.close()
        return _Worker(process=process, connection=ours, progress=progress, heard=self._clock.now())

    def _dismiss(self) -> None:
        """End all workers: idle ones gracefully, the others by force."""
        atexit.unregister(self._dismiss)
        for worker in self._workers:
            worker.connection.close()
        until = time.monotonic() + GRACE_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            worker.process.kill()
            worker.process.join()
        self._workers.clear()


@dataclass(slots=True, kw_only=True, eq=False)
class _Scheduler(Generic[TaskT, StepT]):
    """A running map: deals out jobs, collects results, and replaces lost workers."""

    workers: list[_Worker[TaskT, StepT]]
    launch: Callable[[], _Worker[TaskT, StepT]]
    timeout: float
    clock: _Clock
    lost: Callable[[TaskT, int, Loss], StepT]
    waiting: deque[_Job[TaskT, StepT]] = field(default_factory=deque)
    failed_starts: int = 0

    def run(self, tasks: Iterator[TaskT], *, jobs: int) -> Iterator[list[StepT]]:
        """Keep a bounded number of jobs in flight, and yield their results in order."""
        under_way: deque[_Job[TaskT, StepT]] = deque()
        while True:
            for task in islice(tasks, jobs * MAX_IN_FLIGHT - len(under_way)):
                job: _Job[TaskT, StepT] = _Job(task=task)
                under_way.append(job)
                self.waiting.append(job)
            if not under_way:
                return
            self._hand_out(jobs)
            self._listen()
            while under_way and under_way[0].done:
                yield under_way.popleft().results

    def _hand_out(self, jobs: int) -> None:
        """Deal jobs to all workers in turn, so that each has equally many."""
        while len(self.workers) < jobs and len(self.waiting) > sum(
            not worker.queue for worker in self.workers
        ):
            self.workers.append(self.launch())
        messages: list[list[bytes]] = [[] for _ in self.workers]
        now = self.clock.now()
        for held in range(
            PREFETCH if jobs == 1 or len(self.waiting) > PREFETCH * jobs else PREFETCH_LAST
        ):
            for worker, message in zip(self.workers, messages, strict=True):
                if self.waiting and len(worker.queue) == held and worker.load < MAX_SENT:
                    message.append(worker.take(self.waiting.popleft(), now))
        for worker, message in zip(self.workers, messages, strict=True):
            # The death of a worker is noticed on reading from it; its jobs are then taken back.
            with suppress(OSError):
                if message:
                    worker.connection.send_bytes(b"".join(message))

    def _listen(self) -> None:
        """Wait for messages of the workers, for one to be overdue, or for the next clock tick."""
        now = self.clock.now()
        due = min(map(self._due, self.workers))
        longest = min(max(0.0, due - now), self.clock.tick)
        speaking = wait([worker.connection for worker in self.workers], longest)
        now = self.clock.now()
        for worker in tuple(self.workers):
            if worker.connection in speaking:
                self._drain(worker)
            elif self._is_overdue(worker, now):
                # Its last messages are read first, then its end.
                worker.process.kill()
                worker.killed = True
                if worker.ready:
                    worker.overdue = worker.progress.ended, worker.steps

    def _due(self, worker: _Worker[TaskT, StepT]) -> float:
        """Return the time at which a worker will have taken too long for its step."""
        allowed = self.timeout if worker.ready else max(self.timeout, START_SECONDS)
        return worker.waits_since() + allowed

    def _is_overdue(self, worker: _Worker[TaskT, StepT], now: float) -> bool:
        """Return whether a worker has taken too long for its step, starvation aside."""
        if now >= self._due(worker):
            worker.excuse_starvation()
        return now >= self._due(worker)

    def _drain(self, worker: _Worker[TaskT, StepT]) -> None:
        """Read all messages of a worker."""
        speaks = True
        while speaks:
            try:
                words = worker.connection.recv()
            except (EOFError, OSError):
                self._handle_death(worker)
                return
            self._handle_message(worker, *words)
            # `poll` fails on Windows if the other end is gone; reading then reports it.
            speaks = bool(wait([worker.connection], 0))

    def _handle_message(
        self, worker: _Worker[TaskT, StepT], message: Message, value: Any, ended: int
    ) -> None:
        worker.begin_wait(self.clock.now())
        worker.finish_jobs(ended)
        match message:
            case Message.READY:
                worker.ready = True
                self.failed_starts = 0
            case Message.FAILED:
                raise value
            case Message.STEPS:
                for place, result in value:
                    worker.finish_jobs(ended + place)
                    worker.steps += 1
                    worker.queue[0].results.append(result)
                    worker.queue[0].retried = False

    def _handle_death(self, worker: _Worker[TaskT, StepT]) -> None:
        """Handle the loss of a worker: settle its current step, take back its other jobs."""
        self.workers.remove(worker)
        worker.connection.close()
        worker.process.join()
        worker.finish_jobs(worker.progress.ended)
        if not worker.ready:
            self._count_failed_start(worker)
        elif worker.queue:
            self._settle_loss(worker, worker.queue[0])
        back = [job for job in worker.queue if not job.done]
        for job in back:
            job.alone = True
        self.waiting.extendleft(reversed(back))

    def _count_failed_start(self, worker: _Worker[TaskT, StepT]) -> None:
        self.failed_starts += 1
        if self.failed_starts == STARTS:
            cure = "Run again with fewer --jobs, or give each more with --max-memory-per-worker."
            end = _end(worker.process)
            message = f"A worker process {end} before it could begin, {STARTS} times. {cure}"
            raise BackendError(message)

    def _settle_loss(self, worker: _Worker[TaskT, StepT], job: _Job[TaskT, StepT]) -> None:
        """Record the loss of the worker's current step, if that step is to blame."""
        begun = worker.progress.begun > worker.steps
        if not begun and not job.alone:
            # Perhaps all its steps were done already, and the worker was at another task.
            job.results.clear()
            return
        if worker.overdue and worker.overdue != (worker.ended, worker.steps):
            return
        is_costly = worker.overdue or worker.process.exitcode == NO_MEMORY
        if not job.retried and not (begun and is_costly):
            # Perhaps something else killed it.
            job.retried = True
            return
        loss = (
            Loss(kind=LossKind.TIMEOUT, detail=f"not read within {self.timeout:g} s (--timeout)")
            if worker.overdue
            else _loss(worker.process)
        )
        job.results.append(self.lost(job.task, len(job.results) + 1, loss))
        job.done = not begun
        job.retried = False


def _run_delay(process: int | None) -> float:
    """Return the seconds that a process has been ready to run without a processor to run on.

    0 if the system does not report it.
    """
    try:
        return int(Path(f"/proc/{process}/schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _loss(process: SpawnProcess) -> Loss:
    if process.exitcode == NO_MEMORY:
        return Loss(
            kind=LossKind.OUT_OF_MEMORY, detail="needs more memory than a worker process may take"
        )
    return Loss(
        kind=LossKind.DIED, detail=f"the worker process {_end(process)}, perhaps for lack of memory"
    )


def _end(process: SpawnProcess) -> str:
    """Describe how a process ended."""
    code = process.exitcode or 0
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended with status {code}"


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Keep Ctrl-C from processes started in the block.

    The terminal sends it to all processes, but only this one should handle it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
