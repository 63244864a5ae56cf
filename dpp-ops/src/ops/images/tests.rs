//! Images made here, through the ops, beside naive pictures of what they should be.

use std::io::Cursor;

use arrow::array::LargeBinaryArray;
use dpp_batch::Element;
use image::{ImageFormat, RgbImage};
use proptest::{collection::vec, option, prelude::*};

use crate::{
    Column, Error, Kind, Registry,
    op::Given,
    ops::{
        reference::{check_rows, count_rows},
        testing::rows,
    },
    parameters::{Parameters, Value},
    pixels::Size,
};

/// A picture whose every pixel differs from its neighbours.
fn picture(height: u32, width: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 7 + y) as u8, (y * 11) as u8, (x * y) as u8])
    })
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// An op on one column, with row ids from 100 and an epoch.
pub(super) fn run(
    name: &str,
    parameters: &[(&str, Value)],
    column: &Column,
    epoch: i64,
) -> Result<Column, Error> {
    let parameters: Parameters = parameters
        .iter()
        .map(|(name, value)| (name.to_string(), value.clone()))
        .collect();
    let (op, _) = Registry::of_this_crate().construct(name, &parameters)?;
    let rows = column.rows();
    let given: Vec<Column> = op
        .given()
        .iter()
        .map(|given| match given {
            Given::RowId => Column::Int((100..).take(rows).collect::<Vec<i64>>().into()),
            Given::Epoch => Column::Int(vec![epoch; rows].into()),
        })
        .collect();
    let kind = op.output_kind(&[column.kind()]).unwrap();
    let inputs: Vec<&Column> = [column].into_iter().chain(&given).collect();
    let result = op.evaluate(&inputs)?;
    count_rows(name, rows);
    assert_eq!((result.kind(), result.rows()), (kind, column.rows()));
    Ok(result)
}

fn images(files: &[Option<Vec<u8>>]) -> Column {
    let files: LargeBinaryArray = files.iter().map(Option::as_deref).collect();
    run("decode_image", &[], &Column::Bytes(files), 0).unwrap()
}

pub(super) fn size(h: i64, w: i64) -> [(&'static str, Value); 2] {
    [("h", h.into()), ("w", w.into())]
}

pub(super) fn bytes(column: &Column) -> &[u8] {
    column.pixels().unwrap().values().as_slice()
}

/// `[3, h, w]` of a pixel function.
fn planes(h: u32, w: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let cells = |channel: usize| {
        let pixel = &pixel;
        (0..h).flat_map(move |y| (0..w).map(move |x| pixel(y, x)[channel]))
    };
    (0..3).flat_map(cells).collect()
}

/// Random pictures of a height and a width, some of them null.
pub(super) fn pictures(
    sides: std::ops::Range<u32>,
) -> impl Strategy<Value = (u32, u32, Vec<Option<RgbImage>>)> {
    let picture = |(h, w)| {
        let pixels = vec(any::<u8>(), (h * w * 3) as usize);
        let picture = pixels.prop_map(move |pixels| RgbImage::from_raw(w, h, pixels).unwrap());
        (Just(h), Just(w), rows(option::weighted(0.9, picture)))
    };
    (sides.clone(), sides).prop_flat_map(picture)
}

pub(super) fn files(pictures: &[Option<RgbImage>]) -> Column {
    images(
        &pictures
            .iter()
            .map(|it| it.as_ref().map(png))
            .collect::<Vec<_>>(),
    )
}

/// Pixels of one picture after another, each `[3, h, w]`; `pixel` says which pixel of the picture stands where.
fn expected(
    (h, w): (u32, u32),
    pictures: &[Option<RgbImage>],
    pixel: impl Fn(u32, u32) -> Option<(u32, u32)>,
) -> Vec<u8> {
    let of_one = |picture: &Option<RgbImage>| {
        planes(h, w, |y, x| match (picture, pixel(y, x)) {
            (Some(picture), Some((y, x))) => picture.get_pixel(x, y).0,
            _ => [0; 3],
        })
    };
    pictures.iter().flat_map(of_one).collect()
}

#[test]
fn equals_row_by_row() {
    let whole = |(h, w, pictures): &(u32, u32, Vec<_>)| {
        let pixels = run(
            "resize",
            &size((*h).into(), (*w).into()),
            &files(pictures),
            0,
        )
        .unwrap();
        assert_eq!(
            bytes(&pixels),
            expected((*h, *w), pictures, |y, x| Some((y, x)))
        );
        pixels
    };
    check_rows("decode_image", pictures(1..5), |case| drop(whole(&case)));
    check_rows("resize", pictures(1..5), |case| drop(whole(&case)));
    check_rows(
        "horizontal_flip",
        (pictures(1..5), any::<bool>()),
        |(case, flip)| {
            let always = [("probability", i64::from(flip).into())];
            let found = run("horizontal_flip", &always, &whole(&case), 0).unwrap();
            let (h, w, pictures) = case;
            let mirrored = |y, x| Some((y, if flip { w - 1 - x } else { x }));
            assert_eq!(bytes(&found), expected((h, w), &pictures, mirrored));
        },
    );
    check_rows(
        "normalize",
        (pictures(1..5), vec((-1f32..1.0, 0.1f32..2.0), 3)),
        |(case, shape)| {
            let (mean, std): (Vec<f64>, Vec<f64>) = shape
                .iter()
                .map(|(mean, std)| (f64::from(*mean), f64::from(*std)))
                .unzip();
            let pixels = whole(&case);
            let found = run(
                "normalize",
                &[("mean", mean.into()), ("std", std.into())],
                &pixels,
                0,
            )
            .unwrap();
            let area = (case.0 * case.1) as usize;
            let naive = |(place, x): (usize, &u8)| {
                let (mean, std) = shape[place / area % 3];
                (f32::from(*x) / 255.0 - mean) / std
            };
            let expected: Vec<f32> = bytes(&pixels).iter().enumerate().map(naive).collect();
            assert_eq!(
                found.pixels().unwrap().values().typed_data::<f32>(),
                expected
            );
        },
    );
    check_rows(
        "center_crop",
        (pictures(1..5), 1u32..6, 1u32..6),
        |((h, w, pictures), to_h, to_w)| {
            let found = run(
                "center_crop",
                &size(to_h.into(), to_w.into()),
                &files(&pictures),
                0,
            )
            .unwrap();
            let from = |place: u32, side: u32, to: u32| match side >= to {
                true => Some(place + (side - to) / 2),
                false => place
                    .checked_sub((to - side) / 2)
                    .filter(|place| *place < side),
            };
            let middle = |y, x| from(y, h, to_h).zip(from(x, w, to_w));
            assert_eq!(bytes(&found), expected((to_h, to_w), &pictures, middle));
        },
    );
}

#[test]
fn a_resize_to_its_own_size_changes_nothing_and_null_is_black() {
    let original = picture(9, 14);
    let column = images(&[Some(png(&original)), None]);
    let found = run("resize", &size(9, 14), &column, 0).unwrap();
    let mut expected = planes(9, 14, |y, x| original.get_pixel(x, y).0);
    expected.extend(vec![0; 9 * 14 * 3]);
    assert_eq!(bytes(&found), expected);
}

#[test]
fn the_middle_is_cut_or_surrounded_by_black() {
    let original = picture(8, 5);
    let found = run(
        "center_crop",
        &size(4, 9),
        &images(&[Some(png(&original))]),
        0,
    )
    .unwrap();
    let expected = planes(4, 9, |y, x| match x {
        2..7 => original.get_pixel(x - 2, y + 2).0,
        _ => [0; 3],
    });
    assert_eq!(bytes(&found), expected);
}

#[test]
fn crops_are_functions_of_seed_epoch_and_row() {
    let file = png(&picture(60, 80));
    let column = images(&vec![Some(file); 8]);
    let crop = |seed: i64, epoch| {
        let [h, w] = size(16, 16);
        let parameters = [h, w, ("seed", seed.into())];
        bytes(&run("random_resized_crop", &parameters, &column, epoch).unwrap()).to_vec()
    };
    assert_eq!(crop(1, 0), crop(1, 0));
    assert_ne!(crop(1, 0), crop(2, 0));
    assert_ne!(crop(1, 0), crop(1, 1));
    let whole = crop(1, 0);
    let rows: Vec<&[u8]> = whole.chunks(16 * 16 * 3).collect();
    assert!(rows.windows(2).all(|pair| pair[0] != pair[1]));
}

/// The bits of every machine: a scaled crop, a flip and a normalised picture, hashed.
#[test]
fn bits_are_golden() {
    let column = images(&[Some(png(&picture(61, 83))), Some(png(&picture(40, 30)))]);
    let [h, w] = size(24, 20);
    let crop = run(
        "random_resized_crop",
        &[h, w, ("seed", 5.into())],
        &column,
        3,
    )
    .unwrap();
    let flipped = run("horizontal_flip", &[("seed", 5.into())], &crop, 3).unwrap();
    let parameters = [
        ("mean", vec![0.485, 0.456, 0.406].into()),
        ("std", vec![0.229, 0.224, 0.225].into()),
    ];
    let normal = run("normalize", &parameters, &flipped, 3).unwrap();
    let hashes = [&crop, &flipped, &normal].map(|column| xxhash_rust::xxh3::xxh3_64(bytes(column)));
    assert_eq!(hashes, GOLDEN, "{hashes:#x?}");
}

const GOLDEN: [u64; 3] = [0x6d4fb7bf46113c6f, 0xb693c63846d7511a, 0x63cac799d9a3cd26];

#[test]
fn flips_mirror_and_numbers_are_normal() {
    let original = picture(3, 4);
    let pixels = run("resize", &size(3, 4), &images(&[Some(png(&original))]), 0).unwrap();
    let always = [("probability", 1.into())];
    let flipped = run("horizontal_flip", &always, &pixels, 0).unwrap();
    let expected = planes(3, 4, |y, x| original.get_pixel(3 - x, y).0);
    assert_eq!(bytes(&flipped), expected);
    let parameters = [
        ("mean", vec![0.5, 0.0, 0.25].into()),
        ("std", vec![0.5, 1.0, 0.25].into()),
    ];
    let normal = run("normalize", &parameters, &pixels, 0).unwrap();
    let naive = |channel: usize, value: u8| {
        let x = f32::from(value) / 255.0;
        [(x - 0.5) / 0.5, x, (x - 0.25) / 0.25][channel]
    };
    let expected: Vec<f32> = bytes(&pixels)
        .iter()
        .enumerate()
        .map(|(place, &value)| naive(place / 12, value))
        .collect();
    assert_eq!(
        normal.pixels().unwrap().values().typed_data::<f32>(),
        expected
    );
    // f32 pixels mirror too, and are not normalised twice.
    let twice = run("horizontal_flip", &always, &normal, 0).unwrap();
    let back = run("horizontal_flip", &always, &twice, 0).unwrap();
    assert_eq!(bytes(&back), bytes(&normal));
    let normalised = Kind::Pixels(Size {
        element: Element::F32,
        ..Size::of_bytes(3, 4)
    });
    assert_eq!(normal.kind(), normalised);
}

#[test]
fn broken_files_are_errors_that_name_the_row_or_null() {
    let mut cut = png(&picture(30, 30));
    cut.truncate(cut.len() / 2);
    let jpeg_start = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16];
    for broken in [cut, jpeg_start, vec![], b"GIF89a".to_vec()] {
        let files = [Some(png(&picture(4, 4))), Some(broken)];
        let message = run("resize", &size(2, 2), &images(&files), 0)
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("image of row 101 can't be decoded: "),
            "{message}"
        );
        let files: LargeBinaryArray = files.iter().map(Option::as_deref).collect();
        let lenient = [("null_if_broken", true.into())];
        let column = run("decode_image", &lenient, &Column::Bytes(files), 0).unwrap();
        let found = run("resize", &size(2, 2), &column, 0).unwrap();
        assert_eq!(bytes(&found)[12..], [0; 12]);
    }
}

#[test]
fn images_beyond_the_limit_are_not_decoded() {
    let files: LargeBinaryArray = [Some(png(&picture(10, 10)))]
        .iter()
        .map(Option::as_deref)
        .collect();
    let limited = run(
        "decode_image",
        &[("max_pixels", 99.into())],
        &Column::Bytes(files),
        0,
    )
    .unwrap();
    let message = run("resize", &size(2, 2), &limited, 0)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("10 × 10 pixels, more than max_pixels 99"),
        "{message}"
    );
}
