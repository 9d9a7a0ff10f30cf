"""The steps, each a program with a time limit, in the order of their worth."""

from __future__ import annotations

from dataclasses import dataclass

from dysample_lib.upsamplers import LADDER

FINETUNED = (
    "-m dysample_lib sweep --encoder efficientnet_lite0 --finetune --encoder-rate 0.1 "
    f"--precision mixed --epochs 12 --seeds 10 --upsamplers {' '.join(LADDER)} blind "
    "--workers 12 --threads 1 --checkpoints none"
)
# CamVid is in $DYSAMPLE_CAMVID; coastlines trains too long for a try on a CPU.
TINY = "--precision float32 --epochs 1 --seeds 1 --upsamplers grouping --workers 1"


@dataclass(frozen=True)
class Step:
    """One thing to measure.

    Attributes:
        title: what it gives.
        limit: seconds after which it is ended. What it has written by then stays.
        command: what the interpreter is called with; ``{out}`` is the folder of all
            steps, ``{results}`` the one whose files belong into ``results/``.
        tiny: further arguments for a try on a CPU; the last one of a kind counts.
        writes: the file that it gives, in ``out``.
    """

    title: str
    limit: int
    command: str
    tiny: str
    writes: str


STEPS: dict[str, Step] = {
    "tests": Step(
        "the tests that need a GPU",
        110,
        # A bare machine has not all that the options of pyproject.toml ask for.
        "-m pytest -q -m cuda tests/cuda --junitxml {out}/tests.xml -W default "
        "-p no:cacheprovider -o addopts=--import-mode=importlib",
        "-k 'grouping or training or nan or far'",
        "tests.xml",
    ),
    "operator": Step(
        "DySample beside bare grid_sample, the published formulation, torch.compile",
        100,
        "-m benchmarks.operator_cost --compile --profile --repeats 101 "
        "--sizes 1x256x120x120 8x256x120x120 4x64x32x32 1x64x320x320 "
        "--output {results}/operator_cost_cuda.json",
        "--no-compile --threads 1 --repeats 7 --sizes 1x16x4x5",
        "results/operator_cost_cuda.json",
    ),
    "cost": Step(
        "time and memory of all upsamplers, batches of 1 and 8",
        55,
        "-m dysample_lib cost --batch 1 8 --repeats 51 --format json "
        "--output {results}/cost_cuda.json",
        "--repeats 7 --channels 16 --size 4 5 --batch 1 2 "
        "--upsamplers bilinear grouping sapa",
        "results/cost_cuda.json",
    ),
    "chapters": Step(
        "the chapters at the full budget, all at once, and their minutes",
        240,
        "-m benchmarks.gpu.chapters {out}",
        "--cells 1 --chapters 00 06 99",
        "results/runtimes_cuda.json",
    ),
    "coastlines": Step(
        "the encoder fine-tuned in mixed precision, coastlines",
        150,
        FINETUNED + " --output {results}/finetuned_coastlines.jsonl",
        TINY + " --encoder small --dataset coastlines --width 8",
        "results/finetuned_coastlines.jsonl",
    ),
    "camvid": Step(
        "the same, CamVid",
        75,
        FINETUNED + " --dataset camvid --output {results}/finetuned_camvid.jsonl",
        TINY + " --precision mixed",
        "results/finetuned_camvid.jsonl",
    ),
}
"""All steps by name."""
