"""What decides a run, all of it, in one object.

The shell, a sweep's jobs, a checkpoint's identity and a record's key are a
:class:`RunSpec`; nothing else names the fields of a run.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral
from typing import Any

from ..ops.checks import (
    check_choice,
    check_number,
    check_positive_integer,
    check_positive_number,
)

NOT_COMPUTED = ("budget",)
"""Fields that say why a run was made and change nothing in it."""

NOT_SETTING = ("upsampler", "upsampler_options", "seed", *NOT_COMPUTED)
"""Fields in which runs may differ that are compared."""

CHOICES = {
    "flips": ("", "h", "v", "hv"),
    "device": ("cpu", "cuda"),
    "precision": ("float32", "mixed"),
}
"""What a field can be."""


@dataclass(frozen=True)
class RunSpec:
    """A run of the comparison, resolved: two equal specs give the same numbers.

    Attributes:
        task: a name from :data:`dysample_lib.tasks.TASKS`.
        dataset: a name from :data:`dysample_lib.data.DATASETS`.
        dataset_options: what the data set is loaded with, its folder apart.
        data: the data's fingerprint, so that two folders never pass for one.
        encoder: a name from :data:`dysample_lib.testbed.encoders.ENCODERS`.
        frozen: whether the encoder stays as it is.
        decoder: a name from :data:`dysample_lib.testbed.decoders.DECODERS`.
        width: channels of the maps that the upsamplers see.
        upsampler: a name from :data:`dysample_lib.upsamplers.UPSAMPLERS`.
        upsampler_options: where they differ from its entry's.
        seed: of the weights, the images' order and their flips; 0 … 2**32 - 1.
        epochs: passes over the training split.
        batch_size: images a step.
        learning_rate: the peak of the one-cycle schedule (Smith & Topin, 2019).
        offset_rate: factor on it for the layers that make the offsets.
        encoder_rate: factor on it for an encoder that is trained.
        weight_decay: of AdamW (Loshchilov & Hutter, 2019).
        flips: axes along which half of the images are mirrored: ``"h"`` or ``"hv"``.
        band: width of the boundary metrics, in pixels.
        device: ``"cpu"`` or ``"cuda"``.
        precision: ``"float32"``, or ``"mixed"`` for half-precision layers.
        budget: why it was made: the budget's name. Changes nothing in the run.

    Raises:
        TypeError, ValueError: naming the field whose value does not fit.
    """

    task: str
    dataset: str
    encoder: str
    decoder: str
    upsampler: str
    seed: int
    epochs: int
    width: int
    learning_rate: float
    dataset_options: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    frozen: bool = False
    upsampler_options: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 16
    offset_rate: float = 1.0
    encoder_rate: float = 1.0
    weight_decay: float = 1e-2
    flips: str = "hv"
    band: int = 2
    device: str = "cpu"
    precision: str = "float32"
    budget: str = "record"

    def __post_init__(self) -> None:
        for name in ("task", "dataset", "encoder", "decoder", "upsampler"):
            _check_name(name, getattr(self, name))
        for name in ("epochs", "batch_size", "band", "width"):
            check_positive_integer(name, getattr(self, name))
        for name in ("learning_rate", "offset_rate", "encoder_rate"):
            check_positive_number(name, getattr(self, name))
        check_number("weight_decay", self.weight_decay, 0)
        _check_seed(self.seed)
        if not isinstance(self.frozen, bool):
            raise TypeError(f"frozen has to be True or False, got {self.frozen!r}")
        for name, choices in CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        for name in ("dataset_options", "upsampler_options"):
            self._set(name, _as_json_has_it(name, getattr(self, name)))
        # Plain, so that 1 and 1.0, or NumPy's 1, do not name two runs.
        for name in ("seed", "epochs", "batch_size", "band", "width"):
            self._set(name, int(getattr(self, name)))
        for name in ("learning_rate", "offset_rate", "encoder_rate", "weight_decay"):
            self._set(name, float(getattr(self, name)))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """Names the run: equal for two specs that compute the same."""
        return _digest(self, NOT_COMPUTED)

    @property
    def setting(self) -> str:
        """Names all but the upsampler and the seed: what makes runs comparable."""
        return _digest(self, NOT_SETTING)

    @property
    def variant(self) -> str:
        """The upsampler with its options: ``"grouping"``, ``"grouping,scope=0.5"``."""
        return variant_name(self.upsampler, self.upsampler_options)

    def differences(self, other: RunSpec) -> str:
        """What two specs differ in, as text: ``"seed: 0 there, 1 here"``."""
        return ", ".join(
            f"{f.name}: {theirs!r} there, {ours!r} here"
            for f in fields(self)
            if f.name not in NOT_COMPUTED
            and (theirs := getattr(other, f.name)) != (ours := getattr(self, f.name))
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunSpec:
        """The spec of a record or a checkpoint.

        Fields that have a default may be missing: a spec of before there was a choice.

        Raises:
            TypeError, ValueError: naming the field that is missing, unknown or wrong.
        """
        if not isinstance(values, Mapping):
            raise TypeError(
                f"a spec has to be an object of fields, got {type(values).__name__}"
            )
        names = [f.name for f in fields(cls)]
        needed = names[: names.index("dataset_options")]
        missing = [name for name in needed if name not in values]
        unknown = [name for name in values if name not in names]
        if missing or unknown:
            raise ValueError(
                f"a spec has to have the fields {', '.join(needed)}; "
                f"missing: {', '.join(missing) or 'none'}, "
                f"unknown: {', '.join(unknown) or 'none'}"
            )
        return cls(**values)


def distinct(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """The specs in their order, of those that compute the same the first."""
    found: dict[str, RunSpec] = {}
    for spec in specs:
        found.setdefault(spec.key, spec)
    return list(found.values())


def _check_name(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{field} has to be a name, got {value!r}")
    if not value:
        raise ValueError(f"{field} has to be a name, got an empty one")


def _check_seed(value: object) -> None:
    wanted = f"seed has to be in 0 … 2**32 - 1, got {value!r}"
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(wanted)
    if not 0 <= int(value) < 2**32:
        raise ValueError(wanted)


def _as_json_has_it(field: str, options: object) -> dict[str, Any]:
    """The options, so that what is read back is equal to what was written."""
    try:
        plain = json.loads(json.dumps(options, sort_keys=True, allow_nan=False))
    except (TypeError, ValueError) as error:
        plain = error
    if not isinstance(plain, dict):
        raise TypeError(
            f"{field} has to be a dictionary of names and plain values, got {options!r}"
        )
    return plain


def _digest(spec: RunSpec, apart: tuple[str, ...]) -> str:
    values = {k: v for k, v in asdict(spec).items() if k not in apart}
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def variant_name(upsampler: str, options: Mapping[str, Any]) -> str:
    """One word for an upsampler and its options, which :func:`parse_variant` reads.

    >>> variant_name("grouping", {"scope": 0.5, "limit": "tanh"})
    'grouping,limit=tanh,scope=0.5'
    """
    return ",".join([upsampler, *(f"{k}={options[k]}" for k in sorted(options))])


def parse_variant(text: str) -> tuple[str, dict[str, Any]]:
    """An upsampler's name and its options, from ``NAME`` or ``NAME,option=value,…``.

    >>> parse_variant("grouping,scope=0.5,limit=tanh")
    ('grouping', {'scope': 0.5, 'limit': 'tanh'})
    """
    name, *pairs = text.split(",")
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals or not value:
            raise ValueError(
                f"an upsampler's option has to be written name=value, got {pair!r} in "
                f"{text!r}"
            )
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[key] = value
    return name, options
