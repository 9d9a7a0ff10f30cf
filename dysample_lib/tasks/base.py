"""A task: what is loaded, built, lost and measured. Training knows nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from ..data import DATASETS, SPLITS, load_dataset
from ..ops.checks import check_choice

if TYPE_CHECKING:
    from ..study.spec import RunSpec


@dataclass(frozen=True)
class Batch:
    """Some samples of a set, on the device that the model is on.

    Attributes:
        inputs: images (B, 3, H, W), or the maps that a frozen encoder made of them.
        size: height and width of the images.
        targets: the samples' labels, as the set has them.
        data: the set that they are from.
    """

    inputs: Tensor | list[Tensor]
    size: tuple[int, int]
    targets: Any
    data: Any


class Source(Protocol):
    """Where batches come from: a data set, or the kept maps of one."""

    data: Any

    def __len__(self) -> int: ...

    def batch(self, index: Tensor, flips: Mapping[int, Tensor]) -> Batch:
        """The samples at ``index``, mirrored along the axes that ``flips`` names."""
        ...


class Images:
    """A data set as batches of images, on a device."""

    def __init__(self, data: Any, device: torch.device | str = "cpu") -> None:
        self.data = data.to(device)

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, index: Tensor, flips: Mapping[int, Tensor]) -> Batch:
        """The samples at ``index``, mirrored along the axes that ``flips`` names."""
        images, targets = self.data.batch(index, flips)
        return Batch(images, self.data.size, targets, self.data)


def net_options(spec: RunSpec, pretrained: bool) -> dict[str, Any]:
    """What ``spec`` says of every network of the testbed, by argument."""
    return {
        "upsampler": spec.upsampler,
        "options": spec.upsampler_options,
        "encoder": spec.encoder,
        "width": spec.width,
        "pretrained": pretrained,
        "frozen": spec.frozen,
    }


def batches(source: Source, batch_size: int = 32) -> Iterator[Batch]:
    """All samples of ``source``, in order and as they are."""
    for index in torch.arange(len(source)).split(batch_size):
        yield source.batch(index, {})


def predict_batch(model: nn.Module, batch: Batch) -> Any:
    """What ``model`` says of a batch, whichever inputs it has."""
    if isinstance(batch.inputs, list):
        return model.decode(batch.inputs, batch.size)  # type: ignore[operator]
    return model(batch.inputs)


class Splits(NamedTuple):
    """What a task trains on and what it is measured on."""

    train: Any
    val: Any


class Task(ABC):
    """What is learned.

    A task says nothing of how it is trained. Adding one takes a subclass in a file of
    its own and a line in :data:`dysample_lib.tasks.TASKS`.

    Attributes:
        name: in the registry and in records.
        dataset: the data set that it is learned on by default.
        kind: the class of the sets that it can be learned on.
        metrics: what :meth:`measure` returns, keys of
            :data:`dysample_lib.metrics.registry.METRICS`, the headline first.
        encoder: the one that it is learned with by default.
        decoders: those that it can be learned with, the default first; none named:
            all, and the encoder decides.
        packages: what it cannot do without, beside what every task needs.
    """

    name: str
    dataset: str
    kind: type
    metrics: tuple[str, ...]
    encoder: str = "small"
    decoders: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def decoder(self, encoder: str) -> str:
        """The decoder that stands behind ``encoder`` by default."""
        if self.decoders:
            return self.decoders[0]
        return "pointwise" if encoder == "small" else "segformer"

    def check(self, dataset: str, decoder: str) -> None:
        """Refuse what cannot be learned, before anything is read.

        Raises:
            ValueError: if the set is of another kind, or the decoder does not fit.
            ModuleNotFoundError: if one of ``packages`` is missing, naming it.
        """
        found = DATASETS.get(dataset, self.kind)  # load_dataset knows the names
        if not issubclass(found, self.kind):
            fitting = [k for k, kind in DATASETS.items() if issubclass(kind, self.kind)]
            raise ValueError(
                f"dataset has to be one for {self.name}, a {self.kind.__name__} "
                f"({', '.join(fitting)}), got {dataset!r}, a {found.__name__}"
            )
        if self.decoders:
            check_choice(f"decoder of {self.name}", decoder, self.decoders)
        for package in self.packages:
            if find_spec(package) is None:
                raise ModuleNotFoundError(
                    f"{self.name} needs the package {package}", name=package
                )

    def load(self, spec: RunSpec, root: Path | str | None = None) -> Splits:
        """Load the splits of ``spec.dataset``, from the folder ``root`` if need be.

        Raises:
            ValueError, ModuleNotFoundError: see :meth:`check`, and those of
                :func:`dysample_lib.data.load_dataset`.
        """
        self.check(spec.dataset, spec.decoder)
        return Splits(
            *(
                load_dataset(spec.dataset, split, root=root, **spec.dataset_options)
                for split in SPLITS
            )
        )

    @abstractmethod
    def build(self, spec: RunSpec, data: Any, *, pretrained: bool = True) -> nn.Module:
        """Build the model, weights drawn from torch's random state.

        Args:
            spec: of the run.
            data: its training split, which knows the classes.
            pretrained: load the weights of an encoder that has some.
        """

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """What training lowers, a scalar."""

    @abstractmethod
    def measure(
        self, model: nn.Module, source: Source, spec: RunSpec
    ) -> dict[str, float]:
        """The task's ``metrics`` of ``model`` on ``source``."""

    def upsamplers(self, model: nn.Module) -> Iterable[nn.Module]:
        """The modules that are compared."""
        upsamplers: Iterable[nn.Module] = model.decoder.upsamplers  # type: ignore
        return upsamplers
