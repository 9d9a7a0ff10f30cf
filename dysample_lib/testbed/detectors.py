"""The detectors: torchvision's Faster and Mask R-CNN on the testbed's encoders.

Both read their objects off a feature pyramid (Lin et al., 2017), whose top-down path
is where upsamplers sit: three of them between four levels. In the paper and in
torchvision that is nearest interpolation. A semantic branch makes a Panoptic FPN
(Kirillov et al., CVPR 2019) of it, whose levels take six more to the finest one.

Everything is torchvision's but the sizes, which suit small images and two cores: a
pyramid of ``width`` channels with batch norm instead of 256 without, heads in
proportion, and fewer proposals.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork

from ..adapt.fpn import UpsamplerFPN
from ..data import DetectionSet
from ..ops.checks import check_positive_integer
from ..ops.pointwise import PointwiseConv2d
from ..upsamplers import UPSAMPLERS, build_upsampler
from .encoders import conv_norm_relu
from .nets import EncodingNet, check_upsampler

Detections = list[dict[str, Tensor]]

RATIOS = (0.5, 1.0, 2.0)
"""Height to width of the anchors."""

PROPOSALS = {
    "rpn_pre_nms_top_n_train": 200,  # of each level
    "rpn_pre_nms_top_n_test": 500,
    "rpn_post_nms_top_n_train": 200,
    "rpn_post_nms_top_n_test": 300,
    "rpn_batch_size_per_image": 128,
    "box_batch_size_per_image": 64,
    "box_detections_per_img": 100,
}
"""What is kept from one stage to the next, for each image.

A tile of the far north has hundreds of lakes, and the small ones come up as well.
"""

MATCH = 0.5
"""IoU from which an anchor is an object's; few small ones meet one by 0.7."""

SEMANTIC = 0.5
"""Weight of the semantic branch's loss, Panoptic FPN's."""


class DetectionNet(EncodingNet):
    """Encoder, feature pyramid with the upsampler under test, torchvision's detector.

    Everything but the upsamplers is built before them, so the same seed gives it the
    same weights whatever the upsampler: runs are paired.

    Args:
        classes: how many, the background included.
        upsampler: a name from :data:`dysample_lib.upsamplers.UPSAMPLERS`.
        options: of the upsampler, where they differ from its entry's.
        encoder: see :class:`~dysample_lib.testbed.nets.EncodingNet`; of four maps.
        width: channels of the pyramid.
        masks: predict a mask for each box: Mask R-CNN.
        semantics: classes of a semantic branch, the last of them all things together;
            no branch by default.
        anchor: side of the finest level's anchors, in its pixels; each further
            level's are twice as large.
        enlarge: see :class:`~dysample_lib.testbed.nets.EncodingNet`. Boxes and masks
            are in pixels of the image as it came.
        pretrained: see :class:`~dysample_lib.testbed.nets.EncodingNet`.
        frozen: see there.

    Shape:
        * images: (B, 3, H, W)
        * returns: for each image a dict of ``boxes`` (M, 4), ``labels`` (M,),
          ``scores`` (M,), best first, and where there are any ``masks`` (M, 1, H, W),
          in [0, 1], and ``semantics`` (K, H, W), logits
    """

    def __init__(
        self,
        classes: int,
        *,
        upsampler: str = "grouping",
        options: Mapping[str, Any] | None = None,
        encoder: str = "efficientnet_lite0",
        width: int = 32,
        masks: bool = False,
        semantics: int = 0,
        anchor: int = 8,
        enlarge: int = 1,
        pretrained: bool = True,
        frozen: bool = False,
    ) -> None:
        for name, value in (("classes", classes), ("width", width), ("anchor", anchor)):
            check_positive_integer(name, value)
        new: Callable[..., nn.Module] = partial(
            build_upsampler, upsampler, **(options or {})
        )
        check_upsampler(upsampler, width, options)
        super().__init__(encoder, pretrained=pretrained, frozen=frozen, enlarge=enlarge)
        channels = list(self.encoder.channels)
        fpn = FeaturePyramidNetwork(channels, width, norm_layer=nn.BatchNorm2d)
        finest = anchor * self.encoder.stride // 2 ** (len(channels) - 1)
        self.detector = _detector(fpn, width, classes, finest, masks)
        self.semantic = None
        if semantics:
            self.semantic = SemanticBranch(width, len(channels), semantics)
        self.detector.backbone = UpsamplerFPN.from_fpn(fpn, upsampler=new)
        if self.semantic:
            self.semantic.add(partial(new, width), UPSAMPLERS[upsampler].guided)
        self.train()

    @property
    def upsamplers(self) -> list[nn.Module]:
        """Those of the pyramid, then those of the semantic branch."""
        further = list(self.semantic.upsamplers) if self.semantic else []
        return [*self.detector.backbone.upsamplers, *further]

    def forward(self, images: Tensor) -> Detections:
        """Return what is detected in images (B, 3, H, W)."""
        levels = self.encode(images)
        return self.decode(levels, (images.shape[-2], images.shape[-1]))

    def decode(self, levels: list[Tensor], size: tuple[int, int]) -> Detections:
        """What is detected, from the encoder's maps of images of ``size``."""
        pyramid = self._pyramid(levels)
        images = self._frame(levels, size)
        detector = self.detector
        proposals, _ = detector.rpn(images, pyramid)
        found, _ = detector.roi_heads(pyramid, proposals, images.image_sizes)
        found = detector.transform.postprocess(
            found, images.image_sizes, [size] * len(found)
        )
        if self.semantic:
            logits = self._semantics(self.semantic, pyramid, size)
            for one, map_ in zip(found, logits, strict=True):
                one["semantics"] = map_
        return found

    def losses(
        self,
        levels: list[Tensor],
        size: tuple[int, int],
        targets: Detections,
        ignored: int = DetectionSet.ignore_index,
    ) -> dict[str, Tensor]:
        """The detector's losses, from the encoder's maps of images of ``size``.

        Args:
            levels: of B images.
            size: of the images.
            targets: B of what :meth:`.DetectionSet.batch` gives.
            ignored: the label of their ``semantics`` that nothing counts.

        Returns:
            torchvision's losses by name, and ``loss_semantic``: the mean cross-entropy
            over the pixels that have a label, times :data:`SEMANTIC`.
        """
        pyramid = self._pyramid(levels)
        images = self._frame(levels, size)
        targets = [self._enlarged(target) for target in targets]
        detector = self.detector
        proposals, first = detector.rpn(images, pyramid, targets)
        _, second = detector.roi_heads(pyramid, proposals, images.image_sizes, targets)
        losses = {**first, **second}
        if self.semantic:
            logits = self._semantics(self.semantic, pyramid, size)
            labels = torch.stack([target["semantics"] for target in targets]).long()
            known = labels != ignored
            # What is a thing is one class here: the boxes tell which.
            labels = labels.clamp(max=logits.shape[1] - 1).where(known, ignored)
            total = F.cross_entropy(
                logits.float(), labels, ignore_index=ignored, reduction="sum"
            )
            losses["loss_semantic"] = SEMANTIC * total / known.sum().clamp(min=1)
        return losses

    def _pyramid(self, levels: list[Tensor]) -> OrderedDict[str, Tensor]:
        named = OrderedDict((str(k), level) for k, level in enumerate(levels))
        pyramid: OrderedDict[str, Tensor] = self.detector.backbone(named)
        return pyramid

    def _frame(self, levels: list[Tensor], size: tuple[int, int]) -> ImageList:
        """What torchvision asks of images: their sizes, and the padded batch's."""
        count = len(levels[0])
        inner = (self.enlarge * size[0], self.enlarge * size[1])
        return ImageList(
            levels[0].new_empty(count, 0, *self._padded(*size)), [inner] * count
        )

    def _enlarged(self, target: dict[str, Tensor]) -> dict[str, Tensor]:
        """Boxes and masks in the frame that the pyramid is of."""
        k = self.enlarge
        if k == 1:
            return target
        masks = target["masks"].repeat_interleave(k, 1).repeat_interleave(k, 2)
        return target | {"boxes": k * target["boxes"], "masks": masks}

    def _semantics(
        self,
        branch: SemanticBranch,
        pyramid: OrderedDict[str, Tensor],
        size: tuple[int, int],
    ) -> Tensor:
        height, width = self._padded(*size)
        y = branch(list(pyramid.values())).contiguous()
        y = F.interpolate(y, size=(height, width), mode="bilinear")
        y = y[..., : self.enlarge * size[0], : self.enlarge * size[1]]
        return F.avg_pool2d(y, self.enlarge)


class SemanticBranch(nn.Module):
    """Panoptic FPN's: each level up to the finest, the sum, a class for each pixel.

    A level goes through a 3×3 convolution in front of each of its upsamplers ×2, the
    finest through one of its own: 0 + 1 + 2 + 3 = six upsamplers for four levels.

    Args:
        width: channels of the pyramid.
        levels: how many it has.
        classes: of the prediction.

    Shape:
        * input: the pyramid's maps, finest first
        * output: (B, classes, h, w), the size of the finest
    """

    def __init__(self, width: int, levels: int, classes: int) -> None:
        super().__init__()
        self.smooth = nn.ModuleList(
            nn.ModuleList(
                conv_norm_relu(width, width, kernel=3) for _ in range(max(1, level))
            )
            for level in range(levels)
        )
        self.classify = PointwiseConv2d(width, classes)
        self.upsamplers = nn.ModuleList()
        self.guided = False

    def add(self, build: Any, guided: bool) -> None:
        """Put the upsamplers in, made by ``build()``; last, so that runs are paired."""
        self.guided = guided
        steps = sum(range(len(self.smooth)))
        self.upsamplers.extend(build() for _ in range(steps))

    def forward(self, pyramid: list[Tensor]) -> Tensor:
        """Return logits at the finest map's size."""
        steps = iter(self.upsamplers)
        maps = []
        stages: Any = zip(pyramid, self.smooth, strict=True)
        for level, (x, layers) in enumerate(stages):
            for step, smooth in enumerate(layers):
                x = smooth(x)
                if level:
                    x = self._upsample(next(steps), x, pyramid[level - 1 - step])
            maps.append(x)
        return self.classify(torch.stack(maps).sum(0))

    def _upsample(self, upsampler: nn.Module, x: Tensor, guide: Tensor) -> Tensor:
        y: Tensor = upsampler(x, guide=guide) if self.guided else upsampler(x)
        return y


def _detector(
    fpn: FeaturePyramidNetwork,
    width: int,
    classes: int,
    finest: int,
    masks: bool,
) -> FasterRCNN:
    """torchvision's detector on a pyramid whose finest anchors have a side."""
    levels = len(fpn.inner_blocks)
    fpn.out_channels = width
    sizes = tuple((finest * 2**level,) for level in range(levels))
    options: dict[str, Any] = {
        **PROPOSALS,
        "rpn_fg_iou_thresh": MATCH,
        "rpn_anchor_generator": AnchorGenerator(sizes, (RATIOS,) * levels),
        "rpn_head": _proposal_head(width),
        "box_head": TwoMLPHead(width * 7 * 7, 4 * width),
        "box_predictor": FastRCNNPredictor(4 * width, classes),
    }
    if not masks:
        return FasterRCNN(fpn, **options)
    options["mask_head"] = MaskRCNNHeads(width, (width,) * 4, 1)
    options["mask_predictor"] = MaskRCNNPredictor(width, width, classes)
    return MaskRCNN(fpn, **options)


def _proposal_head(width: int) -> RPNHead:
    """torchvision's, awake: it draws the convolution for 256 channels.

    With the same spread, features of a few channels come out so faint that whole epochs
    pass before the head answers to them.
    """
    head = RPNHead(width, len(RATIOS))
    for layer in head.conv.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return head
