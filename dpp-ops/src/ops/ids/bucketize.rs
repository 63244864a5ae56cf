//! [`Bucketize`]: which bin a value falls into.

use std::sync::Arc;

use arrow::array::Array;

use crate::{
    Column, Error, Kind,
    id_list::IdList,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
    vectorised::{Kernel, vectorised},
};

/// `bucketize(borders, right=True)`: the bin of x among n borders b, 0 … n. dense `[rows] → id_list [rows]` of one id;
/// an int becomes dense first; an id_list has every id replaced by its bin, scores pass through.
///
/// - right (right-closed bins, `b[i−1] < x ≤ b[i]` → i): i = number of borders < x; if i < n − 1 and not `x <
///   b[i+1]`, i + 1.
///   So a value equal to a doubled border has a bin of its own. `right=False` (left-closed): number of borders ≤ x.
/// - Values, ids and borders are compared as f32: ids beyond 2^24 and borders are rounded first.
/// - Null → empty list. −inf → 0, +inf → n. NaN: right-closed as TorchArrow's code, 1, or 0 if n = 1;
///   left-closed as TensorFlow's `upper_bound`, n.
/// - Errors: no borders; a border smaller than the one before, NaN or too large for f32.
/// - Source: TorchArrow `bucketize`; left-closed: NVTabular Bucketize, Keras Discretization.
#[derive(Debug)]
pub struct Bucketize {
    borders: Vec<f32>,
    /// Of borders, each that comes more than once, once.
    doubled: Vec<f32>,
    right: bool,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "bucketize",
    parameters: &["borders", "right"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let borders = reader.floats("borders")?;
    let right = reader.flag_or("right", true)?;
    if borders.is_empty() {
        return Err(reader.bad("borders", "at least one border is needed"));
    }
    if let Some(place) = borders.iter().position(|border| border.is_nan()) {
        return Err(reader.bad("borders", format!("border {place} is NaN")));
    }
    if let Some(place) = borders.windows(2).position(|pair| pair[0] > pair[1]) {
        let message = format!(
            "border {} is smaller than the one before; sort them",
            place + 1
        );
        return Err(reader.bad("borders", message));
    }
    let pairs = borders.windows(2).filter(|pair| pair[0] == pair[1]);
    let mut doubled: Vec<f32> = pairs.map(|pair| pair[0]).collect();
    doubled.dedup();
    Ok(Arc::new(Bucketize {
        borders,
        doubled,
        right,
    }))
}

impl Bucketize {
    /// Few borders are all looked at, in loops that vectorise; of many, searching looks at fewer.
    fn bins(&self, values: &[f32]) -> Vec<i64> {
        if self.borders.len() > MOST_TO_COUNT {
            return values.iter().map(|&x| self.bin(x)).collect();
        }
        let of_nan = u32::try_from(self.bin(f32::NAN)).unwrap_or(u32::MAX);
        let borders = self.borders.as_slice();
        match self.right {
            true => vectorised(Counting {
                borders,
                doubled: &self.doubled,
                values,
                is_before: |border, x| border < x,
                of_nan,
            }),
            false => vectorised(Counting {
                borders,
                doubled: &[],
                values,
                is_before: |border, x| border <= x,
                of_nan,
            }),
        }
    }

    fn bin(&self, x: f32) -> i64 {
        let borders = self.borders.as_slice();
        let bin = match self.right {
            true => {
                let below = borders.partition_point(|&border| border < x);
                let next = borders.get(below + 1);
                below + usize::from(next.is_some_and(|&next| x >= next || x.is_nan()))
            }
            false if x.is_nan() => borders.len(),
            false => borders.partition_point(|&border| border <= x),
        };
        i64::try_from(bin).unwrap_or(i64::MAX)
    }
}

/// Bins by counting: the borders before a value, and one more where it is a doubled border, which lies behind the first
/// of its equals.
struct Counting<'a, B> {
    borders: &'a [f32],
    doubled: &'a [f32],
    values: &'a [f32],
    is_before: B,
    /// The bin of NaN, which compares with no border.
    of_nan: u32,
}

impl<B: Fn(f32, f32) -> bool> Kernel for Counting<'_, B> {
    type Output = Vec<i64>;

    #[inline(always)]
    fn run(self) -> Vec<i64> {
        let mut bins = Vec::with_capacity(self.values.len());
        let (blocks, rest) = self.values.as_chunks::<BLOCK>();
        for values in blocks {
            bins.extend_from_slice(&self.block(values));
        }
        if rest.is_empty() {
            return bins;
        }
        let mut last = [0.0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        bins.extend_from_slice(&self.block(&last)[..rest.len()]);
        bins
    }
}

impl<B: Fn(f32, f32) -> bool> Counting<'_, B> {
    /// By place: iterators over two arrays are calls that not every build compiles for the width of vectors.
    #[inline(always)]
    fn block(&self, values: &[f32; BLOCK]) -> [i64; BLOCK] {
        let mut counts = [0u32; BLOCK];
        for place in 0..BLOCK {
            counts[place] = if values[place].is_nan() {
                self.of_nan
            } else {
                0
            };
        }
        for &border in self.borders {
            for place in 0..BLOCK {
                counts[place] += u32::from((self.is_before)(border, values[place]));
            }
        }
        for &doubled in self.doubled {
            for place in 0..BLOCK {
                counts[place] += u32::from(doubled == values[place]);
            }
        }
        let mut bins = [0i64; BLOCK];
        for place in 0..BLOCK {
            bins[place] = counts[place].into();
        }
        bins
    }
}

/// Values counted together; their counts stay in registers and the first-level cache.
const BLOCK: usize = 64;

/// From here on searching is faster.
const MOST_TO_COUNT: usize = 128;

impl Op for Bucketize {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        const WANTED: &[Kind] = &[Kind::Dense, Kind::IdList, Kind::IdScoreList];
        match only_input(inputs, WANTED)? {
            Kind::Dense => Ok(Kind::IdList),
            lists => Ok(lists),
        }
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        match only_column(ENTRY.name, inputs)? {
            Column::IdList(lists) => {
                let values: Vec<f32> = lists.ids().iter().map(|&id| id as f32).collect();
                let bins = self.bins(&values);
                Ok(Column::IdList(lists.with_ids(bins)))
            }
            column => {
                let values = column.dense()?;
                let bins = self.bins(values.values());
                Ok(Column::IdList(IdList::of_single_ids(
                    bins.into(),
                    values.nulls(),
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use crate::{ops::testing::*, parameters::Value};

    fn check(borders: &[f64], right: bool, cases: &[(f32, i64)]) {
        let parameters = [
            ("borders", Value::Reals(borders.to_vec())),
            ("right", Value::Flag(right)),
        ];
        let rows: Vec<_> = cases.iter().map(|(x, _)| Some(*x)).chain([None]).collect();
        let expected: Vec<_> = cases
            .iter()
            .map(|(_, bin)| vec![*bin])
            .chain([vec![]])
            .collect();
        assert_eq!(
            list_rows(&apply("bucketize", &parameters, &dense(&rows)).unwrap()),
            expected
        );
    }

    #[test]
    fn right_closed_bins() {
        check(
            &[2., 5., 10.],
            true,
            &[
                (1., 0),
                (2., 0),
                (3., 1),
                (5., 1),
                (8., 2),
                (10., 2),
                (11., 3),
            ],
        );
        let borders = [0., 2., 3., 5., 500., 1000.];
        check(
            &borders,
            true,
            &[(1., 1), (2., 1), (3., 2), (4., 3), (5., 3), (6., 4)],
        );
    }

    #[test]
    fn a_doubled_border_has_a_bin_of_its_own() {
        let borders = [1., 2., 2., 3., 3.];
        check(
            &borders,
            true,
            &[
                (0.5, 0),
                (1., 0),
                (1.5, 1),
                (2., 2),
                (2.5, 3),
                (3., 4),
                (3.5, 5),
            ],
        );
    }

    #[test]
    fn left_closed_bins() {
        check(
            &[2., 5., 10.],
            false,
            &[(1., 0), (2., 1), (3., 1), (5., 2), (10., 3), (11., 3)],
        );
        check(&[2., 2.], false, &[(1., 0), (2., 2), (3., 2)]);
    }

    #[test]
    fn the_ends_and_nan() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        check(&[1., 2.], true, &[(-inf, 0), (inf, 2), (nan, 1)]);
        check(&[1.], true, &[(-inf, 0), (inf, 1), (nan, 0)]);
        check(&[1., 2.], false, &[(-inf, 0), (inf, 2), (nan, 2)]);
    }

    #[test]
    fn lists_keep_their_shape_and_scores() {
        let parameters = [("borders", Value::Integers(vec![1, 10, 100]))];
        let column = lists(&[vec![1, 2, 150], vec![], vec![10, 200]]);
        let found = list_rows(&apply("bucketize", &parameters, &column).unwrap());
        assert_eq!(found, [vec![0, 1, 3], vec![], vec![1, 3]]);
        let column = scored_lists(&[vec![(2, 0.5)]]);
        let found = scored_rows(&apply("bucketize", &parameters, &column).unwrap());
        assert_eq!(found, [[(1, 0.5)]]);
    }

    #[test]
    fn bad_borders_are_refused() {
        for borders in [vec![], vec![3., 2., 1.], vec![1., f64::NAN], vec![1e300]] {
            let parameters = [("borders", Value::Reals(borders))];
            assert!(apply("bucketize", &parameters, &dense(&[])).is_err());
        }
    }

    fn naive(borders: &[f32], right: bool, x: f32) -> i64 {
        let below = borders.iter().filter(|border| **border < x).count();
        let bin = match right {
            true if below >= borders.len() - 1 => below,
            true if x < borders[below + 1] => below,
            true => below + 1,
            false if x.is_nan() => borders.len(),
            false => borders.iter().filter(|border| **border <= x).count(),
        };
        i64::try_from(bin).unwrap()
    }

    fn any_border() -> impl Strategy<Value = f32> {
        prop_oneof![(-5i8..5).prop_map(f32::from), any_f32()]
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (
            dense_rows(),
            any_lists(),
            prop_oneof![6 => vec(any_border(), 1..12), 1 => vec(any_border(), 120..140)],
            any::<bool>(),
        );
        check_rows("bucketize", cases, |(rows, ids, mut borders, right)| {
            borders.retain(|border| !border.is_nan());
            if borders.is_empty() {
                return;
            }
            borders.sort_by(f32::total_cmp);
            let parameters = [
                (
                    "borders",
                    Value::Reals(borders.iter().copied().map(f64::from).collect()),
                ),
                ("right", Value::Flag(right)),
            ];
            let found = apply("bucketize", &parameters, &sliced_dense(&rows)).unwrap();
            let expected: Vec<Vec<i64>> = rows
                .iter()
                .map(|row| row.iter().map(|x| naive(&borders, right, *x)).collect())
                .collect();
            assert_eq!(list_rows(&found), expected);
            let found = apply("bucketize", &parameters, &lists(&ids)).unwrap();
            let expected: Vec<Vec<i64>> = ids
                .iter()
                .map(|row| {
                    row.iter()
                        .map(|id| naive(&borders, right, *id as f32))
                        .collect()
                })
                .collect();
            assert_eq!(list_rows(&found), expected);
        });
    }
}
