"""The book's jobs from a shell: ``python -m dysample_lib train``, and so on."""

from __future__ import annotations

import argparse
import codecs
import io
import json
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from .data import DATASETS
from .study.budget import BUDGETS
from .tasks import TASKS
from .testbed.decoders import DECODERS
from .testbed.encoders import ENCODERS
from .upsamplers import CONTROLS, LADDER, UPSAMPLERS

SPEC_OPTIONS = (
    "task",
    "dataset",
    "encoder",
    "finetune",
    "decoder",
    "budget",
    "epochs",
    "width",
    "batch_size",
    "learning_rate",
    "offset_rate",
    "encoder_rate",
    "precision",
    "device",
)
"""Options of ``train`` and ``sweep`` that go into a run's spec as they are."""

SEVERAL = ("task", "dataset", "encoder", "decoder")
"""Those of which ``sweep`` takes several, to make every combination."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dysample_lib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_train(commands)
    _add_sweep(commands)
    _add_evaluate(commands)
    _add_cost(commands)
    return parser


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train", help="train one upsampler; the last line printed is its record"
    )
    train.add_argument(
        "--upsampler",
        default="grouping",
        metavar="NAME[,option=value…]",
        help=", ".join(UPSAMPLERS),
    )
    train.add_argument("--seed", type=int, default=0)
    train.add_argument(
        "--checkpoint", type=Path, help="save to this file, and go on from it"
    )
    _add_spec_options(train)
    train.set_defaults(job=_train)


def _add_sweep(commands: Any) -> None:
    sweep = commands.add_parser(
        "sweep", help="train many upsamplers over many seeds into a record file"
    )
    sweep.add_argument(
        "--upsamplers",
        nargs="+",
        default=list(LADDER),
        metavar="NAME[,option=value…]",
        help="the ladder by default",
    )
    sweep.add_argument(
        "--seeds",
        type=_seeds,
        help="how many (5), a range (5-9) or a list (1,4); the budget's by default",
    )
    sweep.add_argument("--output", type=Path, required=True)
    sweep.add_argument("--workers", type=int, default=1, help="runs at a time")
    sweep.add_argument("--threads", type=int, help="of each worker; its share if unset")
    sweep.add_argument(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="of a Dask cluster that runs them",
    )
    sweep.add_argument(
        "--checkpoints",
        metavar="FOLDER",
        default="beside",
        help="of unfinished runs, or 'none'; beside the output by default",
    )
    sweep.add_argument(
        "--dry-run", action="store_true", help="say what is left, and how long it takes"
    )
    sweep.add_argument(
        "--verify",
        type=int,
        metavar="N",
        help="run N recorded lines of the output again and compare",
    )
    _add_spec_options(sweep, several=True)
    sweep.set_defaults(job=_sweep)


def _add_spec_options(command: argparse.ArgumentParser, several: bool = False) -> None:
    for name, registry, default in (
        ("task", TASKS, "segmentation"),
        ("dataset", DATASETS, None),
        ("encoder", ENCODERS, None),
        ("decoder", DECODERS, None),
    ):
        command.add_argument(
            f"--{name}",
            choices=tuple(registry),
            default=[default] if several else default,
            nargs="+" if several else None,
        )
    command.add_argument("--root", type=Path, help="the data set's folder")
    command.add_argument(
        "--finetune", action="store_true", help="train a pretrained encoder as well"
    )
    command.add_argument("--budget", choices=BUDGETS)
    command.add_argument("--epochs", type=int, help="the budget's by default")
    command.add_argument("--width", type=int, help="channels that upsamplers see")
    command.add_argument("--batch-size", type=int)
    command.add_argument("--learning-rate", type=float)
    command.add_argument("--offset-rate", type=float, help="factor for offset layers")
    command.add_argument("--encoder-rate", type=float, help="factor for the encoder")
    command.add_argument("--precision", choices=("float32", "mixed"))
    command.add_argument("--device", choices=("cpu", "cuda"), help="the GPU if any")


def _add_evaluate(commands: Any) -> None:
    evaluate = commands.add_parser(
        "evaluate", help="measure the model of a training checkpoint"
    )
    evaluate.add_argument("--checkpoint", type=Path, required=True)
    evaluate.add_argument("--root", type=Path, help="the data set's folder")
    evaluate.add_argument("--band", type=int, help="in pixels; the run's by default")
    evaluate.set_defaults(job=_evaluate)


def _add_cost(commands: Any) -> None:
    cost = commands.add_parser(
        "cost", help="measure what upsamplers cost on this machine"
    )
    cost.add_argument(
        "--upsamplers",
        nargs="+",
        choices=UPSAMPLERS,
        default=[name for name in UPSAMPLERS if name not in CONTROLS],
        help="all but the controls by default",
    )
    cost.add_argument("--channels", type=int, default=256)
    cost.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), default=(120, 120)
    )
    cost.add_argument("--scale", type=int, default=2)
    cost.add_argument("--batch", type=int, nargs="+", default=[1], help="or several")
    cost.add_argument("--repeats", type=int, default=9, help="turns that count")
    cost.add_argument("--threads", type=int, help="torch's own number by default")
    cost.add_argument("--device", choices=("cpu", "cuda"), help="the GPU if any")
    cost.add_argument(
        "--allocator",
        choices=("keeps memory", "default"),
        default="keeps memory",
        help="where it is glibc's; else page faults are timed as well",
    )
    cost.add_argument(
        "--format", choices=("table", "markdown", "json"), default="table"
    )
    cost.add_argument("--output", type=Path, help="write to this file, print nothing")
    cost.set_defaults(job=_cost)


def _seeds(text: str) -> int | list[int]:
    """``5`` is how many, ``5-9`` a range, ``1,4`` a list."""
    try:
        if text.isdigit():
            return int(text)
        seeds: list[int] = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            seeds += range(int(first), int(last or first) + 1)
    except ValueError:
        seeds = []
    if not seeds:
        raise argparse.ArgumentTypeError(
            f"seeds has to be a number (5), a range (5-9) or a list (1,4), got {text!r}"
        )
    return seeds


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in SPEC_OPTIONS} | {
        "root": options.root
    }


def _train(options: argparse.Namespace) -> int:
    from .cost import keep_memory
    from .study.run import run

    keep_memory()
    result = run(
        options.upsampler,
        seed=options.seed,
        checkpoint=options.checkpoint,
        **_settings(options),
    )
    print(result.record.to_json_line())
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from .cost import keep_memory
    from .study.compare import plan
    from .study.sweep import Cluster, Processes, Workers, sweep
    from .study.verify import say_what_is_left, verify

    keep_memory()
    if options.verify is not None:
        return verify(options.output, options.verify, root=options.root)
    settings = _settings(options)
    settings["budget"] = options.budget or "record"
    jobs = []
    for names in product(*(settings.pop(name) for name in SEVERAL)):
        several = dict(zip(SEVERAL, names, strict=True))
        jobs += plan(options.upsamplers, seeds=options.seeds, **several, **settings)
    jobs.sort(key=lambda job: job.seed)  # a part of them is balanced
    if options.scheduler:
        workers: Workers = Cluster(options.scheduler)
    else:
        workers = Processes(options.workers, options.threads)
    if options.dry_run:
        say_what_is_left(jobs, options.output, max(1, workers.slots()))
        workers.close()
        return 0
    folder = {"beside": True, "none": False}.get(options.checkpoints)
    outcome = sweep(
        jobs,
        options.output,
        workers,
        checkpoints=options.checkpoints if folder is None else folder,
        root=options.root,
    )
    return 1 if outcome.failed else 0


def _evaluate(options: argparse.Namespace) -> int:
    from .study.run import evaluate_checkpoint

    metrics = evaluate_checkpoint(
        options.checkpoint, root=options.root, band=options.band
    )
    print(json.dumps(metrics))
    return 0


def _cost(options: argparse.Namespace) -> int:
    from .cost import compare, cost_json, cost_markdown, cost_text, keep_memory

    if options.allocator == "keeps memory":
        keep_memory()
    write = {"table": cost_text, "markdown": cost_markdown, "json": cost_json}
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
    costs = []
    for batch in options.batch:
        costs += compare(
            options.upsamplers,
            options.channels,
            *options.size,
            scale=options.scale,
            batch=batch,
            repeats=options.repeats,
            threads=options.threads,
            device=options.device,
        )
    text = write[options.format](costs)
    if options.output is None:
        print(text)
    else:
        options.output.write_text(f"{text}\n", encoding="utf-8")
    return 0


def _print_anything() -> None:
    """Escape what a console or a redirected file cannot encode, rather than fail.

    As JSON does, so that a record stays one.
    """

    def escape(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        return json.dumps(error.object[error.start : error.end])[1:-1], error.end

    codecs.register_error("json_escape", escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="json_escape")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    _print_anything()
    options = _parser().parse_args(arguments)
    try:
        status: int = options.job(options)
    except KeyboardInterrupt:
        print(f"{options.command}: interrupted", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        remedy = "pip install 'dysample-lib[notebooks]' brings what is missing"
        print(f"{options.command}: {error}; {remedy}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
