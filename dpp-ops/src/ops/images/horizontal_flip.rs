//! [`HorizontalFlip`]: some images mirrored.

use std::sync::Arc;

use arrow::buffer::Buffer;

use super::draws::Draws;
use crate::{
    Column, Error, Kind,
    op::{Given, Mismatch, Op, SharedOp, columns, only_input},
    parameters::Reader,
    pixels::Pixels,
    registry::Entry,
};

/// `horizontal_flip(seed=0, probability=0.5)`: left and right exchanged in a share of the images. pixels
/// `[rows, 3, h, w]` → pixels, u8 or f32 as they are.
///
/// - Drawn from (seed, epoch, row id): the same choice on any worker.
/// - Errors: probability not within 0 and 1.
/// - Source: torchvision RandomHorizontalFlip; the draw is ours.
#[derive(Debug)]
pub struct HorizontalFlip {
    seed: i64,
    probability: f64,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "horizontal_flip",
    parameters: &["seed", "probability"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let seed = reader.integer_or("seed", 0)?;
    let probability = reader.finite_float_or("probability", 0.5)?;
    if !(0.0..=1.0).contains(&probability) {
        let message = format!("{probability} is not within 0 and 1");
        return Err(reader.bad("probability", message));
    }
    Ok(Arc::new(HorizontalFlip {
        seed,
        probability: probability.into(),
    }))
}

impl Op for HorizontalFlip {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::ANY_PIXELS])
    }

    fn given(&self) -> &'static [Given] {
        &[Given::RowId, Given::Epoch]
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let [pixels, row_ids, epochs] = columns(ENTRY.name, inputs)?;
        let (pixels, row_ids, epochs) = (pixels.pixels()?, row_ids.int()?, epochs.int()?);
        let size = pixels.size();
        let cell = size.element.bytes();
        let mut values = pixels.values().to_vec();
        for (row, image) in values.chunks_exact_mut(size.values() * cell).enumerate() {
            let mut draws = Draws::of(STREAM, self.seed, epochs.value(row), row_ids.value(row));
            if draws.unit() < self.probability {
                image
                    .chunks_exact_mut(size.width as usize * cell)
                    .for_each(|line| mirror(line, cell));
            }
        }
        Ok(Column::Pixels(Pixels::new(size, Buffer::from_vec(values))))
    }
}

/// A line of cells of `cell` bytes turned round: all its bytes, then those of every cell back.
fn mirror(line: &mut [u8], cell: usize) {
    line.reverse();
    line.chunks_exact_mut(cell).for_each(<[u8]>::reverse);
}

const STREAM: u64 = 0x666c_6970; // "flip"
