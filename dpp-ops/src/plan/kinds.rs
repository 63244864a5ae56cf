//! Which kinds go where, and which turn into others by themselves.

use crate::{
    Kind,
    op::{Op, numbered_names},
};

use super::Group;

/// The op that makes `from` one of `wanted` by itself, if any: only ints are converted without being asked.
pub(super) fn conversion(from: Kind, wanted: &[Kind]) -> Option<&'static str> {
    let conversions = wanted.iter().filter_map(|kind| match kind {
        Kind::Dense => Some("cast_dense"),
        Kind::IdList => Some("to_ids"),
        _ => None,
    });
    conversions.into_iter().next().filter(|_| from == Kind::Int)
}

/// What the tensors of a group are made of.
pub(super) fn made_of(group: Group) -> &'static [Kind] {
    match group {
        Group::Dense | Group::Labels => &[Kind::Dense, Kind::Vector { width: 0 }],
        Group::Sparse => &[Kind::IdList, Kind::IdScoreList],
        Group::Vectors => &[Kind::Vector { width: 0 }, Kind::ANY_PIXELS],
        Group::Extras => &[Kind::Int, Kind::Dense, Kind::Bytes, Kind::Text],
    }
}

/// The names of the columns that an output takes in its group: in dense and labels, one for each value of a vector.
pub(crate) fn column_names(
    group: Group,
    name: &str,
    kind: Kind,
    op: Option<&dyn Op>,
) -> Vec<String> {
    match (group, kind) {
        (Group::Dense | Group::Labels, Kind::Vector { width }) => match op {
            Some(op) => op.column_names(name, width as usize),
            None => numbered_names(name, width as usize),
        },
        _ => vec![name.to_owned()],
    }
}

/// What to do with a kind that the group has no use for.
pub(super) fn advice(kind: Kind, group: Group) -> &'static str {
    match kind {
        Kind::Dense if group == Group::Sparse => "; bucketize it first, or list it under dense",
        Kind::Dense => "; list it under dense",
        Kind::IdList | Kind::IdScoreList => "; list it under sparse",
        Kind::Vector { .. } | Kind::Pixels(_) => "; list it under vectors",
        Kind::Image => "; give it a size first: resize, center_crop or random_resized_crop",
        Kind::Int | Kind::Bytes | Kind::Text => "; list it under extras",
    }
}

/// The kinds' names, for messages.
pub(super) fn any_of(kinds: &[Kind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(" or ")
}

/// The kind with its width.
pub(super) fn in_full(kind: Kind) -> String {
    match kind {
        Kind::Vector { width } => format!("vector of width {width}"),
        Kind::Pixels(size) => format!("pixels of {} × {}", size.height, size.width),
        kind => kind.to_string(),
    }
}
