//! Patterns of a plan: which outputs are repeated, over which features of the table.

use std::collections::HashMap;

use dpp_proto::v1;

use crate::Error;

use super::{Node, Plan};

/// For every node, the pattern whose features it is repeated for.
pub(super) struct Patterns<'a> {
    globs: Vec<&'a str>,
    matches: Vec<Option<Vec<usize>>>,
    reach: Vec<Reach>,
}

/// The patterns under a node.
#[derive(Clone, Copy)]
enum Reach {
    None,
    One(usize),
    Several(usize, usize),
}

impl<'a> Patterns<'a> {
    /// The patterns of `plan`. Nodes of the same pattern are one.
    pub(super) fn of(plan: &'a Plan) -> Patterns<'a> {
        let mut patterns = Patterns {
            globs: Vec::new(),
            matches: Vec::new(),
            reach: Vec::with_capacity(plan.nodes().len()),
        };
        let mut known = HashMap::new();
        for node in plan.nodes() {
            let reach = match node {
                Node::Feature { .. } | Node::RowId => Reach::None,
                Node::Pattern { glob } => Reach::One(*known.entry(glob).or_insert_with(|| {
                    patterns.globs.push(glob);
                    patterns.globs.len() - 1
                })),
                Node::Op { inputs, .. } => {
                    let reaches = inputs.iter().map(|&input| patterns.reach[input]);
                    reaches.fold(Reach::None, Reach::and)
                }
            };
            patterns.reach.push(reach);
        }
        patterns.matches.resize(patterns.globs.len(), None);
        patterns
    }

    /// Whether what `node` computes differs from feature to feature.
    pub(super) fn repeats(&self, node: usize) -> bool {
        !matches!(self.reach[node], Reach::None)
    }

    /// The features, as positions in `schema`, that `node` is repeated for; `None` when it stands for itself.
    ///
    /// Fails when two patterns meet in the node, and when a pattern matches nothing.
    pub(super) fn features(
        &mut self,
        node: usize,
        schema: &v1::Schema,
    ) -> Result<Option<Vec<usize>>, Error> {
        let pattern = match self.reach[node] {
            Reach::None => return Ok(None),
            Reach::One(pattern) => pattern,
            Reach::Several(first, second) => {
                return Err(Error::SeveralPatterns {
                    first: self.globs[first].to_owned(),
                    second: self.globs[second].to_owned(),
                });
            }
        };
        if self.matches[pattern].is_none() {
            self.matches[pattern] = Some(matching(self.globs[pattern], schema)?);
        }
        Ok(self.matches[pattern].clone())
    }
}

impl Reach {
    fn and(self, other: Reach) -> Reach {
        match (self, other) {
            (Reach::Several(..), _) => self,
            (_, Reach::Several(..)) => other,
            (Reach::None, _) => other,
            (_, Reach::None) => self,
            (Reach::One(first), Reach::One(second)) if first == second => self,
            (Reach::One(first), Reach::One(second)) => Reach::Several(first, second),
        }
    }
}

fn matching(glob: &str, schema: &v1::Schema) -> Result<Vec<usize>, Error> {
    let features = schema.features.iter().enumerate();
    let matching = features.filter(|(_, feature)| matches_pattern(glob, &feature.name));
    let places: Vec<usize> = matching.map(|(place, _)| place).collect();
    if places.is_empty() {
        return Err(Error::NoMatch {
            pattern: glob.to_owned(),
        });
    }
    Ok(places)
}

/// Whether `*` as any characters and `?` as one make `glob` equal to `name`; every other character is itself.
///
/// After a mismatch only the latest `*` need take one character more, so time is at most the product of the lengths.
pub fn matches_pattern(glob: &str, name: &str) -> bool {
    let (mut glob, mut name) = (glob.chars(), name.chars());
    let mut latest_star = None;
    loop {
        let (wanted, found) = (glob.next(), name.clone().next());
        match (wanted, found) {
            (Some('*'), _) => latest_star = Some((glob.clone(), name.clone())),
            (Some('?'), Some(_)) => drop(name.next()),
            (Some(wanted), Some(found)) if wanted == found => drop(name.next()),
            (None, None) => return true,
            _ => {
                let Some((after_star, taken)) = &mut latest_star else {
                    return false;
                };
                if taken.next().is_none() {
                    return false;
                }
                (glob, name) = (after_star.clone(), taken.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(glob: &[char], name: &[char]) -> bool {
        match (glob, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => {
                naive(rest, name) || !name.is_empty() && naive(glob, &name[1..])
            }
            (['?', rest @ ..], [_, others @ ..]) => naive(rest, others),
            ([first, rest @ ..], [other, others @ ..]) => first == other && naive(rest, others),
            _ => false,
        }
    }

    fn check(glob: &str, name: &str) {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        let expected = naive(&letters(glob), &letters(name));
        let found = matches_pattern(glob, name);
        assert_eq!(found, expected, "{glob:?} on {name:?}");
    }

    #[test]
    fn only_star_and_question_mark_are_special() {
        let globs = [
            "C*", "*", "?", "C?", "**/a", "a/**", "[ab]", "{a,b}", "a\\*", "!a", "*.x", "", "é?",
            "a-b",
        ];
        let names = [
            "C1", "C", "a", "b", "x/a", "a/x", "[ab]", "{a,b}", "a\\b", "!a", "y.x", "", "éé",
            "a-b", ".x",
        ];
        for glob in globs {
            names.iter().for_each(|name| check(glob, name));
        }
    }

    proptest! {
        #[test]
        fn equals_the_naive_matcher(glob in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            check(&glob, &name);
        }
    }
}
