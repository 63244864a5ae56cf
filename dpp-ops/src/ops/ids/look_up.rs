//! [`LookUp`]: ids by their places in a vocabulary that was fitted.

use std::sync::Arc;

use crate::{
    Column, Error, Kind,
    fit::{Fitted, Vocabulary},
    in_place::{InPlace, MapEach},
    nearest::{did_you_mean, nearest},
    op::{Mismatch, Op, SharedOp, only_column, only_input},
    parameters::Reader,
    registry::Entry,
};

/// `look_up(artefact, digest, output)`: the id's place in the vocabulary that was fitted for a sparse output, from 1 for the
/// most frequent one; 0 for an id that is not there. id_list → id_list, row by row of the same length; scores pass through. An
/// int becomes an id_list first.
///
/// - The plan names the artefact by URL and by the SHA-256 of its bytes. Whoever runs the plan reads it once, under its own
///   identity, and refuses one of another digest; a worker that asks for tokens, one outside of the tables of the token.
/// - A vocabulary of n ids gives 0 … n: a table of n + 1 rows. Empty rows stay empty.
/// - Errors: a digest that is not 64 hexadecimal digits; an output that the artefact has no vocabulary for.
/// - Source: ours; Keras IntegerLookup, with unknown ids at 0.
#[derive(Debug)]
pub struct LookUp {
    artefact: String,
    /// Which vocabulary of what; none where the plan is only bound.
    found: Option<(Arc<Fitted>, usize)>,
}

pub(crate) const ENTRY: Entry = Entry {
    name: "look_up",
    parameters: &["artefact", "digest", "output"],
    construct,
};

fn construct(reader: &mut Reader<'_>) -> Result<SharedOp, Error> {
    let artefact = reader.text("artefact")?;
    let digest = reader.text("digest")?;
    let output = reader.text("output")?;
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(reader.bad("digest", "64 hexadecimal digits are needed"));
    }
    let found = match reader.fitted(&digest) {
        None => None,
        Some(fitted) => {
            let mut names = fitted.vocabularies.iter().map(Vocabulary::name);
            match names.position(|name| name == output) {
                Some(place) => Some((fitted, place)),
                None => {
                    let near = nearest(&output, fitted.vocabularies.iter().map(Vocabulary::name));
                    let message = format!(
                        "{artefact} has no vocabulary of an output `{output}`{}",
                        did_you_mean(&near)
                    );
                    return Err(reader.bad("output", message));
                }
            }
        }
    };
    Ok(Arc::new(LookUp { artefact, found }))
}

impl LookUp {
    fn vocabulary(&self) -> Option<&Vocabulary> {
        let (fitted, place) = self.found.as_ref()?;
        fitted.vocabularies.get(*place)
    }
}

impl Op for LookUp {
    fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
        only_input(inputs, Kind::LISTS)
    }

    fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
        let lists = only_column(ENTRY.name, inputs)?.id_list()?;
        let Some(vocabulary) = self.vocabulary() else {
            return Err(Error::NotLoaded {
                url: self.artefact.clone(),
            });
        };
        let mut ids = lists.ids().to_vec();
        vocabulary.map_each(&mut ids);
        Ok(Column::IdList(lists.with_ids(ids)))
    }

    fn in_place(&self) -> Option<InPlace<'_>> {
        Some(InPlace::Ids(self.vocabulary()?))
    }
}

impl MapEach<i64> for Vocabulary {
    fn map_each(&self, ids: &mut [i64]) {
        for id in ids {
            *id = self.place(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use crate::{
        Error, Registry,
        fit::{Fitted, Vocabulary},
        ops::testing::*,
        parameters::Value,
    };

    const DIGEST: &str = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";

    fn parameters(output: &str) -> [(&'static str, Value); 3] {
        [
            ("artefact", "s3://models/ads.fit".into()),
            ("digest", DIGEST.into()),
            ("output", output.into()),
        ]
    }

    fn knowing(ids: &[i64]) -> Registry {
        let counts = vec![1; ids.len()];
        let fitted = Fitted {
            origin: Default::default(),
            rows: 0,
            columns: vec![],
            vocabularies: vec![Vocabulary::new("C1".into(), ids.to_vec(), counts)],
        };
        Registry::standard().with_fitted(DIGEST, Arc::new(fitted))
    }

    #[test]
    fn only_loaded_artefacts_are_looked_into() {
        let column = lists(&[vec![7]]);
        let error = apply("look_up", &parameters("C1"), &column).unwrap_err();
        assert!(matches!(error, Error::NotLoaded { .. }));
        let message = refusal(
            "look_up",
            &parameters("C1").map(|(name, _)| (name, "x".into())),
        );
        assert_eq!(
            message,
            "op look_up, parameter `digest`: 64 hexadecimal digits are needed"
        );
        let other = parameters("C2").map(|(name, value)| (name.to_owned(), value));
        let message = knowing(&[7])
            .construct("look_up", &other.into())
            .unwrap_err();
        assert!(
            message
                .to_string()
                .contains("no vocabulary of an output `C2`"),
            "{message}"
        );
    }

    #[test]
    fn equals_row_by_row() {
        let ids = prop::collection::btree_set(any_i64(), 0..20);
        let cases = (
            any_scored_lists(),
            ids.prop_map(|ids| ids.into_iter().rev().collect()),
        );
        check_rows("look_up", cases, |(rows, ids): (Vec<_>, Vec<i64>)| {
            let registry = knowing(&ids);
            let parameters = parameters("C1").map(|(name, value)| (name.to_owned(), value));
            let (op, _) = registry.construct("look_up", &parameters.into()).unwrap();
            let place = |id: i64| {
                ids.iter()
                    .zip(1i64..)
                    .find(|(it, _)| **it == id)
                    .map_or(0, |(_, place)| place)
            };
            let found = run(&op, "look_up", &[&scored_lists(&rows)]).unwrap();
            let expected: Vec<Vec<(i64, f32)>> = rows
                .iter()
                .map(|row: &Vec<(i64, f32)>| {
                    row.iter().map(|(id, score)| (place(*id), *score)).collect()
                })
                .collect();
            assert_eq!(scored_rows(&found), expected);
        });
    }
}
