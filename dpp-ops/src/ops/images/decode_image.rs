//! [`DecodeImage`]: bytes that are an image.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    op::{Given, Mismatch, Op, SharedOp, columns, only_input},
    parameters::Reader,
    pixels::Images,
    registry::Entry,
};

/// `decode_image(max_pixels=33554432, null_if_broken=False)`: the RGB image that a JPEG, PNG or WebP file holds. bytes
/// `[rows]` → image `[rows]`, each of its own size; `resize`, `center_crop` or `random_resized_crop` give it one.
///
/// - Alpha is dropped, grey becomes three equal channels, 16 bits are rounded to 8. EXIF does not turn images.
/// - Decoded in integers, one image at a time, by the op that gives the size: the same bits on every machine.
/// - Null stays null, and is a black image once it has a size.
/// - A file that is broken, cut off, of another format or of more than `max_pixels` pixels is an error that names
///   feature and row; with `null_if_broken` it is null.
/// - Errors: max_pixels < 1.
/// - Source: zune-jpeg, image-rs.
#[derive(Debug)]
pub struct DecodeImage {
    max_pixels: u64,
    null_if_broken: bool,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "decode_image",
    parameters: &["max_pixels", "null_if_broken"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let max_pixels = reader.integer_or("max_pixels", 1 << 25)?;
    let null_if_broken = reader.flag_or("null_if_broken", false)?;
    let max_pixels = u64::try_from(max_pixels).ok().filter(|&most| most > 0);
    let max_pixels = max_pixels.ok_or_else(|| reader.bad("max_pixels", "it is not at least 1"))?;
    Ok(Arc::new(DecodeImage {
        max_pixels,
        null_if_broken,
    }))
}

impl Op for DecodeImage {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::Bytes]).map(|_| Kind::Image)
    }

    fn given(&self) -> &'static [Given] {
        &[Given::RowId]
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let [files, row_ids] = columns(ENTRY.name, inputs)?;
        Ok(Column::Image(Images {
            files: files.bytes()?.clone(),
            row_ids: row_ids.int()?.values().to_vec(),
            max_pixels: self.max_pixels,
            null_if_broken: self.null_if_broken,
        }))
    }
}
