//! Scaled parts of images beside pictures computed from the definition: each pixel a weighted mean in f64, of the part that
//! the numbers drawn for its row name.

use image::RgbImage;
use proptest::prelude::*;

use super::{
    fit::Part,
    tests::{bytes, files, pictures, run, size},
};
use crate::ops::{
    hash::{h128, twang},
    reference::check_rows,
};

/// Two passes, each rounded to whole values, are as far from the mean as this; a little is for fixed point.
const NEAR: f64 = 1.0 + 1.0 / 64.0;

#[test]
fn equals_row_by_row() {
    check_rows(
        "resize",
        (pictures(1..12), 1u32..12, 1u32..12),
        |((height, width, pictures), to_h, to_w)| {
            let found = run(
                "resize",
                &size(to_h.into(), to_w.into()),
                &files(&pictures),
                0,
            );
            let whole = Part {
                top: 0,
                left: 0,
                height,
                width,
            };
            let parts = vec![whole; pictures.len()];
            check_scaled(bytes(&found.unwrap()), &pictures, &parts, (to_h, to_w));
        },
    );
    check_rows(
        "random_resized_crop",
        (
            pictures(1..12),
            (1u32..9, 1u32..9),
            any::<i64>(),
            prop_oneof![Just(1.0f32), Just(0.08), 0.01f32..1.0],
        ),
        |((height, width, pictures), (to_h, to_w), seed, min_scale)| {
            let [h, w] = size(to_h.into(), to_w.into());
            let scale = f64::from(min_scale);
            let parameters = [h, w, ("seed", seed.into()), ("min_scale", scale.into())];
            let found = run("random_resized_crop", &parameters, &files(&pictures), 3);
            let parts: Vec<Part> = (100..)
                .take(pictures.len())
                .map(|row| drawn(height, width, scale, numbers(seed, 3, row)))
                .collect();
            check_scaled(bytes(&found.unwrap()), &pictures, &parts, (to_h, to_w));
        },
    );
}

fn check_scaled(found: &[u8], pictures: &[Option<RgbImage>], parts: &[Part], (h, w): (u32, u32)) {
    let mut found = found.iter();
    for (picture, part) in pictures.iter().zip(parts) {
        for channel in 0..3 {
            for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
                let value = f64::from(*found.next().unwrap());
                let expected = picture
                    .as_ref()
                    .map_or(0.0, |picture| mean(picture, part, channel, (y, h), (x, w)));
                assert!(
                    (value - expected).abs() <= NEAR,
                    "{value} at {y}, {x} of {h} × {w}, {expected} expected of {part:?}"
                );
            }
        }
    }
    assert_eq!(found.next(), None);
}

/// The value of one pixel: of all pixels of the picture, by how near they are.
fn mean(
    picture: &RgbImage,
    part: &Part,
    channel: usize,
    (y, h): (u32, u32),
    (x, w): (u32, u32),
) -> f64 {
    let down = weights(picture.height(), part.top, part.height, y, h);
    let across = weights(picture.width(), part.left, part.width, x, w);
    let (mut sum, mut weight) = (0.0, 0.0);
    for (y, down) in (0..).zip(&down) {
        for (x, across) in (0..).zip(&across) {
            sum += down * across * f64::from(picture.get_pixel(x, y).0[channel]);
            weight += down * across;
        }
    }
    sum / weight
}

/// Of every pixel of a side: 1 − its distance from where the `place`-th of `places` falls, in pixels, or in steps where
/// those are longer; none below 0.
fn weights(side: u32, start: u32, length: u32, place: u32, places: u32) -> Vec<f64> {
    let step = f64::from(length) / f64::from(places);
    let centre = f64::from(start) + (f64::from(place) + 0.5) * step;
    let near = |pixel: u32| 1.0 - (f64::from(pixel) + 0.5 - centre).abs() / step.max(1.0);
    (0..side).map(|pixel| near(pixel).max(0.0)).collect()
}

/// Numbers of 64 bits, as `Draws` says.
fn numbers(seed: i64, epoch: i64, row: i64) -> impl Iterator<Item = u64> {
    let crop = u64::from(u32::from_be_bytes(*b"crop"));
    let run = h128(seed as u64 ^ crop, epoch as u64);
    let start = h128(run, row as u64);
    (1u64..).map(move |k| twang(start.wrapping_add(k.wrapping_mul(0x9e37_79b9_7f4a_7c15))))
}

/// The part that the numbers name, by the op's definition.
fn drawn(height: u32, width: u32, min_scale: f64, mut numbers: impl Iterator<Item = u64>) -> Part {
    let (rows, columns) = (f64::from(height), f64::from(width));
    // Of 64 bits one drops eleven, the other none: for parts of few pixels both fall on the same place.
    let mut unit = || (numbers.next().unwrap() >> 11) as f64 / 2f64.powi(53);
    for _ in 0..10 {
        let share = min_scale + (1.0 - min_scale) * unit();
        let logarithm = libm::log(0.75) + (libm::log(4.0 / 3.0) - libm::log(0.75)) * unit();
        let (area, aspect) = (rows * columns * share, libm::exp(logarithm));
        let (w, h) = (
            (area * aspect).sqrt().round(),
            (area / aspect).sqrt().round(),
        );
        if (1.0..=columns).contains(&w) && (1.0..=rows).contains(&h) {
            let mut place = |free: f64| (unit() * (free + 1.0)).floor() as u32;
            return Part {
                top: place(rows - h),
                left: place(columns - w),
                height: h as u32,
                width: w as u32,
            };
        }
    }
    // The largest whose aspect is 3/4 to 4/3, in the middle.
    let h = rows.min((columns * 4.0 / 3.0).round().max(1.0));
    let w = columns.min((rows * 4.0 / 3.0).round().max(1.0));
    Part {
        top: ((rows - h) / 2.0) as u32,
        left: ((columns - w) / 2.0) as u32,
        height: h as u32,
        width: w as u32,
    }
}
