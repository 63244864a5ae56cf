//! What a table's columns are and how their values fall: the presets.
//!
//! Arguments go in, a list of columns comes out. Pure.

use std::sync::Arc;

use super::{
    arguments::{Arguments, Preset},
    quantiles::Quantiles,
};

/// A table's columns, in file order.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) columns: Vec<Column>,
    /// Share of rows whose label is 1.
    pub(crate) base_rate: f64,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) values: Values,
    /// Deviation that this column's values add to the label's log-odds; 0 for none.
    pub(crate) effect: f64,
    /// Whether the writer tries a dictionary.
    pub(crate) dictionary: bool,
}

/// How the values of a column fall.
#[derive(Debug)]
pub(crate) enum Values {
    /// f32: 1 or 0, by the log-odds that the other columns made.
    Label,
    /// i64: the row's number in the table.
    RowNumber,
    /// i64: seconds since 1970, ascending within a day.
    Time,
    /// Nullable f32.
    Dense(Dense),
    /// Nullable i64.
    Id { ids: Ids, coverage: f64 },
    /// Nullable list of i64.
    IdList { ids: Ids, lengths: Lengths },
    /// Nullable list of (id, score): scores fall towards the end of a list.
    IdScoreList { ids: Ids, lengths: Lengths },
}

#[derive(Debug)]
pub(crate) struct Dense {
    pub(crate) quantiles: Arc<Quantiles>,
    pub(crate) scale: f64,
    pub(crate) shift: f64,
    /// Rounded down before the shift.
    pub(crate) whole: bool,
    pub(crate) coverage: f64,
}

/// Ids hashed from zipf ranks. Columns of one `space` share ids.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    pub(crate) ranks: Arc<Quantiles>,
    pub(crate) space: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Lengths {
    /// Share of rows with at least one value.
    pub(crate) coverage: f64,
    /// Share of the other rows that are empty instead of null.
    pub(crate) empty: f64,
    /// None: always 1.
    pub(crate) quantiles: Option<Arc<Quantiles>>,
}

impl Shape {
    /// The columns asked for.
    pub(crate) fn new(arguments: &Arguments) -> Shape {
        let count = |asked: Option<u64>, usual| asked.unwrap_or(usual);
        let dense = arguments.dense;
        let sparse = arguments.sparse;
        let (columns, base_rate) = match arguments.preset {
            Preset::Ctr => {
                let sequences = count(arguments.sequences, 2);
                (ctr(count(dense, 13), count(sparse, 26), sequences), 0.08)
            }
            Preset::W1 => (w1(count(dense, 13), count(sparse, 26)), 0.25),
            Preset::W2 => (w2(count(dense, 600), count(sparse, 300)), 0.5),
        };
        Shape {
            columns,
            base_rate: arguments.base_rate.unwrap_or(base_rate),
        }
    }

    /// Whether there is a label to make.
    pub(crate) fn has_label(&self) -> bool {
        let label = |column: &Column| matches!(column.values, Values::Label);
        self.columns.iter().any(label)
    }
}

/// Coverage falls and lists grow from feature to feature; two features of three are single ids.
fn ctr(dense: u64, sparse: u64, sequences: u64) -> Vec<Column> {
    let mut columns = vec![
        plain("request_id", Values::RowNumber),
        plain("ts", Values::Time),
        plain("label", Values::Label),
    ];
    let lognormal = Arc::new(Quantiles::lognormal(1.0, 1.0));
    for i in 0..dense {
        let values = Values::Dense(Dense {
            quantiles: Arc::clone(&lognormal),
            scale: libm::exp(0.2 * i as f64 % 3.0),
            shift: 0.0,
            whole: i % 4 == 3,
            coverage: between(0.99, 0.55, i, dense),
        });
        columns.push(Column {
            effect: if i % 2 == 0 { 0.45 } else { 0.0 },
            ..plain(format!("f_{i}"), values)
        });
    }
    for i in 0..sparse {
        let ids = Ids {
            ranks: Arc::new(Quantiles::zipf(1.1, geometric(10.0, 5e6, i, sparse))),
            space: i + 1,
        };
        let mean = between(2.0, 6.0, i, sparse);
        let lengths = Lengths {
            coverage: between(1.0, 0.4, i, sparse),
            empty: 0.1,
            quantiles: (i % 3 == 2).then(|| Arc::new(Quantiles::length(mean))),
        };
        columns.push(Column {
            effect: if i % 3 == 0 { 0.5 } else { 0.0 },
            dictionary: true,
            ..plain(format!("id_{i}"), Values::IdList { ids, lengths })
        });
    }
    // What a user saw lately, in one id space: sequences overlap, and the score list with them.
    let seen = Ids {
        ranks: Arc::new(Quantiles::zipf(1.05, 2e6)),
        space: 0,
    };
    let list = |coverage, mean| Lengths {
        coverage,
        empty: 0.2,
        quantiles: Some(Arc::new(Quantiles::length(mean))),
    };
    for i in 0..sequences {
        let lengths = list(between(0.9, 0.6, i, sequences), 20.0 + 5.0 * (i % 4) as f64);
        let ids = seen.clone();
        columns.push(Column {
            effect: if i == 0 { 0.5 } else { 0.0 },
            dictionary: true,
            ..plain(format!("seq_{i}"), Values::IdList { ids, lengths })
        });
    }
    columns.push(Column {
        dictionary: true,
        ..plain(
            "scored",
            Values::IdScoreList {
                ids: seen,
                lengths: list(0.5, 5.0),
            },
        )
    });
    columns
}

fn w1(dense: u64, sparse: u64) -> Vec<Column> {
    let mut columns = vec![Column {
        dictionary: true,
        ..plain("label", Values::Label)
    }];
    let lognormal = Arc::new(Quantiles::lognormal(1.0, 1.5));
    for i in 0..dense {
        let values = Values::Dense(Dense {
            quantiles: Arc::clone(&lognormal),
            scale: libm::exp(0.3 * i as f64),
            shift: -2.0,
            whole: true,
            coverage: between(0.90, 0.55, i, dense),
        });
        columns.push(Column {
            effect: if i % 2 == 0 { 0.45 } else { 0.0 },
            dictionary: true,
            ..plain(format!("I{}", i + 1), values)
        });
    }
    for i in 0..sparse {
        let ids = Ids {
            ranks: Arc::new(Quantiles::zipf(1.1, geometric(10.0, 5e6, i, sparse))),
            space: i + 1,
        };
        let coverage = if i % 3 == 0 {
            between(1.0, 0.6, i, sparse)
        } else {
            1.0
        };
        columns.push(Column {
            effect: if i % 3 == 0 { 0.5 } else { 0.0 },
            dictionary: true,
            ..plain(format!("C{}", i + 1), Values::Id { ids, coverage })
        });
    }
    columns
}

fn w2(dense: u64, sparse: u64) -> Vec<Column> {
    let normal = Arc::new(Quantiles::normal());
    let ids = Ids {
        ranks: Arc::new(Quantiles::zipf(1.1, 2e6)),
        space: 0,
    };
    let lengths = Lengths {
        coverage: 0.45,
        empty: 0.2,
        quantiles: Some(Arc::new(Quantiles::length(15.0))),
    };
    let floats = (0..dense).map(|i| {
        let values = Values::Dense(Dense {
            quantiles: Arc::clone(&normal),
            scale: 0.5 + 2.5 * scattered(i),
            shift: 8.0 * scattered(i + 1) - 4.0,
            whole: false,
            coverage: 0.6,
        });
        plain(format!("D{i}"), values)
    });
    let lists = (0..sparse).map(|i| {
        let values = Values::IdList {
            ids: ids.clone(),
            lengths: lengths.clone(),
        };
        plain(format!("S{i}"), values)
    });
    let columns = floats.chain(lists);
    columns
        .map(|column| Column {
            dictionary: true,
            ..column
        })
        .collect()
}

fn plain(name: impl Into<String>, values: Values) -> Column {
    Column {
        name: name.into(),
        values,
        effect: 0.0,
        dictionary: false,
    }
}

/// From `first` at 0 to `last` at `count - 1`, evenly.
fn between(first: f64, last: f64, i: u64, count: u64) -> f64 {
    first + (last - first) * i as f64 / count.saturating_sub(1).max(1) as f64
}

/// From `first` at 0 to `last` at `count - 1`, by equal factors.
fn geometric(first: f64, last: f64, i: u64, count: u64) -> f64 {
    libm::exp(between(libm::log(first), libm::log(last), i, count))
}

/// Some number in [0, 1) for each index: multiples of the golden ratio.
fn scattered(i: u64) -> f64 {
    (i as f64 * 0.618_033_988_749_895) % 1.0
}
