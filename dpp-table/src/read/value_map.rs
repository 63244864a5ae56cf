//! Functions of one value that features pass through as they are decoded: where a chunk has a dictionary that is clearly smaller
//! than what is read of it, its values are mapped in place of those of all rows.

use std::fmt;
use std::sync::Arc;

use crate::features::projection::Place;
use crate::read::columns::shape::{Shape, StoredAs};
use crate::read::plan::ReadPlan;

/// What every value of a feature passes through, whatever its row. Equal values, equal results.
#[derive(Clone)]
pub enum ValueMap {
    /// Of a dense feature.
    Dense(MapValues<f32>),
    /// Of an int, or of the ids of an id_list.
    Ids(MapValues<i64>),
}

/// Maps every value.
pub type MapValues<T> = Arc<dyn Fn(&mut [T]) + Send + Sync>;

impl fmt::Debug for ValueMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ValueMap::Dense(_) => "ValueMap::Dense",
            ValueMap::Ids(_) => "ValueMap::Ids",
        })
    }
}

/// Gives each shape the map of its feature where that is less work on its dictionary, and says for which features.
pub(crate) fn give(shapes: &mut [Shape], maps: &[Option<ValueMap>], plan: &ReadPlan) -> Vec<bool> {
    let feature = |shape: &Shape| {
        let is_of = |place: &Option<Place>| matches!(place, Some(Place::Column(name)) if *name == shape.name);
        let mut features = (0..).zip(&plan.places).filter(|(_, place)| is_of(place));
        // one that is looked at twice has two ways to go
        let only = features.next().filter(|_| features.next().is_none());
        only.map(|(feature, _): (usize, _)| feature)
    };
    let mut is_mapped = vec![false; plan.places.len()];
    for shape in shapes {
        let Some(feature) = feature(shape).filter(|_| is_less(shape, plan)) else {
            continue;
        };
        let map = maps.get(feature).cloned().flatten();
        shape.map = map.filter(|map| fits(map, shape.stored));
        is_mapped[feature] = shape.map.is_some();
    }
    is_mapped
}

/// Whether values are decoded as the map takes them.
fn fits(map: &ValueMap, stored: StoredAs) -> bool {
    match map {
        ValueMap::Dense(_) => matches!(stored, StoredAs::Float | StoredAs::Double),
        ValueMap::Ids(_) => matches!(stored, StoredAs::Int32 | StoredAs::Int64),
    }
}

/// Whether the dictionary is clearly smaller than what is read: the rows' share of the chunk's values.
fn is_less(shape: &Shape, plan: &ReadPlan) -> bool {
    let group = plan.arrow.metadata().row_group(plan.row_group);
    let rows = u128::from(group.num_rows().unsigned_abs()).max(1);
    let values = u128::from(shape.values) * u128::from(plan.rows) / rows;
    let entries = shape.dictionary.count as u128;
    0 < entries && entries * CLEARLY <= values
}

/// So many values to one of the dictionary.
const CLEARLY: u128 = 2;
