"""The top-down path that all feature pyramids share, here and in the testbed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from ..ops.output_size import fit


def top_down(
    laterals: Sequence[Tensor], upsamplers: Iterable[nn.Module]
) -> list[Tensor]:
    """The top-down path of a feature pyramid (Lin et al., 2017): add and upsample.

    Args:
        laterals: a map (B, C, H_i, W_i) for each level, finest first, each half as
            large as the one before, rounded up or down.
        upsamplers: what brings level i + 1 to level i, finest first. Guided ones get
            the lateral map that their result is added to.

    Returns:
        The sums, finest first; of the coarsest level its lateral map.
    """
    sums = [laterals[-1]]
    steps = list(zip(laterals[:-1], upsamplers, strict=True))
    for lateral, upsample in reversed(steps):
        x, (height, width) = sums[0], lateral.shape[2:]
        if getattr(upsample, "guided", False):
            guide = fit(lateral, (2 * x.shape[2], 2 * x.shape[3]))
            x = upsample(x, guide=guide)
        else:
            x = upsample(x)
        sums.insert(0, lateral + fit(x, (height, width)))
    return sums
