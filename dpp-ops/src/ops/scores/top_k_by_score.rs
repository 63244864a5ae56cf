//! [`TopKByScore`]: the k best ids.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    list_writer::ListWriter,
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    ops::scores::sort_by_score::by_score,
    parameters::Reader,
    registry::Entry,
};

/// `top_k_by_score(k)`: the first min(k, length) ids of `sort_by_score()`. id_list → id_list; id_score_list →
/// id_score_list, each score with its id.
///
/// - Highest score first; equal scores keep their order; NaN comes last, and is kept only where numbers are too few.
/// - k ≤ 0 gives empty rows. Empty rows stay empty.
/// - Errors: k is no whole number.
/// - Source: ours.
#[derive(Debug)]
pub struct TopKByScore {
    k: usize,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "top_k_by_score",
    parameters: &["k"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let k = reader.integer("k")?.max(0);
    let k = usize::try_from(k).unwrap_or(usize::MAX);
    Ok(Arc::new(TopKByScore { k }))
}

impl Op for TopKByScore {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, &[Kind::IdScoreList])
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let Some(scores) = lists.scores() else {
            return Err(inputs[0].is_not(Kind::IdScoreList));
        };
        let best_first =
            |&a: &usize, &b: &usize| by_score(scores[a], scores[b], true).then(a.cmp(&b));
        let mut places: Vec<usize> = Vec::new();
        let mut kept = ListWriter::new(lists.rows(), lists.ids().len(), true);
        for extent in lists.extents() {
            places.clear();
            places.extend(extent);
            if (1..places.len()).contains(&self.k) {
                places.select_nth_unstable_by(self.k - 1, best_first);
            }
            places.truncate(self.k);
            places.sort_unstable_by(best_first);
            places
                .iter()
                .for_each(|&place| kept.push_from(lists, place));
            kept.end_row()?;
        }
        kept.finish().map(Column::IdList)
    }
}

#[cfg(test)]
mod tests {
    use crate::ops::testing::*;

    const NAN: f32 = f32::NAN;

    #[test]
    fn the_best_stay() {
        let column = scored_lists(&[
            vec![(1, NAN), (2, 0.5), (3, 2.0), (4, 0.5)],
            vec![],
            vec![(5, NAN)],
        ]);
        let best = |k: i64| {
            let found = apply("top_k_by_score", &[("k", k.into())], &column).unwrap();
            scored_rows(&found)
                .iter()
                .map(|row| ids_of(row))
                .collect::<Vec<_>>()
        };
        assert_eq!(best(2), [vec![3, 2], vec![], vec![5]]);
        assert_eq!(best(9), [vec![3, 2, 4, 1], vec![], vec![5]]);
        assert_eq!(best(0), vec![vec![]; 3] as Vec<Vec<i64>>);
        assert!(refusal("top_k_by_score", &[("k", 0.5.into())]).contains("`k`"));
    }

    #[test]
    fn equals_row_by_row() {
        let cases = (any_scored_lists(), -1i64..10);
        check_rows("top_k_by_score", cases, |(rows, k)| {
            let column = scored_lists(&rows);
            let found = apply("top_k_by_score", &[("k", k.into())], &column).unwrap();
            let expected = rows.iter().map(|row| {
                let better = |(place, entry): (usize, &(i64, f32))| {
                    let earlier = row[..place].iter().filter(|other| other.1 >= entry.1);
                    earlier.count()
                        + row[place..]
                            .iter()
                            .filter(|other| other.1 > entry.1)
                            .count()
                };
                let mut ranked: Vec<_> = row
                    .iter()
                    .enumerate()
                    .map(|it| (better(it), *it.1))
                    .collect();
                ranked.sort_by_key(|(better, _)| *better);
                let best = ranked.into_iter().map(|(_, entry)| entry);
                best.take(k.max(0) as usize).collect::<Vec<_>>()
            });
            assert_eq!(scored_rows(&found), expected.collect::<Vec<_>>());
        });
    }
}
