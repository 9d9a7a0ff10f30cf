"""The book's jobs from a shell: ``python -m dysample_lib train``, and so on."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .data import DATASETS
from .ops.checks import check_positive_integer
from .study.budget import BUDGETS, current_budget
from .testbed.nets import DECODERS
from .upsamplers import LADDER, UPSAMPLERS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dysample_lib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    train = commands.add_parser(
        "train", help="train one upsampler; the last line printed is its record"
    )
    train.add_argument("--upsampler", choices=UPSAMPLERS, default="grouping")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument(
        "--checkpoint", type=Path, help="save to this file, and go on from it"
    )
    train.set_defaults(job=_train)

    sweep = commands.add_parser(
        "sweep", help="train many upsamplers over many seeds into a record file"
    )
    sweep.add_argument(
        "--upsamplers", nargs="+", choices=UPSAMPLERS, default=list(LADDER)
    )
    sweep.add_argument("--seeds", type=int, help="how many; the budget's by default")
    sweep.add_argument("--output", type=Path, required=True)
    sweep.add_argument("--workers", type=int, default=1, help="runs at a time")
    sweep.set_defaults(job=_sweep)

    evaluate = commands.add_parser(
        "evaluate", help="measure the model of a training checkpoint"
    )
    evaluate.add_argument("--checkpoint", type=Path, required=True)
    evaluate.add_argument("--root", type=Path, help="the data set's folder")
    evaluate.add_argument("--band", type=int, default=2, help="in pixels")
    evaluate.set_defaults(job=_evaluate)

    cost = commands.add_parser(
        "cost", help="measure what upsamplers cost on this machine"
    )
    cost.add_argument(
        "--upsamplers", nargs="+", choices=UPSAMPLERS, default=list(UPSAMPLERS)
    )
    cost.add_argument("--channels", type=int, default=256)
    cost.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), default=(120, 120)
    )
    cost.add_argument("--scale", type=int, default=2)
    cost.add_argument("--batch", type=int, default=1)
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

    for command in (train, sweep):
        command.add_argument("--dataset", choices=DATASETS)
        command.add_argument("--root", type=Path, help="the data set's folder")
        command.add_argument("--decoder", choices=DECODERS, default="pointwise")
        command.add_argument("--budget", choices=BUDGETS)
        command.add_argument("--epochs", type=int, help="the budget's by default")
    return parser


def _train(options: argparse.Namespace) -> None:
    from .study.run import run

    result = run(
        options.upsampler,
        dataset=options.dataset,
        decoder=options.decoder,
        seed=options.seed,
        epochs=options.epochs,
        budget=options.budget,
        root=options.root,
        checkpoint=options.checkpoint,
    )
    print(result.record.to_json_line().strip())


def _sweep(options: argparse.Namespace) -> None:
    from .study.sweep import Job, sweep

    budget = current_budget(options.budget or "record")
    seeds = budget.seeds if options.seeds is None else options.seeds
    epochs = budget.epochs if options.epochs is None else options.epochs
    check_positive_integer("seeds", seeds)
    check_positive_integer("epochs", epochs)
    jobs = [
        Job(
            dataset=options.dataset or budget.dataset,
            decoder=options.decoder,
            upsampler=upsampler,
            seed=seed,
            epochs=epochs,
            budget=budget.name,
        )
        for seed in range(seeds)
        for upsampler in options.upsamplers
    ]
    sweep(jobs, options.output, workers=options.workers, root=options.root)


def _evaluate(options: argparse.Namespace) -> None:
    from .study.run import evaluate_checkpoint

    metrics = evaluate_checkpoint(
        options.checkpoint, root=options.root, band=options.band
    )
    print(json.dumps(metrics))


def _cost(options: argparse.Namespace) -> None:
    from .cost import compare, cost_json, cost_markdown, cost_text, keep_memory

    if options.allocator == "keeps memory":
        keep_memory()
    write = {"table": cost_text, "markdown": cost_markdown, "json": cost_json}
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
    costs = compare(
        options.upsamplers,
        options.channels,
        *options.size,
        scale=options.scale,
        batch=options.batch,
        repeats=options.repeats,
        threads=options.threads,
        device=options.device,
    )
    text = write[options.format](costs)
    if options.output is None:
        print(text)
    else:
        options.output.write_text(f"{text}\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.job(options)
    except ModuleNotFoundError as error:
        remedy = "pip install 'dysample-lib[notebooks]' brings what is missing"
        print(f"{options.command}: {error}; {remedy}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
