//! Every image of a column brought to one size: decode, cut, scale, and write where it stays.

use arrow::{array::Array, buffer::Buffer};
use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};

use super::decode::{Rgb, decode};
use crate::{
    Column, Error,
    parameters::Reader,
    pixels::{CHANNELS, Images, Pixels, Size},
};

/// A part of an image, in its pixels; it lies within the image and has at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) top: u32,
    pub(super) left: u32,
    pub(super) height: u32,
    pub(super) width: u32,
}

/// Reads `h` and `w`.
pub(super) fn size(reader: &mut Reader<'_>) -> Result<Size, Error> {
    let h = reader.integer("h")?;
    let w = reader.integer("w")?;
    Ok(Size::of_bytes(side(reader, "h", h)?, side(reader, "w", w)?))
}

fn side(reader: &Reader<'_>, name: &str, side: i64) -> Result<u32, Error> {
    let within = u32::try_from(side)
        .ok()
        .filter(|side| (1..=MOST).contains(side));
    within.ok_or_else(|| reader.bad(name, format!("{side} is not between 1 and {MOST} pixels")))
}

/// What `write` makes of every image; a null row is black.
pub(super) fn each_image(
    images: &Images,
    size: Size,
    mut write: impl FnMut(usize, &Rgb, &mut [u8]) -> Result<(), String>,
) -> Result<Column, Error> {
    let mut values = vec![0u8; images.files.len() * size.values()];
    for (row, image) in values.chunks_exact_mut(size.values()).enumerate() {
        if images.files.is_null(row) {
            continue;
        }
        let decoded = decode(images.files.value(row), images.max_pixels);
        match decoded.and_then(|decoded| write(row, &decoded, image)) {
            Ok(()) => {}
            Err(_) if images.null_if_broken => image.fill(0),
            Err(message) => {
                return Err(Error::BrokenImage {
                    row_id: images.row_ids.get(row).copied().unwrap_or(-1),
                    message,
                });
            }
        }
    }
    Ok(Column::Pixels(Pixels::new(size, Buffer::from_vec(values))))
}

/// Scales parts of images: bilinear, the filter widened where the image shrinks, in fixed point.
#[derive(Debug)]
pub(super) struct Scaler {
    size: Size,
    resizer: Resizer,
    scaled: Image<'static>,
}

impl Scaler {
    pub(super) fn to(size: Size) -> Scaler {
        Scaler {
            size,
            resizer: Resizer::new(),
            scaled: Image::new(size.width, size.height, PixelType::U8x3),
        }
    }

    /// Writes the part, scaled, as `[3, h, w]`.
    pub(super) fn scale(&mut self, image: &Rgb, part: Part, out: &mut [u8]) -> Result<(), String> {
        let source = ImageRef::new(image.width, image.height, &image.values, PixelType::U8x3);
        let source = source.map_err(|error| error.to_string())?;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(
                part.left.into(),
                part.top.into(),
                part.width.into(),
                part.height.into(),
            );
        let scaled = self.resizer.resize(&source, &mut self.scaled, &options);
        scaled.map_err(|error| error.to_string())?;
        channels_first(self.scaled.buffer(), self.size.plane(), out);
        Ok(())
    }
}

/// `[h · w, 3]` as `[3, h · w]`.
fn channels_first(pixels: &[u8], plane: usize, out: &mut [u8]) {
    for (channel, out) in out.chunks_exact_mut(plane).enumerate() {
        let values = pixels.iter().skip(channel).step_by(CHANNELS);
        out.iter_mut()
            .zip(values)
            .for_each(|(out, value)| *out = *value);
    }
}

/// Largest side of an output.
const MOST: u32 = 4096;
