//! Where a file has the features asked for: as columns of their own, or as keys of its maps. Pure.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use dpp_proto::v1::{Feature, Kind};

use crate::error::Error;
use crate::features::feature_map::{FeatureNames, MapKey, entry_names, shape_of};
use crate::features::schema::{kind_name, kind_of};
use crate::footer::Footer;
use crate::footer::narrow::NarrowSchema;
use crate::read::plan::wrong;

/// The columns to decode, and each feature's place in them.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    /// By feature; `None` if the file lacks it.
    pub(crate) places: Vec<Option<Place>>,
    pub(crate) schema: Arc<NarrowSchema>,
}

/// Where a feature is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A root column of this name.
    Column(String),
    /// One key of the map column of this name.
    Entry(String, MapKey),
}

/// Finds the features in a file. A column of a feature's own name goes before a map's key. Fails when a feature has
/// no kind, or another one in the file.
pub(crate) fn project(
    name: &str,
    footer: &Footer,
    names: &FeatureNames,
    features: &[Feature],
) -> Result<Projection, Error> {
    if let Some(feature) = features.iter().find(|f| f.kind() == Kind::Unspecified) {
        return Err(wrong(name, format!("feature {} has no kind", feature.name)));
    }
    let candidates = candidate_roots(footer, names, features);
    let plain = footer.narrow(name, &candidates, false)?;
    let projected = match place(name, &plain, names, features) {
        // what the Parquet schema alone can't tell, the embedded one may
        Err(Error::Conflict { .. }) => {
            let hinted = footer.narrow(name, &candidates, true)?;
            place(name, &hinted, names, features)?
        }
        Err(error) => return Err(error),
        Ok(projected) if projected.places.iter().any(Option::is_none) => {
            let hinted = footer.narrow(name, &candidates, true)?;
            place(name, &hinted, names, features)?
        }
        Ok(projected) => projected,
    };
    let PlacedFeatures {
        places,
        roots,
        is_hinted,
    } = projected;
    Ok(Projection {
        places,
        schema: footer.narrow(name, &roots, is_hinted)?,
    })
}

/// Roots that features may be in: columns of their names, and maps that may hold them as keys.
fn candidate_roots(footer: &Footer, names: &FeatureNames, features: &[Feature]) -> Vec<usize> {
    let mut roots = Vec::with_capacity(features.len());
    for feature in features {
        let own = footer.root(&feature.name);
        let entries = || entry_names(names.stored(&feature.name));
        match own {
            Some(root) => roots.push(root),
            None => roots.extend(entries().filter_map(|(column, _)| footer.root(column))),
        }
    }
    roots.sort_unstable();
    roots.dedup();
    roots
}

/// Places of features, the roots they need, ascending, and whether the embedded schema was used.
struct PlacedFeatures {
    places: Vec<Option<Place>>,
    roots: Vec<usize>,
    is_hinted: bool,
}

fn place(
    name: &str,
    schema: &NarrowSchema,
    names: &FeatureNames,
    features: &[Feature],
) -> Result<PlacedFeatures, Error> {
    let mut roots = Vec::with_capacity(features.len());
    let mut places = Vec::with_capacity(features.len());
    let column = |column: &str| schema.column(column);
    for feature in features {
        let found = find_column(column, &feature.name)
            .or_else(|| find_entry(column, names.stored(&feature.name)));
        let Some(found) = found else {
            places.push(None);
            continue;
        };
        if (found.kind, found.width) != (feature.kind(), feature.width) {
            return Err(Error::Conflict {
                feature: feature.name.clone(),
                path: name.to_owned(),
                kind: kind_name(found.kind, found.width),
                other_path: "the request".to_owned(),
                other_kind: kind_name(feature.kind(), feature.width),
            });
        }
        roots.push(found.root);
        places.push(Some(found.place));
    }
    roots.sort_unstable();
    roots.dedup();
    Ok(PlacedFeatures {
        places,
        roots,
        is_hinted: schema.is_hinted(),
    })
}

/// Whether a file has the feature `column[key]` in a map.
pub(crate) fn entry_kind(footer: &Footer, arrow: &Schema, entry: &str) -> Option<(Kind, u32)> {
    let found = find_entry(|column: &str| footer.column(arrow, column), entry);
    found.map(|found| (found.kind, found.width))
}

struct Found {
    place: Place,
    root: usize,
    kind: Kind,
    width: u32,
}

fn find_column<'a>(
    column: impl Fn(&str) -> Option<(usize, &'a Field)>,
    name: &str,
) -> Option<Found> {
    let (root, field) = column(name)?;
    let (kind, width) = kind_of(field.data_type())?;
    Some(Found {
        place: Place::Column(name.to_owned()),
        root,
        kind,
        width,
    })
}

fn find_entry<'a>(
    column: impl Fn(&str) -> Option<(usize, &'a Field)>,
    entry: &str,
) -> Option<Found> {
    entry_names(entry).find_map(|(name, key)| {
        let (root, field) = column(name)?;
        let shape = shape_of(field.data_type())?;
        Some(Found {
            place: Place::Entry(name.to_owned(), shape.key(key)?),
            root,
            kind: shape.kind,
            width: shape.width,
        })
    })
}
