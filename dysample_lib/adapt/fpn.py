"""Any upsampler in torchvision's feature pyramid network, and in its detectors."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeGuard, TypeVar

from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from ..upsamplers import DySample, build_upsampler
from .pyramid import top_down

Factory = Callable[[int, int], nn.Module]
Model = TypeVar("Model", bound=nn.Module)


class UpsamplerFPN(FeaturePyramidNetwork):
    """torchvision's feature pyramid network with an upsampler in its top-down path.

    A drop-in for ``torchvision.ops.FeaturePyramidNetwork`` (Lin et al., 2017), whose
    ``inner_blocks``, ``layer_blocks`` and ``extra_blocks`` keep their state-dict keys.
    New are ``upsamplers``: ``upsamplers.{i}`` brings level i + 1 to level i, where
    level 0 is the finest. With ``upsampler="nearest"`` it is torchvision's network.

    A level of odd size, 33 say, has a coarser one of 17 or of 16: the upsampled map of
    34 is cut to 33, or the last line of one of 32 is repeated, so that a pixel still
    covers two by two of the finer level. (torchvision resizes to 33; for 17, as ResNets
    have it, that is the same.)

    Args:
        in_channels_list: channels of each level, finest first.
        out_channels: channels of the pyramid.
        extra_blocks: as for torchvision, levels to add on top.
        norm_layer: as for torchvision, normalisation after each convolution.
        upsampler: a name of :data:`dysample_lib.upsamplers.UPSAMPLERS`, or a factory
            called as ``factory(out_channels, 2)`` for each upsampler. Guided ones get
            the lateral map that their result is added to.

    Shape:
        * input: an ordered dict of maps (B, C_i, H_i, W_i), finest first, each half as
          large as the one before, rounded up or down
        * output: an ordered dict of maps (B, out_channels, H_i, W_i), with those of
          ``extra_blocks``

    Raises:
        TypeError, ValueError: for an upsampler that is none or does not suit the
            channels, in the forward pass for levels that do not halve, and from
            ``torch.jit.script``; ``torch.export`` captures it.

    >>> import torch
    >>> fpn = UpsamplerFPN([8, 16], 32, upsampler="carafe")
    >>> maps = {"fine": torch.zeros(1, 8, 9, 8), "coarse": torch.zeros(1, 16, 5, 4)}
    >>> fpn(maps)["fine"].shape
    torch.Size([1, 32, 9, 8])
    """

    def __init__(
        self,
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        *,
        upsampler: str | Factory = "grouping",
    ) -> None:
        super().__init__(in_channels_list, out_channels, extra_blocks, norm_layer)
        if isinstance(upsampler, str):
            build: Factory = partial(build_upsampler, upsampler)
        elif callable(upsampler) and not isinstance(upsampler, nn.Module):
            build = upsampler
        else:
            raise TypeError(
                "upsampler has to be a name or a factory called with channels and "
                f"scale, got {type(upsampler).__name__}"
            )
        self.upsamplers = nn.ModuleList(
            build(out_channels, 2) for _ in in_channels_list[1:]
        )

    @classmethod
    def from_fpn(cls, fpn: FeaturePyramidNetwork, **options: Any) -> UpsamplerFPN:
        """Build one around the blocks of ``fpn``.

        The blocks are taken over, not copied: their parameters stay the ones that an
        optimizer may hold, frozen ones stay frozen. The upsamplers are new, on the
        device and in the dtype of the blocks.

        Args:
            fpn: torchvision's pyramid.
            **options: what the class takes after ``norm_layer``.

        Raises:
            TypeError: if ``fpn`` is no pyramid or has a forward of its own.
        """
        if not isinstance(fpn, FeaturePyramidNetwork):
            raise TypeError(
                "fpn has to be a torchvision.ops.FeaturePyramidNetwork, got "
                f"{type(fpn).__name__}"
            )
        if not _is_torchvisions(fpn):
            raise TypeError(
                f"fpn has to run torchvision's forward, got a {type(fpn).__name__}, "
                "which has its own"
            )
        out_channels = fpn.layer_blocks[0][0].out_channels
        weight = fpn.layer_blocks[0][0].weight
        # Channels of 1: the blocks made here are thrown away.
        new = cls([1] * len(fpn.inner_blocks), out_channels, **options)
        new.upsamplers.to(weight.device, weight.dtype)
        new.inner_blocks = fpn.inner_blocks
        new.layer_blocks = fpn.layer_blocks
        new.extra_blocks = fpn.extra_blocks
        new.training = fpn.training
        new.upsamplers.train(fpn.training)
        return new

    def forward(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the pyramid of the maps ``x``, under their names, finest first."""
        names, maps = list(x), list(x.values())
        if len(maps) != len(self.inner_blocks):
            raise ValueError(
                f"x has to hold {len(self.inner_blocks)} maps, one for each level, got "
                f"{len(maps)}: {', '.join(map(str, names))}"
            )
        for i in range(len(maps) - 1):
            _check_halves(names[i], maps[i], names[i + 1], maps[i + 1])
        laterals = [f(y) for f, y in zip(self.inner_blocks, maps, strict=True)]
        sums = top_down(laterals, self.upsamplers)
        results = [f(y) for f, y in zip(self.layer_blocks, sums, strict=True)]
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=True))

    def __prepare_scriptable__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} cannot be scripted, as its upsamplers are any that "
            "fit; torch.export captures it"
        )


class DySampleFPN(UpsamplerFPN):
    """:class:`UpsamplerFPN` with DySample.

    With the points at their initial positions the network is torchvision's with
    bilinear interpolation; with ``initial="nearest"`` it is torchvision's as it stands.

    Args:
        in_channels_list, out_channels, extra_blocks, norm_layer: of
            :class:`UpsamplerFPN`.
        **dysample_options: of :class:`dysample_lib.DySample`: ``groups``, ``style``,
            ``scope``, ``initial``.

    Parameters (section 4.2 of the paper, ResNet-50): an upsampler of 256 channels has
    256 · 2·g·s² = 8,192 weights (and 32 biases), so that four levels, three upsamplers,
    add 24,576 weights and 96 biases. The published +24.6K is this; the published +32.7K
    is 4 · 8,192 = 32,768, four upsamplers. Dynamic scope doubles the weights: +49.2K,
    +65.5K. See :func:`~dysample_lib.ops.parameters.count_parameters`.
    """

    def __init__(
        self,
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        **dysample_options: Any,
    ) -> None:
        for fixed in ("in_channels", "scale"):
            if fixed in dysample_options:
                raise TypeError(
                    f"{fixed} is no option, got {fixed}={dysample_options[fixed]!r}: "
                    "the pyramid gives DySample its channels, and its scale is 2"
                )
        super().__init__(
            in_channels_list,
            out_channels,
            extra_blocks,
            norm_layer,
            upsampler=partial(DySample, **dysample_options),
        )


def with_upsampler_fpn(detector: Model, upsampler: str | Factory = "grouping") -> Model:
    """Put an upsampler into the feature pyramid of ``detector``, and return it.

    For the models of torchvision's Faster R-CNN, Mask R-CNN and RetinaNet builders with
    a ResNet-50 backbone, and any other model that holds a ``FeaturePyramidNetwork``
    whose levels halve. The detector is changed in place; all
    its parameters and buffers stay what they were, under the same keys. Checkpoints of
    the original detector load with ``strict=False``: missing are the
    ``upsamplers`` alone.

    Args:
        detector: a model, pretrained or not.
        upsampler: see :class:`UpsamplerFPN`.

    Raises:
        TypeError, ValueError: if there is no pyramid to change, or if the upsampler
            does not fit; the detector is unchanged then.
    """
    return _replace(detector, partial(UpsamplerFPN.from_fpn, upsampler=upsampler))


def with_dysample_fpn(detector: Model, **dysample_options: Any) -> Model:
    """The same with DySample: see :func:`with_upsampler_fpn` and :class:`DySampleFPN`.

    >>> from torchvision.models.detection import retinanet_resnet50_fpn
    >>> detector = retinanet_resnet50_fpn(weights=None, weights_backbone=None)
    >>> from dysample_lib.ops.parameters import count_parameters
    >>> count_parameters(with_dysample_fpn(detector), of=DySample)
    Parameters(weights=16384, biases=64)
    """
    return _replace(detector, partial(DySampleFPN.from_fpn, **dysample_options))


def _replace(
    detector: Model, build: Callable[[FeaturePyramidNetwork], UpsamplerFPN]
) -> Model:
    if not isinstance(detector, nn.Module):
        raise TypeError(
            f"detector has to be a torch.nn.Module, got {type(detector).__name__}"
        )
    if isinstance(detector, FeaturePyramidNetwork):
        raise TypeError(
            "detector has to hold its pyramid, got the pyramid itself: see from_fpn of "
            "UpsamplerFPN and DySampleFPN"
        )
    found = [
        (name, module)
        for name, module in detector.named_modules(remove_duplicate=False)
        if _is_torchvisions(module)
    ]
    if not found:
        raise ValueError(
            "detector has to hold a torchvision.ops.FeaturePyramidNetwork that runs "
            f"torchvision's forward, got a {type(detector).__name__} without one"
        )
    new = {fpn: build(fpn) for _, fpn in found}
    for name, fpn in found:
        path, _, child = name.rpartition(".")
        setattr(detector.get_submodule(path), child, new[fpn])
    return detector


def _is_torchvisions(module: nn.Module) -> TypeGuard[FeaturePyramidNetwork]:
    """Whether it is a pyramid whose top-down path is the one replaced here."""
    return (
        isinstance(module, FeaturePyramidNetwork)
        and type(module).forward is FeaturePyramidNetwork.forward
    )


def _check_halves(name: str, fine: Tensor, below: str, coarse: Tensor) -> None:
    size, half = tuple(fine.shape[-2:]), tuple(coarse.shape[-2:])
    if not all(m in (n // 2, (n + 1) // 2) for n, m in zip(size, half, strict=True)):
        raise ValueError(
            f"x[{below!r}] has to be half as large as x[{name!r}], rounded up or down, "
            f"got {half} for {size}"
        )
