//! [`Normalize`]: pixels as numbers around zero.

use std::{array, sync::Arc};

use arrow::buffer::Buffer;
use dpp_batch::Element;

use crate::{
    Column, Error, Kind,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    pixels::{CHANNELS, Pixels, Size},
    registry::Entry,
};

/// `normalize(mean, std)`: (x / 255 − mean) / std by channel. pixels `[rows, 3, h, w]` u8 → the same, f32.
///
/// - `mean` and `std` are three numbers each, of red, green and blue, on the scale of 0 to 1.
/// - In f32, each step rounded: a table of 256 values a channel. A black pixel, and so a null row, is −mean / std.
/// - Errors: not three numbers; one that is not finite; a std ≤ 0.
/// - Source: torchvision ToTensor and Normalize.
pub struct Normalize {
    tables: [[f32; 256]; CHANNELS],
}

pub(crate) const ENTRY: Entry = Entry {
    name: "normalize",
    parameters: &["mean", "std"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let mean = reader.floats("mean")?;
    let std = reader.floats("std")?;
    let [mean, std] = [
        three(reader, "mean", &mean, |it| it.is_finite())?,
        three(reader, "std", &std, |it| it.is_finite() && it > 0.0)?,
    ];
    let cell = |channel: usize, x: usize| (x as f32 / 255.0 - mean[channel]) / std[channel];
    Ok(Arc::new(Normalize {
        tables: array::from_fn(|channel| array::from_fn(|x| cell(channel, x))),
    }))
}

fn three(
    reader: &Reader<'_>,
    name: &str,
    given: &[f32],
    fits: fn(f32) -> bool,
) -> Result<[f32; CHANNELS], Error> {
    let three = <[f32; CHANNELS]>::try_from(given).ok();
    three
        .filter(|three| three.iter().all(|&it| fits(it)))
        .ok_or_else(|| {
            let wanted = if name == "std" {
                "finite numbers above 0"
            } else {
                "finite numbers"
            };
            reader.bad(name, format!("{given:?} are not three {wanted}"))
        })
}

impl std::fmt::Debug for Normalize {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Normalize")
    }
}

impl Op for Normalize {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        const WANTED: &[Kind] = &[Kind::ANY_PIXELS];
        match only_input(inputs, WANTED)? {
            Kind::Pixels(size) if size.element == Element::U8 => Ok(Kind::Pixels(numbers(size))),
            _ => Err(Mismatch::Kind {
                input: 0,
                wanted: WANTED,
            }),
        }
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let pixels = only_column(ENTRY.name, inputs)?.pixels()?;
        let size = pixels.size();
        if size.element != Element::U8 {
            return Err(inputs[0].is_not(Kind::ANY_PIXELS));
        }
        let mut values: Vec<f32> = Vec::with_capacity(pixels.values().len());
        for (plane, table) in pixels
            .values()
            .chunks_exact(size.plane())
            .zip(self.tables.iter().cycle())
        {
            values.extend(plane.iter().map(|&x| table[usize::from(x)]));
        }
        Ok(Column::Pixels(Pixels::new(
            numbers(size),
            Buffer::from_vec(values),
        )))
    }
}

fn numbers(size: Size) -> Size {
    Size {
        element: Element::F32,
        ..size
    }
}
