"""What is kept of a run: a record, one line of JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from numbers import Integral, Real

METRICS: dict[str, str] = {
    "mean_iou": "mean IoU",
    "boundary_iou": "boundary IoU",
    "trimap_iou": "trimap IoU",
}
"""The metrics of a record, and what tables call them."""

KEY = ("dataset", "decoder", "upsampler", "seed", "epochs", "budget")
"""The fields that say which run it is; two records that agree in them are doubles."""


@dataclass(frozen=True)
class Record:
    """One run: what was trained, how well it did, and on what.

    Attributes:
        dataset: name of the data set.
        decoder: name of the decoder.
        upsampler: name of the upsampler in its registry.
        seed: of the run.
        epochs: passes over the training split.
        mean_iou: in [0, 1], as the next two; NaN (JSON ``null``) if undefined.
        boundary_iou: see :mod:`dysample_lib.metrics.segmentation`.
        trimap_iou: see :mod:`dysample_lib.metrics.segmentation`.
        parameters: learned values of the model.
        upsampler_parameters: those of its upsamplers.
        seconds: wall time of the training.
        torch: version of torch.
        device: ``"cpu"``, ``"cuda"``, …
        device_name: the machine's own name for it.
        threads: of torch on the CPU.
        budget: name of the budget.
        version: of this library.
        commit: of this library, or ``"unknown"``.

    Raises:
        TypeError, ValueError: naming the field whose value does not fit.
    """

    dataset: str
    decoder: str
    upsampler: str
    seed: int
    epochs: int
    mean_iou: float
    boundary_iou: float
    trimap_iou: float
    parameters: int
    upsampler_parameters: int
    seconds: float
    torch: str
    device: str
    device_name: str
    threads: int
    budget: str
    version: str
    commit: str

    def __post_init__(self) -> None:
        for field in fields(self):
            fit = _fitted(field.name, str(field.type), getattr(self, field.name))
            object.__setattr__(self, field.name, fit)

    @property
    def key(self) -> tuple[str | int, ...]:
        """The values of :data:`KEY`."""
        return tuple(getattr(self, name) for name in KEY)

    def to_json_line(self) -> str:
        """The record as JSON on one line, without the newline."""
        values = {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }
        return json.dumps(values, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """The record in one JSON object.

        Raises:
            json.JSONDecodeError, UnicodeDecodeError: if it is not JSON.
            TypeError, ValueError: naming the field that is missing, unknown or does
                not fit.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise TypeError(
                f"a record has to be a JSON object, got {type(values).__name__}"
            )
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in values]
        unknown = [name for name in values if name not in names]
        if missing or unknown:
            raise ValueError(
                f"a record has to have the fields {', '.join(names)}; "
                f"missing: {', '.join(missing) or 'none'}, "
                f"unknown: {', '.join(unknown) or 'none'}"
            )
        for name in METRICS:
            if values[name] is None:
                values[name] = math.nan
        return cls(**values)


def _fitted(name: str, kind: str, value: object) -> str | int | float:
    """``value`` as the plain ``str``, ``int`` or ``float`` that the field holds."""
    wanted, types = {
        "str": ("a string", str),
        "int": ("an integer ≥ 0", Integral),
        "float": ("a finite number ≥ 0", Real),
    }[kind]
    if name in METRICS:
        wanted = "a number in [0, 1] or NaN"
    message = f"{name} has to be {wanted}, got {value!r}"
    if not isinstance(value, types) or isinstance(value, bool):
        raise TypeError(f"{message} ({type(value).__name__})")
    if isinstance(value, str):
        return str(value)  # torch.__version__ is a str of its own kind
    number = int(value) if isinstance(value, Integral) else float(value)
    if name in METRICS:
        fits = math.isnan(number) or 0 <= number <= 1
    else:
        fits = math.isfinite(number) and number >= 0
    if not fits:
        raise ValueError(message)
    return float(number) if kind == "float" else number
