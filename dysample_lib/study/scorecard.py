"""The paper's claims that this size can test, family by family.

The method's: Liu et al., "Learning to Upsample by Learning to Sample", ICCV 2023.
Published rows of other upsamplers are those that Chen et al. list (TPAMI 46(12), 2024,
README of their code); COCO, ResNet-50, 1× schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.parameters import count_parameters
from ..ops.sampling import initial_positions
from ..upsamplers import LADDER as _LADDER
from ..upsamplers import UPSAMPLERS, DySample, Upsampler, build_upsampler
from .claims import Check, Claim, Count, Family, Gain, Ratio

KERNELS = ("carafe", "fade", "sapa")
"""What the paper calls kernel-based."""

PAPER = {"task": "segmentation", "encoder": "efficientnet_lite0"}
_COASTS = {**PAPER, "dataset": "coastlines"}
_HEAD = {**_COASTS, "decoder": "segformer"}
_SCENES = {**PAPER, "dataset": "camvid", "decoder": "segformer"}
SWEEP = "python -m dysample_lib sweep --output results/"
LADDER = " \\\n    ".join(" ".join(steps) for steps in (_LADDER[:5], _LADDER[5:]))
COASTS = f"{SWEEP}paper_coastlines.jsonl --encoder efficientnet_lite0 \\\n    "

# --- What is so by construction ---


def _parameter(module: Upsampler, name: str) -> Tensor:
    return dict(module.named_parameters())[name]


def _rests_on(mode: str, **options: object) -> tuple[bool, str]:
    """Whether zero offsets give a rule of interpolation, on random maps."""
    torch.manual_seed(0)
    scales, largest = (2, 3, 4), 0.0
    for scale in scales:
        module = build_upsampler("naive", 8, scale, **options).requires_grad_(False)
        _parameter(module, "offset.weight").zero_()
        x = torch.randn(2, 8, 7, 9)
        rule = F.interpolate(x, scale_factor=float(scale), mode=mode)
        largest = max(largest, (module(x) - rule).abs().max().item())
    return largest < 1e-5, f"equal to 1e-5, s = {', '.join(map(str, scales))}"


def starts_as_nearest() -> tuple[bool, str]:
    """The naive design with zero offsets is nearest interpolation."""
    return _rests_on("nearest")


def starts_as_bilinear() -> tuple[bool, str]:
    """Evenly spread points with zero offsets are bilinear interpolation."""
    return _rests_on("bilinear", initial="bilinear")


def ranges_touch() -> tuple[bool, str]:
    """Ranges of neighbours touch where twice the factor is the points' distance."""
    factors = {}
    for scale in (2, 4):
        x = initial_positions(scale)[0].unique()
        factors[scale] = ((x[1] - x[0]) / 2).item()
    text = ", ".join(f"{factor:g} at s = {scale}" for scale, factor in factors.items())
    return factors[2] == 0.25, text


@torch.no_grad()
def limit_is_soft() -> tuple[bool, str]:
    """A large output of the linear layer takes a point beyond 0.25; not under tanh."""
    reach = {}
    for limit in ("soft", "tanh"):
        module = DySample(4, groups=1, limit=limit)
        _parameter(module, "offset.bias").fill_(2.0)
        moved = module.offsets(torch.zeros(1, 4, 1, 1)).flatten()
        start = initial_positions(2).flatten()
        reach[limit] = (moved - start).abs().max().item()
    holds = reach["soft"] > 0.25 > reach["tanh"]
    return holds, f"an output of 2: {reach['soft']:.2f}; by tanh {reach['tanh']:.2f}"


@torch.no_grad()
def dynamic_scope_is_bounded() -> tuple[bool, str]:
    """Each range lies in [0, 0.5], and is 0.25 at first."""
    torch.manual_seed(0)
    static, dynamic = DySample(16), DySample(16, scope="dynamic")
    dynamic.offset.load_state_dict(static.offset.state_dict())
    x = torch.randn(1, 16, 8, 8)
    same = torch.allclose(static(x), dynamic(x), atol=1e-6)
    _parameter(dynamic, "offset.bias").fill_(1.0)
    dynamic.offset.weight.zero_()  # offsets are the ranges themselves
    ends = []
    for weight in (-1e4, 1e4):
        _parameter(dynamic, "scope.weight").fill_(weight)
        start = initial_positions(2).flatten(1).repeat(1, 4).view(1, -1, 1, 1)
        ranges = dynamic.offsets(x.abs()) - start
        ends += [ranges.min().item(), ranges.max().item()]
    low, high = min(ends), max(ends)
    holds = same and abs(low) < 1e-6 and abs(high - 0.5) < 1e-6
    return holds, f"starts as DySample; from {abs(low):.1f} to {high:.1f}"


@torch.no_grad()
def groups_own_their_points() -> tuple[bool, str]:
    """Four groups with one group's weights are that group; with others they differ."""
    torch.manual_seed(0)
    one, four = DySample(16, groups=1), DySample(16, groups=4)
    for name, parameter in one.named_parameters():  # channels are (2, g, s²)
        many = torch.nn.init.normal_(parameter).unflatten(0, (2, 1, 4))
        many = many.repeat_interleave(4, 1).flatten(0, 2)
        _parameter(four, name).copy_(many)
    x = torch.randn(1, 16, 6, 6)
    same = torch.allclose(one(x), four(x), atol=1e-5)
    before = four(x)
    _parameter(four, "offset.bias")[:4] += 1  # x of the first group
    changed = (before != four(x)).flatten(2).any(2)[0].unflatten(0, (4, 4)).any(1)
    holds = same and changed.tolist() == [True, False, False, False]
    return holds, f"one group's points move {int(changed.sum())} group of 4"


def pl_saves_s4() -> tuple[bool, str]:
    """PL has 1/s⁴ of LP's weights, at the same number of groups."""
    ratios = []
    for scale in (2, 3, 4):
        lp, pl = (
            count_parameters(DySample(144, scale, groups=1, style=style)).weights
            for style in ("lp", "pl")
        )
        ratios.append((scale, lp / pl))
    holds = all(ratio == scale**4 for scale, ratio in ratios)
    return holds, ", ".join(f"1/{ratio:g} at s = {scale}" for scale, ratio in ratios)


def nothing_is_compiled() -> tuple[bool, str]:
    """The library has no file that has to be, or was, compiled."""
    files = [path for path in Path(__file__).parents[1].rglob("*") if path.is_file()]
    code = [path for path in files if "__pycache__" not in path.parts]
    built = {".cu", ".cuh", ".cpp", ".c", ".so", ".pyd"}
    return (
        not any(path.suffix in built for path in code),
        "DySample, and every rival here, is plain PyTorch",
    )


def no_guide() -> tuple[bool, str]:
    """DySample takes no high-resolution map; FADE and SAPA do."""
    names = {"grouping": "DySample", **{n: UPSAMPLERS[n].label for n in KERNELS}}
    guided = [label for name, label in names.items() if UPSAMPLERS[name].guided]
    return not UPSAMPLERS["grouping"].guided, f"guided are {' and '.join(guided)}"


# --- Numbers of parameters ---


def added(upsampler: str, biases: bool = False) -> int:
    """Learned values of three upsamplers of 256 channels: a pyramid of four levels."""
    count = count_parameters(build_upsampler(upsampler, 256))
    return 3 * (count.total if biases else count.weights)


def _counted(
    upsampler: str, published: str, words: str, see: str, biases: bool = False
) -> Claim:
    def ours() -> int:
        return added(upsampler, biases)

    return Claim(words, Count(published, ours), (see,), f"+{published}")


_PYRAMID = "Panoptic FPN: "
_COUNTS = (
    _counted("grouping", "24.6K", f"{_PYRAMID}DySample", "ch-in-your-model"),
    _counted("dynamic_scope", "49.2K", f"{_PYRAMID}DySample+", "ch-in-your-model"),
    _counted("dysample_s_plus", "6.2K", f"{_PYRAMID}DySample-S+", "sec-parameters"),
    _counted(
        "dysample_s_plus",
        "6.2K",
        f"{_PYRAMID}DySample-S+, biases counted",
        "sec-parameters",
        biases=True,
    ),
    _counted("carafe", "0.2M", f"{_PYRAMID}CARAFE", "sec-parameters"),
    _counted("fade", "0.1M", f"{_PYRAMID}FADE", "sec-parameters"),
    _counted("sapa", "0.1M", f"{_PYRAMID}SAPA-B", "sec-parameters"),
    _counted("deconv", "1.8M", f"{_PYRAMID}deconvolution", "sec-parameters"),
    _counted("pixel_shuffle", "7.1M", f"{_PYRAMID}pixel shuffle", "sec-parameters"),
    _counted(
        "grouping",
        "32.7K",
        "Faster R-CNN, four levels as well: DySample",
        "ch-in-your-model",
    ),
    _counted(
        "dynamic_scope",
        "65.5K",
        "Faster R-CNN, four levels as well: DySample+",
        "ch-in-your-model",
    ),
)

# --- Gains ---

_STEPS = (
    (
        "bilinear",
        "nearest",
        "(Bilinear interpolation instead of nearest: where the ladder starts)",
        "ch-upsampling",
    ),
    (
        "naive",
        "bilinear",
        "“We first showcase a naive design”: points that move, instead of bilinear "
        "interpolation",
        "ch-naive",
    ),
    (
        "initial_offsets",
        "naive",
        "“… and then demonstrate how to strengthen its upsampling behavior step by "
        "step”: points that start evenly spread",
        "ch-initial-offsets",
    ),
    ("static_scope", "initial_offsets", "… the static scope factor 0.25", "ch-scope"),
    ("grouping", "static_scope", "… four groups: DySample", "ch-grouping"),
    (
        "dynamic_scope",
        "grouping",
        "… the dynamic scope factor: DySample+",
        "ch-dysample",
    ),
    ("dysample_s_plus", "dysample_s", "… the same in PL style", "ch-dysample"),
    (
        "dysample_s",
        "grouping",
        "PL is better than LP for semantic segmentation: DySample-S, instead of "
        "DySample",
        "ch-dysample",
    ),
)


def _gain(
    upsampler: str, instead_of: str, words: str, *see: str, published: str = ""
) -> Claim:
    return Claim(words, Gain(upsampler, instead_of), see, published)


def _steps(*figures: str) -> tuple[Claim, ...]:
    return tuple(_gain(*step, *figures) for step in _STEPS)


_WHOLE = (
    _gain(
        "grouping",
        "nearest",
        "DySample, instead of nearest interpolation",
        "ch-dysample",
        published="Faster R-CNN, AP 38.6 and 37.4",
    ),
    _gain(
        "grouping",
        "bilinear",
        "DySample, instead of bilinear interpolation",
        "ch-dysample",
    ),
    _gain(
        "dynamic_scope",
        "nearest",
        "DySample+, instead of nearest interpolation",
        "ch-dysample",
        published="Faster R-CNN, AP 38.7 and 37.4",
    ),
    _gain(
        "dynamic_scope",
        "bilinear",
        "DySample+, instead of bilinear interpolation",
        "ch-dysample",
    ),
    _gain(
        "dysample_s_plus",
        "nearest",
        "DySample-S+, instead of nearest interpolation",
        "ch-dysample",
        published="Faster R-CNN, AP 38.6 and 37.5",
    ),
    _gain(
        "grouping",
        "blind",
        "“Learning to Sample”: DySample, instead of points that see nothing",
        "ch-naive",
    ),
)

_RIVALS = {
    "carafe": "PQ 41.5 (DySample+) and 40.8",
    "fade": "PQ 41.5 (DySample+) and 40.9",
    "sapa": "PQ 41.5 (DySample+) and 40.6",
    "deconv": "PQ 41.5 (DySample+) and 39.6",
    "pixel_shuffle": "PQ 41.5 (DySample+) and 40.0",
}


def _beats(*rivals: str, see: str, numbers: bool = False) -> tuple[Claim, ...]:
    claims = []
    for rival in rivals:
        words = f"“outperforms other upsamplers”: {UPSAMPLERS[rival].label}"
        published = _RIVALS[rival] if numbers else ""
        claims.append(_gain("grouping", rival, words, see, published=published))
    return tuple(claims)


def _in_decoder(decoder: str, name: str) -> Family:
    """DySample in another decoder, on the same encoder."""
    claims = (
        *(
            _gain(a, b, words, "sec-unlike")
            for (a, b), words in {
                ("grouping", "nearest"): "DySample, instead of nearest interpolation",
                ("grouping", "bilinear"): "DySample, instead of bilinear interpolation",
                ("grouping", "blind"): "DySample, instead of blind points",
            }.items()
        ),
        *_beats("carafe", see="sec-unlike"),
    )
    return Family(
        f"DySample in {name}",
        claims,
        f"{SWEEP}paper_decoders.jsonl --encoder efficientnet_lite0 \\\n"
        f"    --decoder {decoder} --seeds 5 \\\n"
        "    --upsamplers nearest bilinear blind grouping carafe",
        ("paper_decoders",),
        {**_COASTS, "decoder": decoder},
    )


USUAL = {"fpn": "nearest", "segformer": "bilinear"}
"""By decoder: the upsampler that stands there in the published networks."""


def _on_task(
    task: str,
    title: str,
    metric: str,
    published: Mapping[str, str] | None = None,
    *,
    others: tuple[str, ...] = (),
    dataset: str = "islands",
    decoder: str = "fpn",
) -> Family:
    """Claims on another task than segmentation, by its headline metric.

    Args:
        task: its name.
        title: of the family.
        metric: what gains are gains of.
        published: by upsampler, its number and that of nearest interpolation.
        others: upsamplers that DySample outperforms besides interpolation.
        dataset: of the records, which are named after it where it is not the task's.
        decoder: of the records.
    """
    claims = []
    rivals = _beats(*others, see="ch-other-tasks")
    for claim in (_gain(*_STEPS[0]), *_WHOLE[:4], *rivals):
        of, words = claim.evidence, claim.words
        if of == Gain("grouping", USUAL[decoder]):
            words = f"“across five dense prediction tasks”: {words}"
        beside = {Gain(a, "nearest"): text for a, text in (published or {}).items()}
        numbers = beside.get(of, "") if isinstance(of, Gain) else ""
        claims.append(Claim(words, of, ("ch-other-tasks",), numbers))
    photographs = dataset == "pennfudan"
    record = dataset if photographs else task
    where = "\\\n    --dataset pennfudan --root PATH " if photographs else ""
    compared = " ".join(("nearest bilinear grouping dynamic_scope", *others))
    return Family(
        title,
        tuple(claims),
        f"{SWEEP}{record}.jsonl --task {task} {where}\\\n    --upsamplers {compared}",
        (record,),
        {**PAPER, "task": task, "dataset": dataset, "decoder": decoder},
        metric,
    )


SCORECARD: dict[str, Family] = {
    "construction": Family(
        "how it is built",
        (
            Claim(
                "The naive design starts as nearest interpolation: zero offsets",
                Check(starts_as_nearest),
                ("ch-naive",),
            ),
            Claim(
                "Initial offsets start as bilinear interpolation: zero offsets",
                Check(starts_as_bilinear),
                ("ch-initial-offsets",),
            ),
            Claim(
                "At factor 0.25 and s = 2 the ranges of neighbouring points just touch",
                Check(ranges_touch),
                ("ch-scope",),
            ),
            Claim(
                "The scope factor is a soft limit: a point can leave its range",
                Check(limit_is_soft),
                ("ch-scope",),
            ),
            Claim(
                "The dynamic scope lies in [0, 0.5] and is centred on 0.25",
                Check(dynamic_scope_is_bounded),
                ("ch-dysample",),
            ),
            Claim(
                "Each group of channels has a sampling set of its own",
                Check(groups_own_their_points),
                ("ch-grouping",),
            ),
            Claim(
                "PL has 1/s⁴ of the parameters of LP",
                Check(pl_saves_s4),
                ("ch-dysample",),
            ),
            Claim(
                "“requires no customized CUDA package”",
                Check(nothing_is_compiled),
                ("ch-rivals",),
            ),
            Claim(
                "No high-resolution guide is needed, as FADE and SAPA need one",
                Check(no_guide),
                ("ch-rivals",),
            ),
        ),
        "python -m pytest tests/study/test_claims.py",
    ),
    "counts": Family(
        "numbers of parameters, C = 256",
        _COUNTS,
        "python -m dysample_lib cost",
    ),
    "bill": Family(
        "what it costs, on a CPU",
        tuple(
            Claim(words, Ratio(of, KERNELS), ("sec-bill",))
            for words, of in {
                "“much fewer parameters, FLOPs, GPU memory, and latency” than the "
                "kernel-based: parameters": "parameters",
                "… FLOPs": "flops",
                "… memory, inference": "peak_inference_bytes",
                "… memory, training": "peak_training_bytes",
                "… latency, forward": "forward_ms",
                "… latency, forward and backward": "training_ms",
            }.items()
        ),
        "python -m dysample_lib cost --threads 2 --repeats 21 --format json \\\n"
        "    --output results/cost.json",
    ),
    "steps": Family(
        "the steps, in the paper's setting",
        _steps("fig-05-forest"),
        f"{COASTS}--upsamplers {LADDER}",
        ("paper_coastlines",),
        _HEAD,
    ),
    "whole": Family(
        "the end of the ladder, at boundaries",
        _WHOLE,
        f"{COASTS}--upsamplers {LADDER} blind",
        ("paper_coastlines",),
        _HEAD,
    ),
    "pixels": Family(
        "the end of the ladder, over all pixels",
        _WHOLE,
        f"{COASTS}--upsamplers {LADDER} blind",
        ("paper_coastlines",),
        _HEAD,
        "mean_iou",
    ),
    "scope": Family(
        "the scope factor of DySample",
        (
            _gain("grouping", "grouping,scope=0.1", "Scope 0.25, not 0.1", "ch-scope"),
            _gain("grouping", "grouping,scope=0.5", "Scope 0.25, not 0.5", "ch-scope"),
            _gain("grouping", "grouping,scope=1.0", "Scope 0.25, not 1", "ch-scope"),
            _gain(
                "grouping",
                "grouping,limit=tanh",
                "The soft limit, not a hard one (tanh)",
                "ch-scope",
            ),
        ),
        f"{SWEEP}sensitivity.jsonl --encoder efficientnet_lite0 \\\n"
        "    --epochs 8 --seeds 5 \\\n"
        "    --upsamplers grouping grouping,scope=0.1 grouping,scope=0.5 \\\n"
        "    grouping,scope=1.0 grouping,limit=tanh",
        ("sensitivity",),
        {**_HEAD, "epochs": 8, "offset_rate": 1.0},
    ),
    "style": Family(
        "the style and the groups",
        (
            _gain("pl_g4", "grouping", "PL, not LP: g = 4", "ch-dysample"),
            _gain("dysample_s", "lp_g8", "PL, not LP: g = 8", "ch-dysample"),
            _gain("grouping", "lp_g8", "g = 4 for LP, not 8", "ch-grouping"),
            _gain("dysample_s", "pl_g4", "g = 8 for PL, not 4", "ch-dysample"),
            _gain(
                "groups_unscoped",
                "initial_offsets",
                "Four groups, not one, without the scope factor",
                "ch-grouping",
            ),
        ),
        f"{COASTS}--upsamplers grouping dysample_s pl_g4 lp_g8 \\\n"
        "    initial_offsets groups_unscoped",
        ("paper_coastlines",),
        _HEAD,
    ),
    "rivals": Family(
        "its rivals, in the paper's setting",
        _beats(*_RIVALS, see="sec-fair", numbers=True),
        f"{COASTS}--seeds 10 --upsamplers {' '.join(_RIVALS)}",
        ("paper_coastlines",),
        _HEAD,
    ),
    "fpn": _in_decoder("fpn", "a feature pyramid"),
    "pointwise": _in_decoder("pointwise", "a pointwise decoder"),
    "fpn_small": Family(
        "DySample in a feature pyramid, small encoder",
        (
            _gain(
                "grouping",
                "bilinear",
                "DySample, instead of bilinear interpolation",
                "sec-unlike",
            ),
            *_beats("fade", "sapa", see="sec-unlike"),
        ),
        f"{SWEEP}rivals.jsonl --decoder fpn --seeds 5 \\\n"
        "    --upsamplers grouping fade sapa bilinear",
        ("rivals",),
        {"dataset": "coastlines", "encoder": "small", "decoder": "fpn"},
    ),
    "scenes": Family(
        "scenes: CamVid, in the paper's setting",
        tuple(
            _gain(*of, "ch-dysample")
            for of in (
                *(step[:3] for step in _STEPS),
                ("grouping", "bilinear", "DySample, instead of bilinear interpolation"),
                ("grouping", "blind", "“Learning to sample”: instead of blind points"),
            )
        ),
        f"{SWEEP}paper_camvid.jsonl --dataset camvid --root PATH \\\n"
        f"    --encoder efficientnet_lite0 --upsamplers {LADDER} blind",
        ("paper_camvid",),
        _SCENES,
        "mean_iou",
    ),
    "scene_rivals": Family(
        "scenes: its kernel-based rivals on CamVid, in the paper's setting",
        _beats(*KERNELS, see="ch-rivals"),
        f"{SWEEP}paper_camvid.jsonl --dataset camvid --root PATH \\\n"
        f"    --encoder efficientnet_lite0 --seeds 3 --upsamplers {' '.join(KERNELS)}",
        ("paper_camvid",),
        _SCENES,
        "mean_iou",
    ),
    "detection": _on_task(
        "detection",
        "object detection: islands and lakes, Faster R-CNN",
        "box_ap",
        {
            "grouping": "COCO, AP 38.6 and 37.4",
            "dynamic_scope": "COCO, AP 38.7 and 37.4",
        },
    ),
    "instance": _on_task(
        "instance",
        "instance segmentation: islands and lakes, Mask R-CNN",
        "mask_ap",
        {"dynamic_scope": "COCO, mask AP 35.7 and 34.7"},
    ),
    "panoptic": _on_task(
        "panoptic",
        "panoptic segmentation: islands and lakes, land and ocean, Panoptic FPN",
        "pq",
        {"dynamic_scope": "COCO, PQ 41.5 and 40.2"},
    ),
    "height": _on_task(
        "height",
        "the height of the land, SegFormer's head",
        "rmse",
        others=("carafe",),
        dataset="height",
        decoder="segformer",
    ),
    "pennfudan": _on_task(
        "instance",
        "instance segmentation: pedestrians in photographs, Mask R-CNN",
        "mask_ap",
        {"dynamic_scope": "COCO, mask AP 35.7 and 34.7"},
        dataset="pennfudan",
    ),
    "probe": Family(
        "the steps, in the probe",
        _steps(),
        f"{SWEEP}probe.jsonl",
        ("probe",),
        {"dataset": "coastlines", "encoder": "small", "decoder": "pointwise"},
    ),
}
"""By name. Claims on another task are a family more, with the task's metric."""
