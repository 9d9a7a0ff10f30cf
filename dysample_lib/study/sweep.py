"""Many runs into one record file, on many processes or machines, resuming.

A sweep trains what its record file lacks. It takes its runs through any executor of
``concurrent.futures``: processes of this machine, or a Dask cluster. What it promises:

- every run is recorded once, also by two sweeps on one file;
- a run that fails is reported at the end, and the others go on;
- the run of a worker that died is made by another;
- what was stopped half-way goes on from its checkpoint.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import torch

from ..ops.checks import check_positive_integer
from ..ops.devices import available_cores
from ..train.progress import shown
from .provenance import environment
from .records import Record, append_record, fcntl, read_records
from .run import drop_stale, run
from .spec import RunSpec

ATTEMPTS = 3
"""How often a run is tried whose worker dies under it."""

_one_at_a_time = threading.Lock()


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
    """An executor that can be asked how many runs it takes at a time, and renewed."""

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]: ...
    def slots(self) -> int: ...
    def renew(self) -> None: ...
    def close(self) -> None: ...


class Processes:
    """Worker processes of this machine, which share its cores.

    Args:
        workers: runs at a time.
        threads: of torch in each; an equal share of the cores by default.
    """

    def __init__(self, workers: int = 1, threads: int | None = None) -> None:
        check_positive_integer("workers", workers)
        self.workers = workers
        self.threads = threads or max(1, available_cores() // workers)
        check_positive_integer("threads", self.threads)
        self.renew()

    def renew(self) -> None:
        """Start the processes anew, as after the death of one."""
        self.pool: Executor = ProcessPoolExecutor(
            self.workers,
            mp_context=get_context("spawn"),
            initializer=torch.set_num_threads,
            initargs=(self.threads,),
        )

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have ``function`` called in one of the processes."""
        return self.pool.submit(function, *args)

    def slots(self) -> int:
        """How many runs there may be at a time."""
        return self.workers

    def close(self) -> None:
        """End the processes; what waits is not begun."""
        self.pool.shutdown(cancel_futures=True)


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
        self.client: Any = Client(address)
        self.pool: Any = self.client.get_executor(pure=False)

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Have ``function`` called on one of the workers."""
        future: Future[Any] = self.pool.submit(function, *args)
        return future

    def slots(self) -> int:
        """As many runs at a time as there are workers just now, and one waiting."""
        return len(self.client.scheduler_info(n_workers=-1)["workers"]) + 1

    def renew(self) -> None:
        """Nothing: a cluster starts its workers anew by itself."""

    def close(self) -> None:
        """Leave the cluster; what waits is not begun."""
        self.pool.shutdown(wait=False)
        self.client.close()


def sweep(
    jobs: Iterable[RunSpec],
    output: Path | str,
    workers: Workers | None = None,
    *,
    checkpoints: Path | str | None = "",
    root: Path | str | None = None,
    report: Callable[[str], None] = print,
    progress: bool | None = None,
) -> Outcome:
    """Run what ``output`` does not hold yet and append one line a run.

    A checkpoint is removed once its run is recorded.

    Args:
        jobs: the runs, in order; one named twice is made once.
        output: a file of records (JSON lines).
        workers: what makes the runs; one process by default.
        checkpoints: a folder for unfinished runs, which all workers reach; one beside
            ``output`` by default, None for no checkpoints.
        root: the data set's folder, where it has one, as the workers see it.
        report: called with one line a run.
        progress: show a bar with the time left; by default in a terminal and
            outside CI.

    Returns:
        What was made and what failed. Runs of another sweep on the same file are
        waited for.

    Raises:
        OSError: if a record cannot be written; its checkpoint stays.
    """
    output = Path(output).resolve()
    folder = Path(checkpoints) if checkpoints else beside(output)
    jobs = list(dict.fromkeys(jobs))
    done = recorded_keys(output)
    todo = [job for job in jobs if job.key not in done]
    report(f"{len(jobs)} runs, {len(jobs) - len(todo)} recorded, {len(todo)} to go")
    if not todo:
        return Outcome()
    workers = workers or Processes()
    state = _Sweep(
        output,
        workers,
        Claims(beside(output)),
        None if checkpoints is None else folder,
        root,
        report,
    )
    try:
        with _bar(len(todo), progress) as advance:
            state.make(todo, advance)
    finally:
        workers.close()
        state.claims.release_all()
    return state.outcome


def beside(output: Path) -> Path:
    """The folder of a record file's unfinished runs."""
    return output.parent / f"{output.stem}.unfinished"


def recorded_keys(output: Path) -> set[str]:
    """The runs that a file holds."""
    return {record.key for record in read_records(output, missing_ok=True)}


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
        self.folder.mkdir(parents=True, exist_ok=True)
        file = (self.folder / f"{key}.claim").open("a")
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                return False
        self.held[key] = file
        return True

    def release(self, key: str) -> None:
        """Give the run up, or be done with it."""
        # The file stays until the end: one that was unlinked can be locked twice.
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


class _Sweep:
    """The state of one call of :func:`sweep`."""

    def __init__(
        self,
        output: Path,
        workers: Workers,
        claims: Claims,
        checkpoints: Path | None,
        root: Path | str | None,
        report: Callable[[str], None],
    ) -> None:
        self.output, self.workers, self.claims = output, workers, claims
        self.checkpoints, self.root, self.report = checkpoints, root, report
        self.outcome = Outcome()
        self.attempts: dict[RunSpec, int] = {}
        self.running: dict[Future[Record], RunSpec] = {}
        # Before the first run, of the process that started the sweep.
        wanted = ("version", "commit", "code")
        self.origin = {k: v for k, v in environment().items() if k in wanted}

    def make(self, todo: list[RunSpec], advance: Callable[[], None]) -> None:
        waiting = deque(todo)
        elsewhere: list[RunSpec] = []
        while waiting or self.running or elsewhere:
            while waiting and len(self.running) < max(1, self.workers.slots()):
                job = waiting.popleft()
                if not self.begin(job, elsewhere):
                    self.outcome.elsewhere += 1
                    advance()
            if self.running:
                done, _ = wait(
                    list(self.running), timeout=5, return_when=FIRST_COMPLETED
                )
                for future in done:
                    again = self.end(future)
                    waiting.extendleft(reversed(again))
                    if not again:
                        advance()
            elif elsewhere and not waiting:
                time.sleep(0.5)
                waiting.extend(elsewhere)
                elsewhere.clear()

    def begin(self, job: RunSpec, elsewhere: list[RunSpec]) -> bool:
        """Start a run, or note that another sweep does; False if it is recorded."""
        if not self.claims.take(job.key):
            elsewhere.append(job)
            return True
        if job.key in recorded_keys(self.output):
            self.claims.release(job.key)
            return False
        self.attempts[job] = self.attempts.get(job, 0) + 1
        path = None if self.checkpoints is None else self.checkpoints / f"{job.key}.pt"
        future = self.workers.submit(make_run, job, self.root, path, self.origin)
        self.running[future] = job
        return True

    def end(self, future: Future[Record]) -> list[RunSpec]:
        """Record a run that is done; return those that have to be made again."""
        if future not in self.running:  # lost with its neighbour's process
            return []
        job = self.running.pop(future)
        try:
            record = future.result()
        except (BrokenExecutor, CancelledError) as error:
            # One death ends all runs of a pool, so all are made again.
            lost = [job, *self.running.values()]
            self.running.clear()
            self.workers.renew()
            for one in lost:
                self.claims.release(one.key)
            again = [one for one in lost if self.attempts[one] < ATTEMPTS]
            for one in lost:
                if one not in again:
                    self.fail(one, error)
            return again
        except Exception as error:
            self.claims.release(job.key)
            self.fail(job, error)
            return []
        append_record(self.output, record)
        if self.checkpoints is not None:
            (self.checkpoints / f"{job.key}.pt").unlink(missing_ok=True)
        self.claims.release(job.key)
        self.outcome.made.append(record)
        self.report(summary(record))
        return []

    def fail(self, job: RunSpec, error: BaseException) -> None:
        self.outcome.failed[job] = error
        self.report(f"failed: {job.variant} seed {job.seed}: {error}")


def make_run(
    spec: RunSpec,
    root: Path | str | None,
    checkpoint: Path | None,
    origin: dict[str, Any],
) -> Record:
    """What a worker does: one run, from its checkpoint if there is one of it."""
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


def summary(record: Record) -> str:
    """A line on a run that was made."""
    metrics = ", ".join(f"{k} {v:.4f}" for k, v in record.metrics.items())
    spec = record.spec
    return f"{spec.variant} seed {spec.seed}: {metrics}, {record.seconds:.0f} s"


@contextmanager
def _bar(total: int, progress: bool | None) -> Iterator[Callable[[], None]]:
    if not shown(progress):
        yield lambda: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit="run", smoothing=0) as tqdm_bar:

        def advance() -> None:
            tqdm_bar.update()

        yield advance


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
