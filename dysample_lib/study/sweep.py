"""Many runs into one record file, several at a time, resuming where it was stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from ..ops.checks import check_positive_integer
from .records import Record, append_record, recorded
from .run import run


@dataclass(frozen=True)
class Job:
    """What identifies a run: the arguments of :func:`dysample_lib.study.run.run`."""

    dataset: str
    decoder: str
    upsampler: str
    seed: int
    epochs: int
    budget: str

    @property
    def checkpoint_name(self) -> str:
        """A file name of its own for each job."""
        return (
            f"{self.dataset}-{self.decoder}-{self.upsampler}-{self.epochs}epochs-"
            f"seed{self.seed}-{self.budget}.pt"
        )


def sweep(
    jobs: Iterable[Job],
    output: Path,
    *,
    workers: int = 1,
    checkpoints: Path | None = None,
    root: Path | str | None = None,
    report: Callable[[str], None] = print,
) -> int:
    """Run what ``output`` does not hold yet and append one line a run.

    Each worker takes its share of the cores. A run that is stopped half-way goes on
    from its checkpoint; a checkpoint is removed once its run is recorded.

    Args:
        jobs: the runs, in order.
        output: a file of records (JSON lines).
        workers: runs at a time, each in a process of its own.
        checkpoints: a folder for unfinished runs; ``runs`` beside ``output``'s folder
            by default.
        root: the data set's folder, where it has one.
        report: called with one line a run.

    Returns:
        How many runs were made.
    """
    check_positive_integer("workers", workers)
    folder = checkpoints or output.resolve().parent.parent / "runs"
    jobs = list(jobs)
    todo = [job for job in jobs if not recorded(output, **vars(job))]
    report(f"{len(jobs)} runs, {len(jobs) - len(todo)} recorded, {len(todo)} to go")
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=torch.set_num_threads,
        initargs=(threads,),
    )
    try:
        running = {pool.submit(_run, job, folder, root): job for job in todo}
        for done, future in enumerate(as_completed(running), start=1):
            record = future.result()
            append_record(output, record)
            (folder / running[future].checkpoint_name).unlink(missing_ok=True)
            report(
                f"[{done}/{len(todo)}] {record.upsampler} seed {record.seed}: "
                f"mean IoU {record.mean_iou:.4f}, boundary IoU "
                f"{record.boundary_iou:.4f}, {record.seconds:.0f} s"
            )
    finally:
        # After a failure nobody would record what is still waiting to run.
        pool.shutdown(cancel_futures=True)
    return len(todo)


def _run(job: Job, folder: Path, root: Path | str | None) -> Record:
    return run(
        job.upsampler,
        dataset=job.dataset,
        decoder=job.decoder,
        seed=job.seed,
        epochs=job.epochs,
        budget=job.budget,
        root=root,
        checkpoint=folder / job.checkpoint_name,
        progress=False,
    ).record
