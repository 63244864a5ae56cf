//! Images: as files still to be decoded, and as pixels of one size.
//!
//! A column of files costs no more than their bytes. The op that gives images a size decodes them one after another, so
//! that of all decoded images only one is in memory, and writes each row where it stays.

use arrow::{array::LargeBinaryArray, buffer::Buffer};
use dpp_batch::Element;

/// One image file a row, null or not, and how it will be decoded. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Images {
    /// JPEG, PNG or WebP.
    pub files: LargeBinaryArray,
    /// The rows' positions in the snapshot, for errors.
    pub row_ids: Vec<i64>,
    /// An image of more pixels is not decoded.
    pub max_pixels: u64,
    /// Whether what can't be decoded is null, and no error.
    pub null_if_broken: bool,
}

/// Size of images, in pixels, and what their values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Rows of pixels.
    pub height: u32,
    /// Pixels of a row.
    pub width: u32,
    /// u8 as stored, or f32 once normalised.
    pub element: Element,
}

/// RGB images of one size, each `[3, height, width]`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pixels {
    size: Size,
    values: Buffer,
}

impl Size {
    /// u8 of this size.
    pub fn of_bytes(height: u32, width: u32) -> Size {
        Size {
            height,
            width,
            element: Element::U8,
        }
    }

    /// Values of an image: 3 · height · width.
    pub fn values(self) -> usize {
        CHANNELS * self.plane()
    }

    /// Values of one channel: height · width.
    pub fn plane(self) -> usize {
        self.height as usize * self.width as usize
    }

    /// `[3, height, width]`.
    pub fn shape(self) -> Vec<usize> {
        vec![CHANNELS, self.height as usize, self.width as usize]
    }
}

impl Pixels {
    /// Images whose values are `values`, one image after another; those after the last whole image are left out.
    pub(crate) fn new(size: Size, values: Buffer) -> Pixels {
        let image = (size.values() * size.element.bytes()).max(1);
        let values = values.slice_with_length(0, values.len() / image * image);
        Pixels { size, values }
    }

    /// Of every image.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Number of images.
    pub fn rows(&self) -> usize {
        self.values.len() / (self.size.values() * self.size.element.bytes()).max(1)
    }

    /// `[rows, 3, height, width]`, little-endian.
    pub fn values(&self) -> &Buffer {
        &self.values
    }
}

/// Red, green, blue.
pub const CHANNELS: usize = 3;
