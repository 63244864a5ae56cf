//! The bits of every op on fixed rows, kept in `golden.txt`: the same on every machine, in every build, for as long as the
//! semantics version stands.
//!
//! A line an op and its parameters, with a hash of what it makes of every feature of the rows, and of images and pixels made of
//! them. An op that comes new brings its line; a line that changes is another meaning, which needs another semantics version.

use dpp_ops::{Plan, Program};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    any_plan::png,
    columns::{FEATURES, Row, batch, row_ids, schema},
    every_op::{OPS, registry},
    optimiser::{Given, plan},
};

#[test]
fn bits_are_golden() {
    let rows = rows();
    let found: Vec<String> = OPS
        .iter()
        .map(|(takes, op)| format!("{:016x} {op}", hash(*takes, op, &rows)))
        .collect();
    let golden: Vec<&str> = include_str!("golden.txt").lines().collect();
    let changed: Vec<&String> = found
        .iter()
        .filter(|line| !golden.contains(&line.as_str()))
        .collect();
    assert!(
        changed.is_empty() && golden.len() == found.len(),
        "{} lines of golden.txt for {} ops; not among them are\n{}",
        golden.len(),
        found.len(),
        changed
            .iter()
            .map(|line| line.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    );
}

/// Of the op on every input that binding takes.
fn hash(takes: usize, op: &str, rows: &[Row]) -> u64 {
    let bytes = FEATURES.len() - 1; // the first feature
    let before: [Given; 2] = [
        (OPS[0].1.to_owned(), vec![bytes]),
        (OPS[1].1.to_owned(), vec![0]),
    ];
    let mut fingerprints: Vec<u8> = Vec::new();
    let places = FEATURES.len() + before.len();
    for first in 0..places {
        let others: &[usize] = if takes == 1 { &[0] } else { &[first, 2, 4] };
        for other in others {
            let back = |place: usize| places - 1 - place;
            let mut inputs = vec![back(first), back(*other), back(2)];
            inputs.truncate(takes);
            let given = [before.as_slice(), &[(op.to_owned(), inputs)]].concat();
            let plan = plan(&given, &[(0, 0)]);
            if plan.nodes().len() > places {
                fingerprints.extend(fingerprint(&plan, rows).to_le_bytes());
            }
        }
    }
    assert!(!fingerprints.is_empty(), "{op} takes nothing");
    xxh3_64(&fingerprints)
}

fn fingerprint(plan: &Plan, rows: &[Row]) -> u64 {
    let program = Program::as_written_with(plan, &schema(), registry()).unwrap();
    let packed = program.run(&batch(&program, rows), &row_ids(0..rows.len()));
    packed.unwrap().fingerprint()
}

/// A few hundred rows of everything.
fn rows() -> Vec<Row> {
    let mut random = Random(11);
    (0..300).map(|row| random.row(row)).collect()
}

const AWKWARD: [f32; 7] = [
    0.0,
    -0.0,
    1.0,
    f32::MAX,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn row(&mut self, row: u64) -> Row {
        let picture = |random: &mut Random| {
            let side = |random: &mut Random| u32::try_from(random.below(7)).unwrap() + 1;
            png(side(random), side(random))
        };
        let bytes = match row % 5 {
            0 => vec![7, 7],
            _ => picture(self),
        };
        let lists = self.below(7) as usize;
        let scored = self.below(7) as usize;
        (
            self.some(bytes),
            self.float(),
            (
                (0..lists)
                    .map(|_| self.id())
                    .map(Some)
                    .collect::<Vec<_>>()
                    .into(),
                0,
            ),
            self.id().into(),
            (
                (0..scored)
                    .map(|_| Some((self.id(), self.float())))
                    .collect::<Vec<_>>()
                    .into(),
                0,
            ),
            Some(format!("Über {} a {}", self.below(20), self.below(3))),
            Some([self.float(), self.float()]),
        )
    }

    fn some<T>(&mut self, value: T) -> Option<T> {
        (self.below(8) > 0).then_some(value)
    }

    fn float(&mut self) -> Option<f32> {
        let drawn = self.next();
        let value = match drawn % 8 {
            0 => f32::from_bits((drawn >> 32) as u32),
            1 => AWKWARD[(drawn >> 32) as usize % AWKWARD.len()],
            _ => ((drawn >> 32) as f64 / f64::from(u32::MAX) * 20.0 - 10.0) as f32,
        };
        // one NaN: what becomes of others is not what is kept here
        let value = if value.is_nan() { f32::NAN } else { value };
        self.some(value)
    }

    fn id(&mut self) -> i64 {
        let drawn = self.next();
        match drawn % 8 {
            0 => (drawn >> 1).cast_signed(),
            1 => [i64::MIN, i64::MAX, 0, -1][(drawn >> 32) as usize % 4],
            _ => ((drawn >> 32) % 12).cast_signed() - 2,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
