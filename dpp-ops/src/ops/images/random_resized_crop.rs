//! [`RandomResizedCrop`]: a random part of images, at one size.

use std::sync::Arc;

use super::{
    draws::Draws,
    fit::{Part, Scaler, each_image, size},
};
use crate::{
    Column, Error, Kind,
    op::{Given, Mismatch, Op, SharedOp, columns, only_input},
    parameters::Reader,
    pixels::Size,
    registry::Entry,
};

/// `random_resized_crop(h, w, seed=0, min_scale=0.08)`: a random part of the image, of `min_scale` to all of its area and an
/// aspect of 3/4 to 4/3, scaled to h × w pixels. image `[rows]` → pixels `[rows, 3, h, w]`, u8.
///
/// - Drawn from (seed, epoch, row id): the same part on any worker, another one in the next epoch.
/// - Up to ten times an area (evenly) and an aspect (evenly by its logarithm) are drawn, until the part fits; then where it
///   lies, evenly. If none fits, the largest part of the nearest aspect in the middle.
/// - Scaled as `resize` does; where the filter reaches beyond the part, it finds the image's pixels there. A null row is black.
/// - Errors: h or w not between 1 and 4096; min_scale not above 0 and at most 1.
/// - Source: torchvision RandomResizedCrop; the draws are ours.
#[derive(Debug)]
pub struct RandomResizedCrop {
    size: Size,
    seed: i64,
    min_scale: f64,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "random_resized_crop",
    parameters: &["h", "w", "seed", "min_scale"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let size = size(reader)?;
    let seed = reader.integer_or("seed", 0)?;
    let min_scale = reader.finite_float_or("min_scale", 0.08)?;
    if min_scale <= 0.0 || min_scale > 1.0 {
        let message = format!("{min_scale} is not above 0 and at most 1");
        return Err(reader.bad("min_scale", message));
    }
    Ok(Arc::new(RandomResizedCrop {
        size,
        seed,
        min_scale: min_scale.into(),
    }))
}

impl Op for RandomResizedCrop {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Image]).map(|_| Kind::Pixels(self.size))
    }

    fn given(&self) -> &'static [Given] {
        &[Given::RowId, Given::Epoch]
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let [images, row_ids, epochs] = columns(ENTRY.name, inputs)?;
        let (row_ids, epochs) = (row_ids.int()?, epochs.int()?);
        let mut scaler = Scaler::to(self.size);
        each_image(images.image()?, self.size, |row, image, out| {
            let mut draws = Draws::of(STREAM, self.seed, epochs.value(row), row_ids.value(row));
            let part = part(image.height, image.width, self.min_scale, &mut draws);
            scaler.scale(image, part, out)
        })
    }
}

/// The part of an image of `height` × `width` pixels.
fn part(height: u32, width: u32, min_scale: f64, draws: &mut Draws) -> Part {
    let area = f64::from(height) * f64::from(width);
    let (low, high) = (libm::log(NARROWEST), libm::log(WIDEST));
    for _ in 0..TRIES {
        let wanted = area * (min_scale + (1.0 - min_scale) * draws.unit());
        let aspect = libm::exp(low + (high - low) * draws.unit());
        // Square roots and roundings are exact by IEEE 754; logarithm and power are pure Rust.
        let part_width = (wanted * aspect).sqrt().round() as u32;
        let part_height = (wanted / aspect).sqrt().round() as u32;
        if (1..=width).contains(&part_width) && (1..=height).contains(&part_height) {
            return Part {
                top: draws.up_to(height - part_height),
                left: draws.up_to(width - part_width),
                height: part_height,
                width: part_width,
            };
        }
    }
    middle(height, width)
}

/// The largest part in the middle whose aspect is allowed.
fn middle(height: u32, width: u32) -> Part {
    let aspect = f64::from(width) / f64::from(height);
    let rounded = |side: f64, most: u32| (side.round() as u32).clamp(1, most);
    let (part_height, part_width) = if aspect < NARROWEST {
        (rounded(f64::from(width) / NARROWEST, height), width)
    } else if aspect > WIDEST {
        (height, rounded(f64::from(height) * WIDEST, width))
    } else {
        (height, width)
    };
    Part {
        top: (height - part_height) / 2,
        left: (width - part_width) / 2,
        height: part_height,
        width: part_width,
    }
}

/// Aspects, width to height.
const NARROWEST: f64 = 3.0 / 4.0;
const WIDEST: f64 = 4.0 / 3.0;
const TRIES: usize = 10;
const STREAM: u64 = 0x6372_6f70; // "crop"

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_lie_within_their_image(height in 1u32..3000, width in 1u32..3000, row: i64, min_scale in 0.01f64..1.0) {
            let part = part(height, width, min_scale, &mut Draws::of(0, 1, 2, row));
            prop_assert!(part.height >= 1 && part.top + part.height <= height);
            prop_assert!(part.width >= 1 && part.left + part.width <= width);
        }
    }

    #[test]
    fn long_images_fall_back_to_their_middle() {
        let part = middle(10, 1000);
        assert_eq!((part.height, part.width, part.left), (10, 13, 493));
        assert_eq!(middle(1000, 10).height, 13);
    }
}
