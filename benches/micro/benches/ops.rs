//! What each op costs, beside a plain copy of its inputs and its output.
//!
//! ```sh
//! cargo bench -p dpp-micro --bench ops                    # every op
//! cargo bench -p dpp-micro --bench ops -- log1p first_x   # some
//! ```
//!
//! Base batches of 4,096 rows that fit the cache, or of 64 images of 64 × 64 pixels, on one core, in its CPU time. A value is a
//! row of the first input, or an id of it if that is a list.

use std::{hint::black_box, io::Cursor, sync::Arc, time::Duration};

use arrow::{
    array::{Array, Float32Array, Int64Array, LargeBinaryArray, LargeStringArray},
    buffer::{Buffer, OffsetBuffer},
};
use dpp_batch::{Layout, SparseKey, concat, padding};
use dpp_micro::side_by_side;
use dpp_ops::{
    Column, Registry,
    fit::{Fit, FitSettings, Fitted, Origin, Part},
    id_list::IdList,
    parameters::{Parameters, Value},
};
use image::{ImageFormat, RgbImage};

#[expect(clippy::print_stdout, reason = "its table is what it is run for")]
fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| {
        let mut names = wanted.iter().filter(|it| !it.starts_with('-')).peekable();
        names.peek().is_none() || names.any(|it| it == name)
    };
    let inputs = Inputs::new();
    let table = table(&inputs);
    let registry = Registry::standard().with_fitted(DIGEST, Arc::new(fitted(&inputs.ids)));
    println!("| op | M values/s | M values/s of a copy | times the copy |\n|---|---|---|---|");
    for name in registry.names().filter(|name| wanted(name)) {
        let row = table.iter().find(|(op, ..)| *op == name);
        let Some((_, parameters, columns)) = row else {
            println!("| {name} | no inputs for it here | | |");
            continue;
        };
        let parameters: Parameters = parameters
            .iter()
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        let made = registry.construct(name, &parameters);
        let (op, _) = made.expect("the table's parameters are right");
        let evaluate = || op.evaluate(black_box(columns)).expect("kinds are right");
        let output = evaluate();
        let sources: Vec<Buffer> = columns
            .iter()
            .copied()
            .chain([&output])
            .flat_map(buffers)
            .collect();
        let mut copies: Vec<Vec<u8>> = sources.iter().map(|source| source.to_vec()).collect();
        let [took, copied] = side_by_side(evaluate, || {
            for (copy, source) in copies.iter_mut().zip(&sources) {
                black_box(copy).copy_from_slice(source);
            }
        });
        let rate = |time: Duration| values(columns[0]) as f64 / time.as_secs_f64() / 1e6;
        let ratio = took.as_secs_f64() / copied.as_secs_f64();
        println!(
            "| {name} | {} | {} | {ratio:.1} |",
            digits(rate(took)),
            digits(rate(copied))
        );
    }
}

/// Three digits, or the whole number.
fn digits(rate: f64) -> String {
    match rate {
        0.0..1.0 => format!("{rate:.3}"),
        1.0..100.0 => format!("{rate:.1}"),
        _ => format!("{rate:.0}"),
    }
}

const ROWS: u64 = 4096;
const IMAGES: u64 = 64;
/// Of images.
const SIDE: u32 = 64;
const DIGEST: &str = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";

/// The vocabulary of all ids of a column.
fn fitted(column: &Column) -> Fitted {
    let ids = column.id_list().expect("a column of lists").ids();
    let layout = Arc::new(Layout {
        sparse: vec![SparseKey {
            name: "ids".into(),
            weighted: false,
        }],
        ..Layout::default()
    });
    let count = i32::try_from(ids.len()).expect("a base batch's ids");
    let mut row = concat(&layout, &[padding(&layout, 1)]);
    row.sparse.lengths = Buffer::from_vec(vec![count]);
    row.sparse.values = ids.inner().clone();
    let mut part = Part::of(&layout);
    part.add(&row);
    let mut fit = Fit::start(FitSettings::default()).expect("the defaults can be meant");
    fit.add(&part.into_batch()).expect("few distinct ids");
    fit.finish(Origin::default())
}

type Row<'a> = (&'static str, Vec<(&'static str, Value)>, Vec<&'a Column>);

fn table(inputs: &Inputs) -> Vec<Row<'_>> {
    let Inputs {
        dense,
        seconds,
        categories,
        ids,
        others,
        scored,
        text,
        files,
        images,
        pixels,
        row_ids,
        epochs,
    } = inputs;
    let borders = || {
        (0..50)
            .map(|border| f64::from(border) * 2.0)
            .collect::<Vec<f64>>()
    };
    let ints = |count: i64| (0..count).collect::<Vec<i64>>();
    let on = |name, column| (name, vec![], vec![column]);
    let on_two = |name, first, second| (name, vec![], vec![first, second]);
    let size = || vec![("h", 32.into()), ("w", 32.into())];
    let with = |name, parameters: &[(&'static str, Value)], column| {
        (name, parameters.to_vec(), vec![column])
    };
    vec![
        on("abs", dense),
        with("add", &[("value", 0.5.into())], dense),
        with("box_cox", &[("lambda1", 0.5.into())], dense),
        on("cast_dense", seconds),
        with("clamp", &[("min", 0.into())], dense),
        on("clip_log", dense),
        on_two("divide", dense, dense),
        with("fill_nan", &[("value", 0.into())], dense),
        with("fill_null", &[("value", 0.into())], dense),
        with(
            "get_local_hour",
            &[("utc_offset_seconds", 3600.into())],
            seconds,
        ),
        on("is_present", dense),
        on("log", dense),
        on("log1p", dense),
        on("logit", dense),
        with("min_max", &[("lo", 0.into()), ("hi", 100.into())], dense),
        on_two("multiply", dense, dense),
        with("one_hot", &[("vocabulary", ints(8).into())], dense),
        with("quantile", &[("borders", borders().into())], dense),
        on("sign_log1p", dense),
        on("sqrt", dense),
        with("subtract", &[("value", 0.5.into())], dense),
        with("z_score", &[("mean", 50.into()), ("std", 20.into())], dense),
        with("bucketize", &[("borders", borders().into())], dense),
        with("clamp_list", &[("lo", 0.into()), ("hi", 500.into())], ids),
        on("enumerate", ids),
        with("first_x", &[("n", 10.into())], ids),
        with("last_x", &[("n", 10.into())], ids),
        with(
            "list_slice",
            &[("start", 1.into()), ("end", (-1).into())],
            ids,
        ),
        with(
            "look_up",
            &[
                ("artefact", "ids.fit".into()),
                ("digest", DIGEST.into()),
                ("output", "ids".into()),
            ],
            ids,
        ),
        with("map_id", &[("table", ints(100_000).into())], ids),
        with("ngram", &[("n", 2.into())], ids),
        with("offset", &[("k", 7.into())], ids),
        with("positive_modulus", &[("m", 1_000_003.into())], ids),
        with(
            "sigrid_hash",
            &[("salt", 0.into()), ("max_value", 1_000_003.into())],
            ids,
        ),
        on("sort", ids),
        on("to_ids", seconds),
        on("unique", ids),
        on("drop_scores", scored),
        with("scores_clamp", &[("min", 0.into())], scored),
        on("scores_log1p", scored),
        on("sort_by_score", scored),
        with("top_k_by_score", &[("k", 5.into())], scored),
        ("cartesian", vec![("max_len", 20.into())], vec![ids, others]),
        (
            "categorical_ngram",
            vec![("limits", vec![1000, 1000].into())],
            vec![categories, categories],
        ),
        on_two("cross", categories, categories),
        on_two("difference", ids, others),
        on_two("id_list_transform", scored, others),
        on_two("intersect", ids, others),
        on_two("union", ids, others),
        on_two("get_cosine_similarity", scored, scored),
        on_two("get_jaccard_similarity", ids, others),
        on_two("get_max_count", ids, others),
        on_two("get_score_max", ids, scored),
        on_two("get_score_min", ids, scored),
        on_two("get_score_sum", ids, scored),
        on_two("has_id_overlap", ids, others),
        on_two("id_overlap_count", ids, others),
        on("list_len", ids),
        on("list_max", scored),
        on("list_mean", scored),
        on("list_min", scored),
        on("list_sum", scored),
        on_two("decode_image", files, row_ids),
        ("resize", size(), vec![images]),
        ("center_crop", size(), vec![images]),
        ("random_resized_crop", size(), vec![images, row_ids, epochs]),
        ("horizontal_flip", vec![], vec![pixels, row_ids, epochs]),
        with(
            "normalize",
            &[
                ("mean", vec![0.5, 0.5, 0.5].into()),
                ("std", vec![0.2, 0.2, 0.2].into()),
            ],
            pixels,
        ),
        on("lower", text),
        on("split", text),
        with("token_ngram", &[("n", 2.into())], text),
    ]
}

/// Columns without nulls: numbers, one category a row, lists of 0 to 40 ids of 1,000 in random order, eight words; images as files
/// (PNG), as they are passed on, and as pixels, with what ops on them are given beside them.
struct Inputs {
    dense: Column,
    seconds: Column,
    categories: Column,
    ids: Column,
    others: Column,
    scored: Column,
    text: Column,
    files: Column,
    images: Column,
    pixels: Column,
    row_ids: Column,
    epochs: Column,
}

impl Inputs {
    fn new() -> Inputs {
        let mut random = Random(7);
        let mut numbers = || random.below(1000);
        let dense = Float32Array::from_iter_values((0..ROWS).map(|_| numbers() as f32 / 10.0));
        let seconds = (0..ROWS).map(|row| 1_700_000_000 + row.cast_signed() * 977);
        let categories = (0..ROWS).map(|_| numbers().cast_signed()).collect();
        let categories = IdList::of_single_ids(categories, None);
        let files = LargeBinaryArray::from_iter_values((0..IMAGES).map(|_| png(&mut numbers)));
        let files = Column::Bytes(files);
        let row_ids = Column::Int((0..IMAGES.cast_signed()).collect::<Vec<_>>().into());
        let images = made("decode_image", &[], &[&files, &row_ids]);
        let size = [("h", SIDE), ("w", SIDE)];
        let words = (0..ROWS).map(|_| {
            let words: Vec<String> = (0..8).map(|_| format!("Word{}", numbers())).collect();
            words.join(" ")
        });
        Inputs {
            dense: Column::Dense(dense),
            pixels: made("resize", &size, &[&images]),
            files,
            images,
            row_ids,
            epochs: Column::Int(vec![0; IMAGES as usize].into()),
            seconds: Column::Int(Int64Array::from_iter_values(seconds)),
            categories: Column::IdList(categories),
            text: Column::Text(LargeStringArray::from_iter_values(words)),
            ids: lists(&mut random, false),
            others: lists(&mut random, false),
            scored: lists(&mut random, true),
        }
    }
}

/// What an op makes of its inputs and what it is given.
fn made(op: &str, parameters: &[(&str, u32)], columns: &[&Column]) -> Column {
    let parameters = parameters.iter();
    let parameters = parameters.map(|(name, value)| (name.to_string(), i64::from(*value).into()));
    let made = Registry::standard().construct(op, &parameters.collect());
    let (op, _) = made.expect("the parameters are right");
    op.evaluate(columns).expect("the kinds are right")
}

/// A picture with some noise in it.
fn png(numbers: &mut impl FnMut() -> u64) -> Vec<u8> {
    let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let noise = (numbers() % 8) as u8;
        image::Rgb([(x * 3) as u8 + noise, (y * 3) as u8 + noise, noise])
    });
    let mut file = Cursor::new(Vec::new());
    let written = picture.write_to(&mut file, ImageFormat::Png);
    written.expect("a file in memory takes all");
    file.into_inner()
}

fn lists(random: &mut Random, scored: bool) -> Column {
    let lengths: Vec<usize> = (0..ROWS).map(|_| random.below(41) as usize).collect();
    let ids: Vec<i64> = (0..lengths.iter().sum())
        .map(|_| random.below(1000).cast_signed())
        .collect();
    let scores: Vec<f32> = ids.iter().map(|_| random.below(1000) as f32).collect();
    let offsets = OffsetBuffer::from_lengths(lengths);
    let scores = scored.then(|| scores.into());
    Column::IdList(IdList::new(offsets, ids.into(), scores).expect("lengths and ids fit"))
}

fn values(column: &Column) -> usize {
    match column {
        Column::IdList(lists) => lists.ids().len(),
        column => column.rows(),
    }
}

/// Where the column's values lie.
fn buffers(column: &Column) -> Vec<Buffer> {
    match column {
        Column::Dense(array) => vec![array.values().inner().clone()],
        Column::Int(array) => vec![array.values().inner().clone()],
        Column::Vector(vector) => vec![vector.values().inner().clone()],
        Column::Bytes(array) => array.to_data().buffers().to_vec(),
        Column::Text(array) => array.to_data().buffers().to_vec(),
        Column::Image(images) => images.files.to_data().buffers().to_vec(),
        Column::Pixels(pixels) => vec![pixels.values().clone()],
        Column::IdList(lists) => {
            let scores = lists.scores().map(|scores| scores.inner().clone());
            let offsets = lists.offsets().inner().inner().clone();
            [lists.ids().inner().clone(), offsets]
                .into_iter()
                .chain(scores)
                .collect()
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
