"""Many runs into one record file, on many processes or machines, resuming.

A sweep trains what its record file lacks. It gives its runs to processes of this
machine or to a Dask cluster. What it promises:

- every run is recorded once, also by two sweeps on one file;
- a run that fails is reported at the end, and the others go on;
- the run of a worker that died is made by another;
- what was stopped half-way goes on from its checkpoint.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import torch

from ..ops.checks import check_positive_integer
from ..ops.devices import available_cores
from ..train.checkpoints import remove_checkpoint
from ..train.progress import shown
from .provenance import code_digest, environment
from .records import Record, append_record, fcntl, read_records
from .run import drop_stale, run
from .spec import RunSpec, distinct

ATTEMPTS = 3
"""How often a run is tried whose worker dies under it."""

_one_at_a_time = threading.Lock()

Report = Callable[[str], None]


@dataclass
class Outcome:
    """What a sweep came to.

    Attributes:
        made: records of this call, in the order in which they were finished.
        failed: the runs that failed, each with its error.
        elsewhere: how many runs another sweep recorded meanwhile.
    """

    made: list[Record] = field(default_factory=list)
    failed: dict[RunSpec, BaseException] = field(default_factory=dict)
    elsewhere: int = 0


class Workers(Protocol):
    """What makes runs: an executor that says how many it takes at a time."""

    def slots(self) -> int:
        """How many runs there may be at a time, just now."""
        ...

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have ``function`` called by a worker."""
        ...

    def close(self) -> None:
        """End at once what runs and what waits."""
        ...


class Processes:
    """Worker processes of this machine, which share its cores.

    Args:
        workers: runs at a time.
        threads: of torch in each; an equal share of the cores by default.
    """

    def __init__(self, workers: int = 1, threads: int | None = None) -> None:
        check_positive_integer("workers", workers)
        if threads is None:
            threads = max(1, available_cores() // workers)
        check_positive_integer("threads", threads)
        self.threads = threads
        # A pool a worker: in one pool the death of a worker ends all runs.
        self.workers = [_Worker(threads) for _ in range(workers)]

    def slots(self) -> int:
        """How many runs there may be at a time."""
        return len(self.workers)

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have ``function`` called in a process that is idle."""
        idle = next(worker for worker in self.workers if worker.idle())
        return idle.submit(function, *args)

    def close(self) -> None:
        """End the processes, at once."""
        for worker in self.workers:
            worker.close()


class _Worker:
    """One process, started with its first run, and anew after its death."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.pool: ProcessPoolExecutor | None = None
        self.future: Future[Any] | None = None

    def idle(self) -> bool:
        return self.future is None or self.future.done()

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        try:
            pool = self.pool or self._start()
            self.future = pool.submit(function, *args)
        except BrokenExecutor:  # it died, in its last run or in between
            self.close()
            self.future = self._start().submit(function, *args)
        return self.future

    def _start(self) -> ProcessPoolExecutor:
        context = get_context("spawn")
        ends, self.alive = context.Pipe(duplex=False)
        self.pool = ProcessPoolExecutor(
            1, context, initializer=_begin, initargs=(self.threads, ends)
        )
        return self.pool

    def close(self) -> None:
        if self.pool is not None:
            self.alive.close()
            self.pool.shutdown(cancel_futures=True)
            self.pool = None


def _begin(threads: int, ends: Connection) -> None:
    """What a worker process does first: it lives as long as its sweep."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sweep
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with, args=(ends,), daemon=True).start()


def _end_with(ends: Connection) -> None:
    """End this process when the sweep closes the pipe, or dies."""
    with suppress(EOFError, OSError):
        ends.recv()
    os._exit(1)


class Cluster:
    """A Dask cluster, by the address of its scheduler.

    Its workers need this library and one thread each (``--nthreads 1``): a run seeds
    its process. A worker that dies loses its run to another; the scheduler sees to it.

    Args:
        address: ``"tcp://host:port"``.

    Raises:
        ModuleNotFoundError: without the package ``distributed``.
        OSError: if there is no scheduler at the address.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "a cluster needs the package distributed: "
                "pip install 'dysample-lib[distributed]'",
                name=error.name,
            ) from error
        self.address = address
        self.client: Any = Client(address)
        self.pool: Any = self.client.get_executor(pure=False)

    def slots(self) -> int:
        """As many runs at a time as there are workers just now."""
        return len(self.client.nthreads())

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have ``function`` called on one of the workers."""
        future: Future[Any] = self.pool.submit(function, *args)
        return future

    def close(self) -> None:
        """Leave the cluster; what waits is not begun, what runs is not waited for."""
        self.pool.shutdown(wait=False)
        self.client.close()


def sweep(
    jobs: Iterable[RunSpec],
    output: Path | str,
    workers: Workers | None = None,
    *,
    checkpoints: Path | str | bool = True,
    root: Path | str | None = None,
    report: Report = print,
    progress: bool | None = None,
) -> Outcome:
    """Run what ``output`` does not hold yet and append one line a run.

    A checkpoint is removed once its run is recorded.

    Args:
        jobs: the runs, in order; one named twice is made once.
        output: a file of records (JSON lines).
        workers: what makes the runs, closed at the end; one process by default.
        checkpoints: keep unfinished runs in a folder beside ``output``, or in this
            one, which all workers reach; False keeps none.
        root: the data set's folder, where it has one; all workers reach it.
        report: called with one line a run.
        progress: show a bar with the time left; by default in a terminal and
            outside CI.

    Returns:
        What was made and what failed. Runs of another sweep on the same file are
        waited for.

    Raises:
        OSError: if a record cannot be written; its checkpoint stays.
        ConnectionError: if the cluster is gone.
    """
    output = Path(output).resolve()
    workers = workers or Processes()
    folder = None
    if checkpoints is not False:
        folder = beside(output) if checkpoints is True else Path(checkpoints).resolve()
    records = read_records(output, missing_ok=True)
    todo, counts = left_to_do(jobs, records)
    claims = Claims(beside(output))
    place = None if root is None else Path(root).resolve()
    try:
        report(counts)
        with _bar(todo, records, workers, progress, report) as (advance, say):
            state = _Sweep(output, workers, claims, folder, place, say, advance)
            state.make(todo)
        for job, error in state.outcome.failed.items():
            report(f"failed: {describe(job)}: {type(error).__name__}: {error}")
    finally:
        workers.close()
        claims.release_all()
    return state.outcome


def left_to_do(
    jobs: Iterable[RunSpec], records: Iterable[Record]
) -> tuple[list[RunSpec], str]:
    """The runs that are not recorded, each once, and a line that counts them."""
    jobs, done = distinct(jobs), {record.key for record in records}
    todo = [job for job in jobs if job.key not in done]
    recorded = len(jobs) - len(todo)
    return todo, f"{len(jobs)} runs, {recorded} recorded, {len(todo)} to go"


def beside(output: Path) -> Path:
    """The folder of a record file's unfinished runs."""
    return output.parent / f"{output.stem}.unfinished"


class Claims:
    """Which sweep of several on one file makes which run: a lock a run.

    The system frees the locks of a process that dies. Where there are none (Windows)
    everything is claimed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, Any] = {}

    def take(self, key: str) -> bool:
        """Whether the run is this sweep's to make."""
        path = self.folder / f"{key}.claim"
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                file = path.open("a")
            except FileNotFoundError:  # another sweep cleared the folder just now
                continue
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    file.close()
                    return False
            if _is_at(file, path):
                self.held[key] = file
                return True
            file.close()  # a lock on what another sweep cleared holds nobody off

    def release(self, key: str) -> None:
        """Give the run up, or be done with it."""
        self.held.pop(key).close()

    def release_all(self) -> None:
        """Give up what is held, and clear away what nobody holds."""
        for key in list(self.held):
            self.release(key)
        for path in self.folder.glob("*.claim"):
            if self.take(path.stem):
                path.unlink(missing_ok=True)
                self.release(path.stem)
        with suppress(OSError):  # it holds checkpoints, or another sweep's claims
            self.folder.rmdir()


def _is_at(file: Any, path: Path) -> bool:
    """Whether ``path`` still is the file that was opened."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


class _Sweep:
    """The state of one call of :func:`sweep`."""

    def __init__(
        self,
        output: Path,
        workers: Workers,
        claims: Claims,
        checkpoints: Path | None,
        root: Path | None,
        report: Report,
        advance: Callable[[RunSpec], None],
    ) -> None:
        self.output, self.workers, self.claims = output, workers, claims
        self.checkpoints, self.root = checkpoints, root
        self.report, self.advance = report, advance
        self.outcome = Outcome()
        self.attempts: dict[str, int] = {}
        self.running: dict[Future[Record], RunSpec] = {}
        # Before the first run, of the process that started the sweep.
        wanted = ("version", "commit", "code")
        self.origin = {k: v for k, v in environment().items() if k in wanted}

    def make(self, todo: list[RunSpec]) -> None:
        waiting = deque(todo)
        while waiting or self.running:
            slots = max(1, self.workers.slots())
            elsewhere = []
            while waiting and len(self.running) < slots:
                job = waiting.popleft()
                if not self.begin(job):
                    elsewhere.append(job)
            waiting.extend(elsewhere)  # asked for again a second later
            if not self.running:
                time.sleep(1 if waiting else 0)
                continue
            done, _ = wait(self.running, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                job = self.running.pop(future)
                if not self.end(job, future):
                    waiting.appendleft(job)

    def begin(self, job: RunSpec) -> bool:
        """Start a run, unless it is recorded by now; False if another sweep has it."""
        if not self.claims.take(job.key):
            return False
        if job.key in {r.key for r in read_records(self.output, missing_ok=True)}:
            self.claims.release(job.key)
            self.outcome.elsewhere += 1
            self.advance(job)
            return True
        self.attempts[job.key] = self.attempts.get(job.key, 0) + 1
        path = self.checkpoint(job)
        future = self.workers.submit(make_run, job, self.root, path, self.origin)
        self.running[future] = job
        return True

    def end(self, job: RunSpec, future: Future[Record]) -> bool:
        """Record a run that is done, or its failure; False to have it made again."""
        try:
            record = future.result()
            append_record(self.output, record)
            self.outcome.made.append(record)
            self.report(summary(record))
            path = self.checkpoint(job)
            if path is not None:
                remove_checkpoint(path)
        except CancelledError as error:
            raise ConnectionError(
                "the cluster is gone; what is recorded stays, and the same command "
                "makes the rest"
            ) from error
        except BrokenExecutor as error:
            if self.attempts[job.key] < ATTEMPTS:
                return False
            self.fail(job, error)
        except Exception as error:
            if future.exception() is None:  # the run is fine, the disk is not
                raise
            self.fail(job, error)
        finally:
            self.claims.release(job.key)
        self.advance(job)
        return True

    def fail(self, job: RunSpec, error: BaseException) -> None:
        self.outcome.failed[job] = error
        self.report(f"failed, the others go on: {describe(job)}")

    def checkpoint(self, job: RunSpec) -> Path | None:
        return None if self.checkpoints is None else self.checkpoints / f"{job.key}.pt"


def make_run(
    spec: RunSpec,
    root: Path | None,
    checkpoint: Path | None,
    origin: dict[str, Any],
) -> Record:
    """What a worker does: one run, from its checkpoint if there is one of it.

    Raises:
        RuntimeError: if the worker has another library than the sweep.
    """
    if code_digest() != origin["code"]:
        raise RuntimeError(
            f"the worker's dysample_lib has to be the sweep's (code {origin['code']}), "
            f"got code {code_digest()}: install the same there"
        )
    with _one_at_a_time:  # a run seeds its process
        if checkpoint is not None:
            drop_stale(checkpoint, spec)
        return run(
            spec,
            root=root,
            checkpoint=checkpoint,
            checkpoint_every=max(1, spec.epochs // 4),
            origin=origin,
            progress=False,
        ).record


def describe(spec: RunSpec) -> str:
    """A run in a few words."""
    return (
        f"{spec.dataset} {spec.encoder} {spec.decoder} {spec.variant} "
        f"seed {spec.seed} epochs {spec.epochs}"
    )


def summary(record: Record) -> str:
    """A line on a run that was made."""
    metrics = ", ".join(f"{k} {v:.4f}" for k, v in record.metrics.items())
    spec = record.spec
    return f"{spec.variant} seed {spec.seed}: {metrics}, {record.seconds:.0f} s"


@contextmanager
def _bar(
    todo: list[RunSpec],
    records: list[Record],
    workers: Workers,
    progress: bool | None,
    report: Report,
) -> Iterator[tuple[Callable[[RunSpec], None], Report]]:
    """What a sweep calls after a run, and what it says its lines with meanwhile."""
    if not todo or not shown(progress):
        yield (lambda job: None), report
        return
    from tqdm import tqdm

    left = {job.key: job for job in todo}
    with tqdm(total=len(todo), unit="run", smoothing=0) as bar:

        def show() -> None:
            seconds = time_left(left.values(), records)
            if seconds is not None:
                slots = max(1, workers.slots())
                bar.set_postfix_str(f"{duration(seconds / slots)} left by the records")

        def advance(job: RunSpec) -> None:
            left.pop(job.key)
            bar.update()
            show()

        def say(line: str) -> None:
            bar.clear()
            report(line)
            bar.refresh()

        show()
        yield advance, say


def duration(seconds: float) -> str:
    """A time to wait, as people say it.

    >>> duration(42.1), duration(600), duration(9000)
    ('43 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    if seconds < 5400:
        return f"{math.ceil(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def time_left(todo: Iterable[RunSpec], records: Iterable[Record]) -> float | None:
    """The seconds that runs will take one after the other, by the records there are.

    Of the same upsampler in the same setting, or else of the same setting, or of none:
    None then.
    """
    taken: dict[tuple[str, str], list[float]] = {}
    for record in records:
        for name in (record.spec.upsampler, ""):
            key = (record.spec.setting, name)
            taken.setdefault(key, []).append(record.seconds)
    total = 0.0
    for job in todo:
        known = taken.get((job.setting, job.upsampler)) or taken.get((job.setting, ""))
        if not known:
            return None
        total += fmean(known)
    return total
