"""One run of the comparison, from a spec to a trained model and its record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock
from torch import nn

from ..data import DATASETS, fingerprint
from ..ops.checks import check_choice
from ..ops.devices import default_device
from ..ops.parameters import count_parameters
from ..tasks import TASKS, Images, Splits, Task
from ..testbed.decoders import DECODERS
from ..testbed.encoders import ENCODERS
from ..train.checkpoints import load_checkpoint, read_checkpoint
from ..train.fit import Fit, fit, load_trained_state, seeded
from ..upsamplers import UPSAMPLERS, build_upsampler
from .budget import current_budget, testbed
from .provenance import code_digest, environment
from .records import Record
from .spec import RunSpec, parse_variant


@dataclass(frozen=True)
class Run:
    """A trained model, how it got there, and the line that goes into ``results/``."""

    model: nn.Module
    metrics: dict[str, float]
    history: list[dict[str, float]]
    record: Record


class Start(NamedTuple):
    """What a run starts from, in the order in which ``fit`` takes it."""

    task: Task
    model: nn.Module
    train: Any
    validation: Any
    spec: RunSpec


def resolve(
    upsampler: str = "grouping",
    *,
    task: str = "segmentation",
    dataset: str | None = None,
    encoder: str | None = None,
    decoder: str | None = None,
    finetune: bool | None = None,
    budget: str | None = None,
    root: Path | str | None = None,
    **fields: Any,
) -> RunSpec:
    """Decide everything that a run leaves open, and say it in a spec.

    Args:
        upsampler: a name from :data:`dysample_lib.upsamplers.UPSAMPLERS`, with options
            if need be: ``"grouping,scope=0.5"``.
        task: a name from :data:`dysample_lib.tasks.TASKS`.
        dataset: the task's own by default.
        encoder: a name from :data:`~dysample_lib.testbed.encoders.ENCODERS`; the
            task's own by default.
        decoder: what the task puts behind the encoder by default: in segmentation
            ``"pointwise"`` for the small one, else ``"segformer"``.
        finetune: train a pretrained encoder, which stays frozen by default.
        budget: its name; chosen by the machine by default.
        root: the data set's folder, where it has one.
        **fields: of :class:`~dysample_lib.study.spec.RunSpec`, instead of what the
            testbed and the budget say; None leaves it to them. With ``data``, its
            fingerprint, the data set is not read here.

    Raises:
        TypeError, ValueError: naming the argument that does not fit; nothing has been
            trained then.
    """
    check_choice("task", task, tuple(TASKS))
    encoder = encoder or TASKS[task].encoder
    check_choice("encoder", encoder, tuple(ENCODERS))
    decoder = decoder or TASKS[task].decoder(encoder)
    check_choice("decoder", decoder, tuple(DECODERS))
    name, options = parse_variant(upsampler)
    check_choice("upsampler", name, tuple(UPSAMPLERS))
    dataset = dataset or TASKS[task].dataset
    check_choice("dataset", dataset, tuple(DATASETS))
    TASKS[task].check(dataset, decoder)
    budget = current_budget(budget)
    bed = testbed(task, dataset, encoder)
    device = default_device().type
    frozen = ENCODERS[encoder].frozen and not finetune
    chosen: dict[str, Any] = {
        "epochs": bed.amount(budget).epochs,
        "width": bed.width,
        "learning_rate": bed.learning_rate,
        "flips": bed.flips,
        "batch_size": bed.batch_size,
        "dataset_options": dict(bed.dataset_options),
        "seed": 0,
        "device": device,
        "precision": "mixed" if device == "cuda" and budget == "full" else "float32",
    }
    for field, by in (("frozen", "finetune"), ("upsampler_options", "upsampler")):
        if field in fields:
            raise TypeError(
                f"{field} is decided by {by}, as in resolve('grouping,scope=0.5', "
                f"finetune=False), got {field}={fields[field]!r}"
            )
    unknown = fields.keys() - RunSpec.__dataclass_fields__.keys()
    if unknown:
        raise TypeError(
            f"a run has no field {', '.join(sorted(unknown))}; it has "
            f"{', '.join(RunSpec.__dataclass_fields__)}"
        )
    chosen |= {name: value for name, value in fields.items() if value is not None}
    with torch.device("meta"):  # refuses an option or a width, draws no weights
        build_upsampler(name, chosen["width"], **options)
    spec = RunSpec(
        task=task,
        dataset=dataset,
        encoder=encoder,
        decoder=decoder,
        upsampler=name,
        upsampler_options=options,
        frozen=frozen,
        budget=budget,
        **chosen,
    )
    if spec.data:
        return spec
    return replace(spec, data=_fingerprint(TASKS[task].load(spec, root)))


def _fingerprint(splits: Splits) -> str:
    return "-".join(fingerprint(split) for split in splits)


def load_splits(spec: RunSpec, root: Path | str | None = None) -> Splits:
    """Both splits of the run's data, the caller's own to change.

    Args:
        spec: of the run.
        root: the data set's folder, where it has one.

    Raises:
        ValueError: if they are not the data that the run is of.
    """
    splits = TASKS[spec.task].load(spec, root)
    found = _fingerprint(splits)
    if spec.data and found != spec.data:
        raise ValueError(
            f"the data of {spec.dataset} has to be what the run is of, {spec.data}, "
            f"got {found}: name its folder with root=… (--root)"
        )
    return splits


def prepare(
    upsampler: str | RunSpec = "grouping",
    *,
    root: Path | str | None = None,
    **settings: Any,
) -> Start:
    """Return what :func:`run` starts from, to change the model before it is trained.

    ``fit(*prepare("naive"))`` trains what ``run("naive")`` trains. The arguments are
    those of :func:`resolve`, or a spec.
    """
    if isinstance(upsampler, RunSpec):
        spec = upsampler
    else:
        spec = resolve(upsampler, root=root, **settings)
    task = TASKS[spec.task]
    train, validation = load_splits(spec, root)
    with seeded(spec.seed):
        model = task.build(spec, train)
    return Start(task, model, train, validation, spec)


def run(
    upsampler: str | RunSpec = "grouping",
    *,
    root: Path | str | None = None,
    checkpoint: Path | str | None = None,
    checkpoint_every: int = 1,
    evaluate_every: int | None = None,
    origin: dict[str, Any] | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Run:
    """Train the testbed with ``upsampler`` and measure it.

    Args:
        upsampler: a name from :data:`dysample_lib.upsamplers.UPSAMPLERS`, or a spec.
        root: the data set's folder, where it has one.
        checkpoint: see :func:`dysample_lib.train.fit.fit`; goes on only from a run of
            the same spec by the same code.
        checkpoint_every: see :func:`dysample_lib.train.fit.fit`.
        evaluate_every: see :func:`dysample_lib.train.fit.fit`.
        origin: what the record says of the library (version, commit, code); asked
            before the training by default. A sweep asks once, before its first run.
        progress: see :func:`dysample_lib.train.fit.fit`.
        **settings: of :func:`resolve`.
    """
    start = prepare(upsampler, root=root, **settings)
    came_from = environment(start.spec.device) | (origin or {})
    result = fit(
        *start,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        identity=checkpoint_identity(start.spec),
        evaluate_every=evaluate_every,
        progress=progress,
    )
    return _run(start, result, came_from)


def _run(start: Start, result: Fit, came_from: dict[str, Any]) -> Run:
    upsamplers = nn.ModuleList(start.task.upsamplers(start.model))
    record = Record(
        spec=start.spec,
        metrics=result.metrics,
        parameters=count_parameters(start.model).total,
        upsampler_parameters=count_parameters(upsamplers).total,
        seconds=round(result.seconds, 2),
        environment=came_from,
    )
    return Run(start.model, result.metrics, result.history, record)


def checkpoint_identity(spec: RunSpec) -> dict[str, Any]:
    """What a checkpoint has to be of to be gone on from: the run and the code."""
    return asdict(spec) | {"budget": "", "code": code_digest()}


def drop_stale(checkpoint: Path, spec: RunSpec) -> dict[str, Any] | None:
    """Remove a checkpoint that is damaged, of another run, or of other code.

    Returns what it holds, or None where there is none, or none any more.
    """
    try:
        return load_checkpoint(checkpoint, checkpoint_identity(spec))
    except ValueError:
        checkpoint.unlink()
        return None


def run_once(
    upsampler: str | RunSpec = "grouping",
    *,
    folder: Path | str,
    root: Path | str | None = None,
    timeout: float = -1,
    progress: bool | None = None,
    **settings: Any,
) -> Run:
    """:func:`run`, or what it gave before: its checkpoint, by this code, in ``folder``.

    Several processes may share a folder: one of them trains, the others wait for it.

    Args:
        upsampler: see :func:`resolve`, or a spec.
        folder: of the checkpoints, made if need be.
        root: the data set's folder, where it has one.
        timeout: how many seconds to wait for another process that is at this run; as
            long as it takes by default.
        progress: see :func:`dysample_lib.train.fit.fit`.
        **settings: of :func:`resolve`.

    Raises:
        TimeoutError: if another process is still at it by then.
    """
    spec = upsampler
    if not isinstance(spec, RunSpec):
        spec = resolve(spec, root=root, **settings)
    checkpoint = Path(folder) / f"{spec.key}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(checkpoint.with_suffix(".lock"), timeout=timeout):
        state = drop_stale(checkpoint, spec)
        if state is None or state["epoch"] < spec.epochs:
            return run(spec, root=root, checkpoint=checkpoint, progress=progress)
    # Of a run that is done no map of a frozen encoder is needed.
    start = prepare(spec, root=root)
    load_trained_state(start.model, state["model"])
    start.model.to(spec.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    metrics = {name: state["history"][-1][name] for name in start.task.metrics}
    result = Fit(metrics, state["history"], state["seconds"])
    return _run(start, result, environment(spec.device))


def evaluate_checkpoint(
    checkpoint: Path | str, *, root: Path | str | None = None, band: int | None = None
) -> dict[str, float]:
    """Measure the model of a training checkpoint on its data set's validation split.

    Args:
        checkpoint: a file that :func:`run` wrote; it says what it holds.
        root: the data set's folder, where it has one.
        band: width of the boundary metrics, in pixels; the run's by default.
    """
    state = read_checkpoint(Path(checkpoint))
    identity = {k: v for k, v in state["identity"].items() if k != "code"}
    try:
        spec = RunSpec.from_dict(identity)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"checkpoint {checkpoint} does not say what it is of ({error}); it has to "
            "come from `train`, `sweep` or run()"
        ) from error
    if band is not None:
        spec = replace(spec, band=band)
    task = TASKS[spec.task]
    _, validation = load_splits(spec, root)
    model = task.build(spec, validation)
    load_trained_state(model, state["model"])
    model.to(default_device())
    return task.measure(model, Images(validation, default_device()), spec)
