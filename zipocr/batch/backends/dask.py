"""The backend for a Dask cluster: an existing one, or a temporary one on this machine.

Each thread of a Dask worker has a child process that does the tasks, with the code of the process
backend. So a step that hangs, dies or needs too much memory costs the same as there, and never the
Dask worker, which others may share. Scheduler and workers only pass on opaque bytes.

Dask runs any code sent to its scheduler: without TLS, anyone who can reach the cluster can run
programs on it.
"""

import gc
import logging
import os
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile
from multiprocessing import current_process, resource_tracker
from time import monotonic
from typing import Any, Generic
from uuid import uuid4

import distributed
from distributed.comm.core import CommClosedError

from zipocr import __version__
from zipocr.batch.backends import Loss, LossKind, StepT, TaskT, Work, usable_cores
from zipocr.batch.backends.processes import DEFAULT_TIMEOUT, ProcessBackend, interrupts_held_back
from zipocr.errors import BackendError

# Tasks per shard, and shards in flight per thread of the cluster: together as many tasks as a
# worker process has in flight.
SHARD = 16
SHARDS_UNDER_WAY = 6
CONNECT_SECONDS = 10.0
# Seconds for which a cluster may be without a worker.
WORKERS_SECONDS = 60.0
# Seconds between checks of the number of workers.
ASK_SECONDS = 2.0
# Idle seconds after which a child process ends, since its map may have been killed.
IDLE_SECONDS = 30.0
_KILLS = "it killed one Dask worker after the other, perhaps for lack of memory"
_FOREIGN = (
    "Install the same version of zipocr, with the same libraries, wherever its scheduler and "
    "workers "
    "run; where processors differ, give all the same OPENBLAS_CORETYPE."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """The properties shared by all shards of a map.

    ``start`` and ``check`` are pickled; relative paths are relative to ``folder``.
    """

    number: str
    version: str
    folder: str
    start: bytes
    check: bytes
    timeout: float
    max_memory: int | None


@dataclass(slots=True, kw_only=True, eq=False)
class _Shard(Generic[TaskT, StepT]):
    """A group of tasks in flight, and their results once they have arrived.

    Only ``workers`` may do them, or any if None. ``moved``: workers were lost with this shard
    before; ``given_up``: it was lost once more.
    """

    tasks: Sequence[TaskT]
    future: "distributed.Future[Any]"
    workers: frozenset[str] | None = None
    moved: bool = False
    given_up: bool = False
    results: list[list[StepT]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """The answer of a worker with a different installation, instead of results."""

    address: str
    why: str


class _MismatchError(BackendError):
    """Raised for a process with a different installation; the message says what differs."""


def _unchanged() -> str:
    """Accept every worker."""
    return ""


def _ignore_message(_: str) -> None:
    """Ignore a message."""


class DaskBackend:
    """Backend that works in processes of a Dask cluster.

    Parameters
    ----------
    scheduler : str, optional
        Address of the scheduler, like ``tcp://host:8786``; None starts a cluster on this machine
        for the duration of a map.
    jobs : int
        Number of workers of a temporary cluster; 0 is one per usable core.
    timeout : float
        Seconds after which a step counts as hanging.
    max_memory : int, optional
        Memory limit of a child process in bytes.
    check : callable
        Called in each process before its first task; must be picklable. Returns a description if
        results of this process would differ from those of others: its worker then gets no task.
    tell : callable
        Called with a sentence for each worker that gets no task.
    """

    def __init__(
        self,
        *,
        scheduler: str | None = None,
        jobs: int = 0,
        timeout: float = DEFAULT_TIMEOUT,
        max_memory: int | None = None,
        check: Callable[[], str] = _unchanged,
        tell: Callable[[str], None] = _ignore_message,
    ) -> None:
        self.scheduler = scheduler
        self.jobs = jobs
        self.timeout = timeout
        self.max_memory = max_memory
        self.check = check
        self.tell = tell

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
            Called once in each worker process; must be picklable. Its exceptions are raised here.
        tasks : iterable
            The tasks, picklable. At most ``SHARD * SHARDS_UNDER_WAY`` per thread of the cluster are
            consumed ahead of the results.
        lost : callable
            Makes the result of a step whose process hung or died. Losing a Dask worker costs
            nothing, unless the same task kills several workers: it is given up when Dask gives up.

        Yields
        ------
        list
            The results of a task's steps, in the order of the tasks.

        Raises
        ------
        BackendError
            If the scheduler cannot be reached or is lost, or has no worker with the same
            installation.
        """
        coming = iter(tasks)
        for first in coming:
            job = _Job(
                number=uuid4().hex,
                version=__version__,
                folder=os.getcwd(),  # noqa: PTH109 - a plain string
                start=pickle.dumps(start),
                check=pickle.dumps(self.check),
                timeout=self.timeout,
                max_memory=self.max_memory,
            )
            with self._connected() as client, _translated():
                mapped = _Map(client=client, job=job, lost=lost, tell=self.tell)
                yield from mapped.run(chain((first,), coming))

    @contextmanager
    def _connected(self) -> Iterator["distributed.Client"]:
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with ExitStack() as stack:
            address = self.scheduler or stack.enter_context(self._own_cluster()).scheduler_address
            client = _connect(address)
            if isinstance(client, str):
                # Otherwise the failed client would be closed in the thread of a later one, and both
                # would deadlock.
                gc.collect()
                raise BackendError(client)
            with client:
                yield client

    @contextmanager
    def _own_cluster(self) -> Iterator["distributed.LocalCluster"]:
        """Start a private cluster that leaves Ctrl-C to this process.

        Workers that it starts later inherit that.
        """
        # Starting it inside the block would let interrupts through again.
        resource_tracker.ensure_running()
        with interrupts_held_back():
            cluster = distributed.LocalCluster(
                n_workers=self.jobs or usable_cores(),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=None,
                silence_logs=logging.CRITICAL,
            )
        with cluster:
            yield cluster


def _connect(address: str) -> "distributed.Client | str":
    """Connect to a scheduler, or return why that failed.

    An exception would keep the incomplete client alive.
    """
    try:
        return distributed.Client(
            address, timeout=CONNECT_SECONDS, set_as_default=False, name="zipocr"
        )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        return (
            f"The Dask scheduler {address} cannot be reached ({error}). Start one with "
            "'dask scheduler'."
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _Map(Generic[TaskT, StepT]):
    """A running map: keeps a bounded number of shards in flight, yields their results in order."""

    client: "distributed.Client"
    job: _Job
    lost: Callable[[TaskT, int, Loss], StepT]
    tell: Callable[[str], None] = _ignore_message
    mismatched: dict[str, str] = field(default_factory=dict)
    under_way: deque[_Shard[TaskT, StepT]] = field(default_factory=deque)
    job_there: "distributed.Future[Any] | None" = None
    threads: int = 0
    asked: float = float("-inf")

    def run(self, tasks: Iterator[TaskT]) -> Iterator[list[StepT]]:
        """Do all tasks."""
        # Submitted as a task, the job is recomputed if a worker loses it.
        self.job_there = self.client.submit(
            _same, self.job, key=f"zipocr-{self.job.number}", pure=False
        )
        while True:
            if monotonic() - self.asked >= ASK_SECONDS:
                self._ask()
            while len(self.under_way) < self.threads * SHARDS_UNDER_WAY and (
                some := tuple(islice(tasks, SHARD))
            ):
                self.under_way.append(self._submit(some))
            if not self.under_way:
                return
            self._await(self.under_way[0])
            self._gather(takewhile(lambda shard: shard.future.done(), self.under_way))
            first = self.under_way[0]
            if first.results is None and (first.given_up or first.future.done()):
                self._look_into(first)
            while self.under_way and (results := self.under_way[0].results) is not None:
                yield from results
                self.under_way.popleft()

    def _submit(self, tasks: Sequence[TaskT]) -> _Shard[TaskT, StepT]:
        workers = self._choose()
        return _Shard(tasks=tasks, future=self._send(tasks, workers), workers=workers)

    def _send(
        self, tasks: Sequence[TaskT], workers: frozenset[str] | None
    ) -> "distributed.Future[Any]":
        sealed = [pickle.dumps(task) for task in tasks]
        key = f"zipocr-{self.job.number}-{uuid4().hex}"
        if workers is None:
            return self.client.submit(do_shard, self.job_there, sealed, key=key, pure=False)
        # If all of these workers are lost with their results, Dask would wait for them to return;
        # any other worker refuses at once.
        return self.client.submit(
            do_shard,
            self.job_there,
            sealed,
            key=key,
            pure=False,
            workers=sorted(workers),
            allow_other_workers=True,
        )

    def _send_on(self, shard: _Shard[TaskT, StepT]) -> None:
        """Resubmit a shard to other workers."""
        shard.workers = self._choose()
        shard.future = self._send(shard.tasks, shard.workers)

    def _choose(self) -> frozenset[str] | None:
        """Return the workers that may do a shard: any, until one has refused."""
        if self.mismatched and not self._usable_workers():
            self._ask()
        return self._usable_workers() if self.mismatched else None

    def _usable_workers(self) -> frozenset[str]:
        return frozenset(self.client.nthreads()) - self.mismatched.keys()

    def _ask(self) -> None:
        """Count the cluster's threads for this work; wait while there are none."""
        until = monotonic() + WORKERS_SECONDS
        while not (threads := self._count_threads()):
            if monotonic() > until:
                raise BackendError(self._no_workers())
            with suppress(TimeoutError):
                self.client.wait_for_workers(len(self.client.nthreads()) + 1, timeout=ASK_SECONDS)
        self.threads, self.asked = threads, monotonic()

    def _count_threads(self) -> int:
        counts = self.client.nthreads().items()
        return sum(count for address, count in counts if address not in self.mismatched)

    def _no_workers(self) -> str:
        """Make the error for a cluster without usable workers."""
        where = self.client.scheduler_info()["address"]
        waited = f"The Dask scheduler {where} has had no workers for {WORKERS_SECONDS:g} s"
        if not self.mismatched:
            return f"{waited}. Start some with 'dask worker {where}'."
        told = "; ".join(f"{address}: {why}" for address, why in self.mismatched.items())
        return f"{waited} that can do this work ({told}). {_FOREIGN}"

    def _await(self, shard: _Shard[TaskT, StepT]) -> None:
        """Wait for a shard as long as there are workers."""
        while not (shard.given_up or shard.future.done()):
            try:
                shard.future.exception(timeout=ASK_SECONDS)
            except TimeoutError:
                self._ask()
                if shard.workers is not None and not shard.workers & self._usable_workers():
                    # Dask would wait for these workers to return.
                    shard.given_up, shard.moved = shard.moved, True
                    self._send_on(shard)

    def _gather(self, shards: Iterable[_Shard[TaskT, StepT]]) -> None:
        """Fetch the results of all finished shards at once; resubmit refused ones."""
        fine = [
            shard for shard in shards if shard.results is None and shard.future.status == "finished"
        ]
        found = self.client.gather([shard.future for shard in fine]) if fine else ()
        for shard, results in zip(fine, found, strict=True):
            if isinstance(results, _Refusal):
                self._pass_on(shard, results)
            else:
                pairs = zip(shard.tasks, results, strict=True)
                shard.results = [self._opened(task, steps) for task, steps in pairs]

    def _pass_on(self, shard: _Shard[TaskT, StepT], refusal: _Refusal) -> None:
        """Resubmit a shard to workers other than the one that refused it."""
        if refusal.address not in self.mismatched:
            self.mismatched[refusal.address] = refusal.why
            self.tell(f"The Dask worker {refusal.address} gets no work: {refusal.why}. {_FOREIGN}")
        self._send_on(shard)

    def _opened(self, task: TaskT, steps: Sequence[bytes | Loss]) -> list[StepT]:
        return [
            pickle.loads(step) if isinstance(step, bytes) else self.lost(task, number, step)
            for number, step in enumerate(steps, start=1)
        ]

    def _look_into(self, shard: _Shard[TaskT, StepT]) -> None:
        """Raise a shard's error, or find the task that kills Dask workers.

        Each task is done alone, so that no other is blamed.
        """
        if not _killed_workers(shard):
            return
        for other in self.under_way:
            self._await(other)
        self._gather(self.under_way)
        shard.results = [self._alone(task) for task in shard.tasks]

    def _alone(self, task: TaskT) -> list[StepT]:
        shard = self._submit((task,))
        while shard.results is None:
            self._await(shard)
            if _killed_workers(shard):
                return [self.lost(task, 1, Loss(kind=LossKind.DIED, detail=_KILLS))]
            self._gather((shard,))
        return shard.results[0]


def _killed_workers(shard: _Shard[Any, Any]) -> bool:
    """Return whether Dask has given up a shard because it killed workers.

    Any other error is raised.
    """
    if shard.given_up:
        return True
    if shard.future.cancelled():
        raise CancelledError
    error = shard.future.exception()
    if error is None or isinstance(error, distributed.KilledWorker):
        return error is not None
    raise error


@contextmanager
def _translated() -> Iterator[None]:
    """Translate errors about a lost or different cluster into a `BackendError`."""
    try:
        yield
    except (CancelledError, CommClosedError, OSError) as error:
        message = (
            f"The Dask scheduler was lost ({type(error).__name__}). Restart it, and continue with "
            "--resume."
        )
        raise BackendError(message) from error
    except (ImportError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "deserialization" not in str(error):
            raise
        message = f"The Dask cluster cannot do this work ({error.__cause__ or error}). {_FOREIGN}"
        raise BackendError(message) from error


def _same(job: _Job) -> _Job:
    return job


# The following runs on the workers of the cluster.


@dataclass(slots=True, kw_only=True, eq=False)
class _ThreadWorker:
    """A child process for one thread of this Dask worker, and the job it was started for."""

    number: str
    backend: ProcessBackend
    lock: threading.Lock = field(default_factory=threading.Lock)
    idle: threading.Timer | None = None

    def work(self, start: "_Start", tasks: Sequence[bytes]) -> list[list[bytes | Loss]]:
        """Do tasks; the process is kept for the next ones, until it has been idle for some time."""
        with self.lock:
            if self.idle:
                self.idle.cancel()
            results: list[list[bytes | Loss]] = list(self.backend.map(start, tasks, lost=_loss))
            self.idle = threading.Timer(IDLE_SECONDS, self.rest)
            self.idle.daemon = True
            self.idle.start()
        return results

    def rest(self) -> None:
        """End the process unless it is busy again; the next task will start another."""
        if self.lock.acquire(blocking=False):
            self.backend.__exit__()
            self.backend.__enter__()
            self.lock.release()


_OWN = threading.local()
"""The child process of each thread of this Dask worker."""


def do_shard(job: _Job, tasks: Sequence[bytes]) -> list[list[bytes | Loss]] | _Refusal:
    """Do pickled tasks in the child process of this thread.

    Returns
    -------
    list or _Refusal
        For each task its pickled results and losses; or why this worker cannot do this job.
    """
    try:
        return _thread_worker(job).work(_Start(job=job), tasks)
    except _MismatchError as mismatch:
        return _Refusal(address=distributed.get_worker().address, why=str(mismatch))


def _thread_worker(job: _Job) -> _ThreadWorker:
    # Dask's nannies make workers daemons, for which Python forbids children. These children end
    # with their parent in any case.
    current_process().daemon = False
    hand: _ThreadWorker | None = getattr(_OWN, "hand", None)
    if hand is None or hand.number != job.number:
        if hand is not None:
            hand.rest()
        hand = _OWN.hand = _ThreadWorker(
            number=job.number,
            backend=ProcessBackend(jobs=1, timeout=job.timeout, max_memory=job.max_memory),
        )
        hand.backend.__enter__()
    return hand


def _loss(_task: bytes, _step: int, loss: Loss) -> bytes | Loss:
    return loss


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Factory for a job's work, which resolves relative paths as the client does."""

    job: _Job

    def __call__(self) -> Work[bytes, bytes | Loss]:
        """Start the work in the client's folder, if it exists here."""
        with suppress(OSError):
            os.chdir(self.job.folder)
        if why := self._mismatch():
            raise _MismatchError(why)
        return _PickledWork(work=pickle.loads(self.job.start)())

    def _mismatch(self) -> str:
        if self.job.version != __version__:
            return f"it has zipocr {__version__}, and this is {self.job.version}"
        try:
            return str(pickle.loads(self.job.check)())
        except Exception as error:  # noqa: BLE001 - a check that fails counts as a difference
            return f"it cannot identify itself ({error!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _PickledWork:
    """Work on pickled tasks that pickles their results."""

    work: Work[Any, Any]

    @property
    def at_once(self) -> int:
        """Maximum number of tasks to do together, as for the inner work."""
        return self.work.at_once

    def steps(
        self, task: bytes, *, first: int, begin: Callable[[], None]
    ) -> Iterator[bytes | Loss]:
        """Yield what the inner work yields, with pickled results."""
        yield from map(pickle.dumps, self.work.steps(pickle.loads(task), first=first, begin=begin))

    def together(self, tasks: Sequence[bytes]) -> Iterator[Sequence[tuple[int, bytes | Loss]]]:
        """Yield what the inner work yields, with pickled results."""
        for some in self.work.together([pickle.loads(task) for task in tasks]):
            yield [(place, pickle.dumps(result)) for place, result in some]
