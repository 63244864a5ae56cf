//! [`CenterCrop`]: the middle of images.

use std::sync::Arc;

use super::{
    decode::Rgb,
    fit::{each_image, size},
};
use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    pixels::{CHANNELS, Size},
    registry::Entry,
};

/// `center_crop(h, w)`: the h × w pixels in the middle of the image, not scaled. image `[rows]` → pixels
/// `[rows, 3, h, w]`, u8.
///
/// - Of an odd margin the smaller half is above and left. Where the image is smaller than h or w, black surrounds it.
/// - A null row is black.
/// - Errors: h or w not between 1 and 4096.
/// - Source: torchvision CenterCrop; the margin's halves are ours.
#[derive(Debug)]
pub struct CenterCrop {
    size: Size,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "center_crop",
    parameters: &["h", "w"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let size = size(reader)?;
    Ok(Arc::new(CenterCrop { size }))
}

impl Op for CenterCrop {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Image]).map(|_| Kind::Pixels(self.size))
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let images = only_column(ENTRY.name, inputs)?.image()?;
        each_image(images, self.size, |_, image, out| {
            crop(image, self.size, out);
            Ok(())
        })
    }
}

fn crop(image: &Rgb, size: Size, out: &mut [u8]) {
    let (from_row, to_row, rows) = overlap(image.height, size.height);
    let (from_column, to_column, columns) = overlap(image.width, size.width);
    for (channel, plane) in out.chunks_exact_mut(size.plane()).enumerate() {
        let lines = plane.chunks_exact_mut(size.width as usize).skip(to_row);
        for (row, line) in lines.take(rows).enumerate() {
            let first = (from_row + row) * image.width as usize + from_column;
            let values = image.values[first * CHANNELS..].iter().skip(channel);
            let values = values.step_by(CHANNELS);
            let cells = &mut line[to_column..][..columns];
            cells
                .iter_mut()
                .zip(values)
                .for_each(|(cell, value)| *cell = *value);
        }
    }
}

/// Where the middle begins in the image, where in the output, and how long it is, along one side.
fn overlap(image: u32, output: u32) -> (usize, usize, usize) {
    let from = image.saturating_sub(output) / 2;
    let to = output.saturating_sub(image) / 2;
    (from as usize, to as usize, image.min(output) as usize)
}
