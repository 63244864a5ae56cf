//! [`Resize`]: whole images at one size.

use std::sync::Arc;

use super::fit::{Part, Scaler, each_image, size};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    pixels::Size,
    registry::Entry,
};

/// `resize(h, w)`: the whole image scaled to h × w pixels, whatever its aspect. image `[rows]` → pixels
/// `[rows, 3, h, w]`, u8.
///
/// - Bilinear, the filter as wide as the image shrinks (torchvision's and Pillow's antialiasing): pixel i of n on a side of m is
///   the mean of the image's pixels j weighted by max(0, 1 − |j + ½ − (i + ½) · m/n| / max(1, m/n)). One side after the other, in
///   fixed point, each rounded to a whole value.
/// - A null row is black.
/// - Errors: h or w not between 1 and 4096.
/// - Source: torchvision Resize; fast_image_resize.
#[derive(Debug)]
pub struct Resize {
    size: Size,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "resize",
    parameters: &["h", "w"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let size = size(reader)?;
    Ok(Arc::new(Resize { size }))
}

impl Op for Resize {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Image]).map(|_| Kind::Pixels(self.size))
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let images = only_column(ENTRY.name, inputs)?.image()?;
        let mut scaler = Scaler::to(self.size);
        each_image(images, self.size, |_, image, out| {
            let whole = Part {
                top: 0,
                left: 0,
                height: image.height,
                width: image.width,
            };
            scaler.scale(image, whole, out)
        })
    }
}
