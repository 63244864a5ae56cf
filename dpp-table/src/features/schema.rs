//! Arrow types → features and their kinds; the schemas of a table's files → the table's.
//!
//! | stored | kind |
//! |---|---|
//! | floats, decimals, booleans | dense |
//! | integers, timestamps (in their stored unit; INT96 in µs), dates (days or ms), times of day | int |
//! | lists of integers; lists of strings, each as its [`text_id`](crate::features::text_id) | id_list |
//! | lists of structs of one integer and one float; maps of integer → float | id_score_list |
//! | fixed-size lists of floats | vector |
//! | binary | bytes |
//! | strings | text |
//!
//! Maps are also read key by key, see `feature_map`: a map of integer → float is both one id_score_list feature and a
//! dense feature per key. A dictionary counts as its values. What is not in the table is not a feature and is left out.

use std::collections::{BTreeMap, HashSet};

use arrow::datatypes::{DataType, Fields, Schema};
use dpp_proto::v1::{self, Feature, Kind};

use crate::error::Error;

/// The union of the schemas of a table's files.
#[derive(Clone, Debug, Default)]
pub(crate) struct SchemaUnion {
    columns: BTreeMap<String, Column>,
}

/// A column as the first file that has it stores it.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// `None`: of a type that is no feature.
    pub(crate) feature: Option<Feature>,
    /// Kind and, where there is one, unit: what must be the same in every file.
    pub(crate) meaning: String,
    /// URL of that file.
    pub(crate) file: String,
}

impl SchemaUnion {
    /// A union that goes on from columns seen before, by name.
    pub(crate) fn of(columns: BTreeMap<String, Column>) -> SchemaUnion {
        SchemaUnion { columns }
    }

    /// What is known so far, by name.
    pub(crate) fn columns(&self) -> &BTreeMap<String, Column> {
        &self.columns
    }

    /// Adds a file's columns. Fails when one means something else than in an earlier file, and when two have one name.
    pub(crate) fn add(&mut self, name: &str, schema: &Schema) -> Result<(), Error> {
        let mut seen = HashSet::with_capacity(schema.fields().len());
        for field in schema.fields() {
            if !seen.insert(field.name()) {
                return Err(Error::Duplicate {
                    feature: field.name().clone(),
                    path: name.to_owned(),
                });
            }
            let kind = kind_of(field.data_type());
            if kind.is_none() {
                tracing::debug!(file = name, column = field.name(), r#type = %field.data_type(), "not a feature");
            }
            let feature = kind.map(|(kind, width)| feature(field.name(), kind, width));
            self.add_column(name, field.name(), feature, meaning(field.data_type()))?;
        }
        Ok(())
    }

    /// Adds one feature of a file. Fails when it has another kind in an earlier file.
    pub(crate) fn add_feature(
        &mut self,
        name: &str,
        feature_name: &str,
        kind: Kind,
        width: u32,
    ) -> Result<(), Error> {
        let feature = feature(feature_name, kind, width);
        self.add_column(name, feature_name, Some(feature), kind_name(kind, width))
    }

    fn add_column(
        &mut self,
        file: &str,
        name: &str,
        feature: Option<Feature>,
        meaning: String,
    ) -> Result<(), Error> {
        match self.columns.get(name) {
            None => {
                let column = Column {
                    feature,
                    meaning,
                    file: file.to_owned(),
                };
                self.columns.insert(name.to_owned(), column);
                Ok(())
            }
            Some(known) if known.meaning != meaning => Err(Error::Conflict {
                feature: name.to_owned(),
                path: file.to_owned(),
                kind: meaning,
                other_path: known.file.clone(),
                other_kind: known.meaning.clone(),
            }),
            Some(_) => Ok(()),
        }
    }

    /// The table's schema, sorted by name.
    pub(crate) fn finish(&self, partition_columns: Vec<String>) -> v1::Schema {
        let columns = self.columns.values();
        v1::Schema {
            features: columns
                .filter_map(|column| column.feature.clone())
                .collect(),
            partition_columns,
        }
    }
}

/// What a column's values mean: microseconds are not milliseconds, and ids of text are not stored ids.
fn meaning(stored: &DataType) -> String {
    use DataType::*;
    let Some((kind, width)) = kind_of(stored) else {
        return "of a type that is no feature".to_owned();
    };
    let kind = kind_name(kind, width);
    match stored {
        Dictionary(_, values) => meaning(values),
        Timestamp(unit, _) | Time32(unit) | Time64(unit) => format!("{kind} of time in {unit:?}s"),
        Date32 => format!("{kind} of dates in days"),
        Date64 => format!("{kind} of time in Milliseconds"),
        List(item) | LargeList(item) | FixedSizeList(item, _) if is_text(item.data_type()) => {
            format!("{kind} of text")
        }
        _ => kind,
    }
}

/// Kind and width of a stored type; `None` if it is not a feature.
pub(crate) fn kind_of(stored: &DataType) -> Option<(Kind, u32)> {
    use DataType::*;
    let kind = match stored {
        Dictionary(_, values) => return kind_of(values),
        Boolean => Kind::Dense,
        _ if is_float(stored) => Kind::Dense,
        Timestamp(..) | Date32 | Date64 | Time32(_) | Time64(_) => Kind::Int,
        _ if is_integer(stored) => Kind::Int,
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => Kind::Bytes,
        Utf8 | LargeUtf8 | Utf8View => Kind::Text,
        FixedSizeList(item, width) if is_float(item.data_type()) => {
            return u32::try_from(*width)
                .ok()
                .map(|width| (Kind::Vector, width));
        }
        List(item) | LargeList(item) | FixedSizeList(item, _) => match item.data_type() {
            Struct(fields) => id_and_score(fields).map(|_| Kind::IdScoreList)?,
            item if is_integer(item) || is_text(item) => Kind::IdList,
            _ => return None,
        },
        Map(entries, _) => match entries.data_type() {
            // a map's first field is its key: only an integer there is an id
            Struct(fields) if id_and_score(fields) == Some((0, 1)) => Kind::IdScoreList,
            _ => return None,
        },
        _ => return None,
    };
    Some((kind, 0))
}

/// Which of two fields is the id and which the score, if one is an integer and the other a float.
pub(crate) fn id_and_score(fields: &Fields) -> Option<(usize, usize)> {
    let [first, second] = &**fields else {
        return None;
    };
    match (first.data_type(), second.data_type()) {
        (id, score) if is_integer(id) && is_float(score) => Some((0, 1)),
        (score, id) if is_integer(id) && is_float(score) => Some((1, 0)),
        _ => None,
    }
}

/// A kind as messages name it: `dense`, `id_list`, `vector(16)`.
pub(crate) fn kind_name(kind: Kind, width: u32) -> String {
    let name = kind
        .as_str_name()
        .trim_start_matches("KIND_")
        .to_ascii_lowercase();
    match kind {
        Kind::Vector => format!("{name}({width})"),
        _ => name,
    }
}

pub(crate) fn is_integer(stored: &DataType) -> bool {
    match stored {
        DataType::Dictionary(_, values) => values.is_integer(),
        _ => stored.is_integer(),
    }
}

/// Strings of any stored shape.
pub(crate) fn is_text(stored: &DataType) -> bool {
    match stored {
        DataType::Dictionary(_, values) => values.is_string(),
        _ => stored.is_string(),
    }
}

fn is_float(stored: &DataType) -> bool {
    stored.is_floating() || stored.is_decimal()
}

fn feature(name: &str, kind: Kind, width: u32) -> Feature {
    Feature {
        name: name.to_owned(),
        kind: kind.into(),
        width,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, TimeUnit};

    use super::*;

    fn list(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("item", item, true)))
    }

    fn pair(first: DataType, second: DataType) -> DataType {
        DataType::Struct(Fields::from(vec![
            Field::new("a", first, false),
            Field::new("b", second, true),
        ]))
    }

    fn map(key: DataType, value: DataType) -> DataType {
        DataType::Map(
            Arc::new(Field::new("entries", pair(key, value), false)),
            false,
        )
    }

    fn check(stored: DataType, expected: Option<&str>) {
        let kind = kind_of(&stored).map(|(kind, width)| kind_name(kind, width));
        assert_eq!(kind.as_deref(), expected, "{stored}");
    }

    #[test]
    fn every_type_has_its_kind() {
        use DataType::*;
        for dense in [
            Float16,
            Float32,
            Float64,
            Boolean,
            Decimal128(10, 2),
            Decimal256(40, 1),
        ] {
            check(dense, Some("dense"));
        }
        for int in [
            Int8,
            UInt64,
            Date32,
            Date64,
            Timestamp(TimeUnit::Nanosecond, None),
            Time32(TimeUnit::Millisecond),
            Time64(TimeUnit::Microsecond),
        ] {
            check(int, Some("int"));
        }
        for text in [
            Utf8,
            LargeUtf8,
            Utf8View,
            Dictionary(Box::new(Int32), Box::new(Utf8)),
        ] {
            check(text, Some("text"));
        }
        for bytes in [Binary, LargeBinary, FixedSizeBinary(3)] {
            check(bytes, Some("bytes"));
        }
        check(list(Int32), Some("id_list"));
        check(list(Utf8View), Some("id_list"));
        check(list(pair(Int64, Float32)), Some("id_score_list"));
        check(list(pair(Float64, UInt16)), Some("id_score_list"));
        check(map(Int32, Float64), Some("id_score_list"));
        let vector = FixedSizeList(Arc::new(Field::new("item", Float64, true)), 16);
        check(vector, Some("vector(16)"));
    }

    #[test]
    fn other_shapes_are_no_features() {
        use DataType::*;
        for other in [
            Null,
            list(Binary),
            list(Float32),
            list(list(Int64)),
            pair(Int64, Float32),
        ] {
            check(other, None);
        }
        check(list(pair(Int64, Int64)), None);
        check(map(Utf8, Float32), None);
        check(map(Float32, Int32), None);
    }

    #[test]
    fn schemas_unite_sorted_and_conflicts_name_both_files() {
        let schema = |fields: &[(&str, DataType)]| {
            let field = |(name, stored): &(&str, DataType)| Field::new(*name, stored.clone(), true);
            Schema::new(fields.iter().map(field).collect::<Vec<_>>())
        };
        let mut union = SchemaUnion::default();
        let first = schema(&[("b", DataType::Int32), ("z", DataType::Null)]);
        union.add("one", &first).unwrap();
        let second = schema(&[("a", DataType::Utf8), ("b", DataType::Int64)]);
        union.add("two", &second).unwrap();
        let error = union
            .add("three", &schema(&[("b", DataType::Float32)]))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "feature b is dense in three but int in one"
        );
        let names: Vec<_> = union
            .finish(vec![])
            .features
            .into_iter()
            .map(|f| f.name)
            .collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn what_would_read_as_null_or_in_another_unit_is_a_conflict() {
        use DataType::*;
        let refused = |one: DataType, two: DataType| {
            let mut union = SchemaUnion::default();
            let schema = |stored| Schema::new(vec![Field::new("a", stored, true)]);
            union.add("one", &schema(one)).unwrap();
            union.add("two", &schema(two)).unwrap_err().to_string()
        };
        let micros = Timestamp(TimeUnit::Microsecond, None);
        let millis = Timestamp(TimeUnit::Millisecond, None);
        assert_eq!(
            refused(micros.clone(), millis),
            "feature a is int of time in Milliseconds in two but int of time in Microseconds in one"
        );
        assert!(refused(micros, Int64).contains("a is int in two"));
        assert!(refused(Int64, list(list(Int64))).contains("of a type that is no feature in two"));
        assert!(refused(list(Int64), list(Utf8)).contains("id_list of text in two"));
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let field = || Field::new("a", DataType::Int64, true);
        let error = SchemaUnion::default()
            .add("one", &Schema::new(vec![field(), field()]))
            .unwrap_err();
        assert_eq!(error.to_string(), "one has two columns called a");
    }
}
