"""Ops on images: files to pixels of one size, `[rows, 3, height, width]`, and what augments them.

Written by `ops_from_rust.py` from `dpp-ops/src/ops/images/`: change it there.
"""

from __future__ import annotations

from dpp._node import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from dpp._node import Number, PerFeature


class ImagesOps(Node):
    """Methods of an expression. Ops on images: files to pixels of one size, `[rows, 3, height, width]`, and what augments them."""

    __slots__ = ()

    def center_crop(self, h: PerFeature[int], w: PerFeature[int]) -> Self:
        """The h × w pixels in the middle of the image, not scaled. image `[rows]` → pixels `[rows, 3, h, w]`, u8.

        - Of an odd margin the smaller half is above and left. Where the image is smaller than h or w, black surrounds
          it.
        - A null row is black.
        - Errors: h or w not between 1 and 4096.
        - Source: torchvision CenterCrop; the margin's halves are ours.
        """
        return self._apply("center_crop", h=h, w=w)

    def decode_image(self, max_pixels: PerFeature[int] = 33554432, null_if_broken: bool = False) -> Self:
        """The RGB image that a JPEG, PNG or WebP file holds. bytes `[rows]` → image `[rows]`, each of its own size;
        `resize`, `center_crop` or `random_resized_crop` give it one.

        - Alpha is dropped, grey becomes three equal channels, 16 bits are rounded to 8. EXIF does not turn images.
        - Decoded in integers, one image at a time, by the op that gives the size: the same bits on every machine.
        - Null stays null, and is a black image once it has a size.
        - A file that is broken, cut off, of another format or of more than `max_pixels` pixels is an error that names
          feature and row; with `null_if_broken` it is null.
        - Errors: max_pixels < 1.
        - Source: zune-jpeg, image-rs.
        """
        return self._apply("decode_image", max_pixels=max_pixels, null_if_broken=null_if_broken)

    def horizontal_flip(self, seed: PerFeature[int] = 0, probability: PerFeature[Number] = 0.5) -> Self:
        """left and right exchanged in a share of the images. pixels `[rows, 3, h, w]` → pixels, u8 or f32 as they are.

        - Drawn from (seed, epoch, row id): the same choice on any worker.
        - Errors: probability not within 0 and 1.
        - Source: torchvision RandomHorizontalFlip; the draw is ours.
        """
        return self._apply("horizontal_flip", seed=seed, probability=probability)

    def normalize(self, mean: PerFeature[Iterable[Number]], std: PerFeature[Iterable[Number]]) -> Self:
        """(x / 255 − mean) / std by channel. pixels `[rows, 3, h, w]` u8 → the same, f32.

        - `mean` and `std` are three numbers each, of red, green and blue, on the scale of 0 to 1.
        - In f32, each step rounded: a table of 256 values a channel. A black pixel, and so a null row, is −mean / std.
        - Errors: not three numbers; one that is not finite; a std ≤ 0.
        - Source: torchvision ToTensor and Normalize.
        """
        return self._apply("normalize", mean=mean, std=std)

    def random_resized_crop(
        self,
        h: PerFeature[int],
        w: PerFeature[int],
        seed: PerFeature[int] = 0,
        min_scale: PerFeature[Number] = 0.08,
    ) -> Self:
        """a random part of the image, of `min_scale` to all of its area and an aspect of 3/4 to 4/3, scaled to h × w
        pixels. image `[rows]` → pixels `[rows, 3, h, w]`, u8.

        - Drawn from (seed, epoch, row id): the same part on any worker, another one in the next epoch.
        - Up to ten times an area (evenly) and an aspect (evenly by its logarithm) are drawn, until the part fits; then
          where it lies, evenly. If none fits, the largest part of the nearest aspect in the middle.
        - Scaled as `resize` does; where the filter reaches beyond the part, it finds the image's pixels there. A null
          row is black.
        - Errors: h or w not between 1 and 4096; min_scale not above 0 and at most 1.
        - Source: torchvision RandomResizedCrop; the draws are ours.
        """
        return self._apply("random_resized_crop", h=h, w=w, seed=seed, min_scale=min_scale)

    def resize(self, h: PerFeature[int], w: PerFeature[int]) -> Self:
        """The whole image scaled to h × w pixels, whatever its aspect. image `[rows]` → pixels `[rows, 3, h, w]`, u8.

        - Bilinear, the filter as wide as the image shrinks (torchvision's and Pillow's antialiasing): pixel i of n on a
          side of m is the mean of the image's pixels j weighted by max(0, 1 − |j + ½ − (i + ½) · m/n| / max(1, m/n)).
          One side after the other, in fixed point, each rounded to a whole value.
        - A null row is black.
        - Errors: h or w not between 1 and 4096.
        - Source: torchvision Resize; fast_image_resize.
        """
        return self._apply("resize", h=h, w=w)
