//! Which decoded column each feature is made from. Pure.

use std::collections::HashMap;

use crate::features::feature_map::MapKey;
use crate::features::projection::Place;
use crate::read::map_split::Slots;

/// The sources of a piece's features.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) by_feature: Vec<Source>,
    pub(crate) maps: Vec<WantedMap>,
}

/// Where a feature's values come from.
pub(crate) enum Source {
    /// The file lacks it.
    Missing,
    /// The decoded column at this position.
    Column(usize),
    /// A map among [`Sources::maps`], and the feature's slot in it.
    Entry { map: usize, slot: usize },
}

/// A decoded map column, and the keys wanted of it.
pub(crate) struct WantedMap {
    pub(crate) column: usize,
    pub(crate) slots: Slots,
    /// One of the features in it: all have its kind.
    pub(crate) feature: usize,
}

/// Finds each feature's place among decoded columns; features of one map share one [`WantedMap`].
pub(crate) fn sources<'a>(
    decoded: impl Iterator<Item = &'a str>,
    places: &[Option<Place>],
) -> Sources {
    let columns: HashMap<&str, usize> = (0..)
        .zip(decoded)
        .map(|(index, name)| (name, index))
        .collect();
    let mut maps: Vec<(usize, usize, Vec<MapKey>)> = Vec::new();
    let mut map_of_column = HashMap::new();
    let mut slot_of_key = HashMap::new();
    let mut entry = |feature: usize, column: usize, key: &MapKey| {
        let map = *map_of_column.entry(column).or_insert_with(|| {
            maps.push((column, feature, Vec::new()));
            maps.len() - 1
        });
        let keys = &mut maps[map].2;
        let slot = *slot_of_key.entry((map, key.clone())).or_insert_with(|| {
            keys.push(key.clone());
            keys.len() - 1
        });
        Source::Entry { map, slot }
    };
    let mut source = |(feature, place): (usize, &Option<Place>)| match place {
        Some(Place::Column(name)) => columns
            .get(name.as_str())
            .map_or(Source::Missing, |column| Source::Column(*column)),
        Some(Place::Entry(name, key)) => columns
            .get(name.as_str())
            .map_or(Source::Missing, |column| entry(feature, *column, key)),
        None => Source::Missing,
    };
    let by_feature = places.iter().enumerate().map(&mut source).collect();
    let maps = maps.into_iter().map(|(column, feature, keys)| WantedMap {
        column,
        slots: Slots::new(&keys),
        feature,
    });
    Sources {
        by_feature,
        maps: maps.collect(),
    }
}
