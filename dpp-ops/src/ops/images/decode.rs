//! One image file to RGB bytes.
//!
//! JPEG by `zune-jpeg` without its processor-specific paths, PNG and WebP by `image`: pure Rust, and integers only. Alpha is
//! dropped, grey becomes three equal channels, 16 bits are rounded to 8; turning by EXIF is left to who stored the file.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// `[height, width, 3]`.
#[derive(Debug)]
pub(super) struct Rgb {
    pub(super) height: u32,
    pub(super) width: u32,
    pub(super) values: Vec<u8>,
}

/// Decodes a whole file. Fails with the reason on anything broken, cut off, or of more than `max_pixels` pixels, which is
/// known before the pixels have memory.
pub(super) fn decode(file: &[u8], max_pixels: u64) -> Result<Rgb, String> {
    match file {
        [0xff, 0xd8, ..] => jpeg(file, max_pixels),
        [0x89, b'P', b'N', b'G', ..] => other(file, ImageFormat::Png, max_pixels),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => other(file, ImageFormat::WebP, max_pixels),
        _ => Err(format!(
            "{} bytes that are no JPEG, PNG or WebP",
            file.len()
        )),
    }
}

fn jpeg(file: &[u8], max_pixels: u64) -> Result<Rgb, String> {
    let options = DecoderOptions::default()
        .set_use_unsafe(false)
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder
        .decode_headers()
        .map_err(|error| format!("JPEG: {error:?}"))?;
    let (width, height) = decoder.dimensions().ok_or("JPEG without a size")?;
    let (height, width) = sized(height as u64, width as u64, max_pixels)?;
    if decoder.input_colorspace() == Some(ColorSpace::Luma) {
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
    }
    let values = decoder
        .decode()
        .map_err(|error| format!("JPEG: {error:?}"))?;
    rgb(height, width, values)
}

fn other(file: &[u8], format: ImageFormat, max_pixels: u64) -> Result<Rgb, String> {
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(max_pixels.saturating_mul(16));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    let (height, width) = sized(height.into(), width.into(), max_pixels)?;
    let image = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    rgb(height, width, image.into_rgb8().into_raw())
}

fn sized(height: u64, width: u64, max_pixels: u64) -> Result<(u32, u32), String> {
    let too_large = || format!("{height} × {width} pixels, more than max_pixels {max_pixels}");
    match height.checked_mul(width) {
        Some(0) => Err("an image without pixels".into()),
        Some(pixels) if pixels <= max_pixels => {
            let side = |side| u32::try_from(side).map_err(|_| too_large());
            Ok((side(height)?, side(width)?))
        }
        _ => Err(too_large()),
    }
}

/// Three channels, whether one or three are given.
fn rgb(height: u32, width: u32, values: Vec<u8>) -> Result<Rgb, String> {
    let pixels = height as usize * width as usize;
    let values = match values.len() {
        grey if grey == pixels => values.into_iter().flat_map(|grey| [grey; 3]).collect(),
        rgb if rgb == pixels * 3 => values,
        found => return Err(format!("{found} values for {height} × {width} pixels")),
    };
    Ok(Rgb {
        height,
        width,
        values,
    })
}
