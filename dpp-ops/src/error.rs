//! What can be wrong with a plan, or with the columns handed to it.

use dpp_proto::{Fault, Faulty};

use crate::nearest::did_you_mean;

/// An error of this crate. Messages name the op, the parameter, the feature or the output, and what to do.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each variant's message says what its fields are"
)]
pub enum Error {
    /// The text is not JSON.
    #[error("plan is not valid JSON at line {line}, column {column}: {message}")]
    Json {
        line: usize,
        column: usize,
        message: String,
    },
    /// A part of a plan or schema has the wrong form.
    #[error("{place}: {message}")]
    Form { place: String, message: String },
    /// The plan was made for other op semantics.
    #[error(
        "plan has semantics version {found}, this build computes version {current}; use a build of the plan's version, or make the plan anew"
    )]
    Version { found: u32, current: u32 },
    /// The plan is larger than we are willing to hold.
    #[error("plan has more than {limit} {what}, with its patterns expanded")]
    TooLarge { what: &'static str, limit: usize },
    /// The condition on rows is larger than we are willing to ask of every row.
    #[error(
        "the condition has more than {limit} {what}; join equal operators flat, and ask for membership with is_in"
    )]
    Condition { what: &'static str, limit: usize },
    /// Two outputs of one group share a name.
    #[error("{group} has two outputs named `{output}`; leave one out or rename it")]
    DuplicateOutput { group: &'static str, output: String },
    /// Where in the plan an error is.
    #[error("in {group} output `{output}`: {cause}")]
    InOutput {
        group: &'static str,
        output: String,
        #[source]
        cause: Box<Error>,
    },
    /// Which op of the plan an error is about, and of what its first input is made.
    #[error("nodes[{node}]{}: {cause}", of_feature(.feature.as_deref()))]
    InNode {
        node: usize,
        feature: Option<String>,
        #[source]
        cause: Box<Error>,
    },
    /// The error is in the row filter.
    #[error("in the row filter (where): {cause}")]
    InFilter {
        #[source]
        cause: Box<Error>,
    },
    /// The table has no such feature.
    #[error("unknown feature `{feature}`{}", did_you_mean(.nearest))]
    UnknownFeature {
        feature: String,
        nearest: Vec<String>,
    },
    /// The table's feature is not what the plan says.
    #[error(
        "feature `{feature}` is {found} in the table, {wanted} in the plan; bind the plan to this table anew"
    )]
    FeatureKind {
        feature: String,
        wanted: String,
        found: String,
    },
    /// No feature matches a pattern.
    #[error(
        "pattern `{pattern}` matches no feature of the table; `*` stands for any characters, `?` for one"
    )]
    NoMatch { pattern: String },
    /// One output would be repeated over two patterns.
    #[error(
        "patterns `{first}` and `{second}` meet in one output; an output is repeated over one pattern only"
    )]
    SeveralPatterns { first: String, second: String },
    /// There is no such op.
    #[error("unknown op `{op}`{}", did_you_mean(.nearest))]
    UnknownOp { op: String, nearest: Vec<String> },
    /// The op has no such parameter.
    #[error("op {op} has no parameter `{parameter}`{}", did_you_mean(.nearest))]
    UnknownParameter {
        op: String,
        parameter: String,
        nearest: Vec<String>,
    },
    /// The op needs a parameter that was not given.
    #[error("op {op} needs the parameter `{parameter}`")]
    MissingParameter { op: String, parameter: String },
    /// A parameter's value can't be used.
    #[error("op {op}, parameter `{parameter}`: {message}")]
    BadParameter {
        op: String,
        parameter: String,
        message: String,
    },
    /// A value by feature does not name the feature.
    #[error("op {op}, parameter `{parameter}`: no value for feature `{feature}`{}", did_you_mean(.nearest))]
    NoValueForFeature {
        op: String,
        parameter: String,
        feature: String,
        nearest: Vec<String>,
    },
    /// An op has too many or too few inputs.
    #[error("op {op} takes {wanted} input(s), {found} given")]
    InputCount {
        op: String,
        wanted: usize,
        found: usize,
    },
    /// An op has too few inputs.
    #[error("op {op} takes at least {least} inputs, {found} given")]
    TooFewInputs {
        op: String,
        least: usize,
        found: usize,
    },
    /// Columns of one batch do not have the same rows.
    #[error("op {op} is given columns of {first} and of {other} rows")]
    RowsDiffer {
        op: String,
        first: usize,
        other: usize,
    },
    /// An op, one of your own most likely, makes more or fewer rows than it is given.
    #[error("op {op} makes {made} rows of {given}; it must make one of each")]
    RowsMade {
        op: String,
        made: usize,
        given: usize,
    },
    /// A custom op takes a name that is in use.
    #[error("op `{op}` is registered already; give the new op another name")]
    OpTaken { op: String },
    /// An op can't work on that kind.
    #[error("op {op} works on {wanted}; its input {input} ({what}) is {found}")]
    InputKind {
        op: String,
        input: usize,
        what: String,
        wanted: String,
        found: String,
    },
    /// A tensor can't be made of that kind.
    #[error("{what} is {found}, {group} outputs are made of {wanted}{advice}")]
    OutputKind {
        group: &'static str,
        what: String,
        found: String,
        wanted: String,
        advice: &'static str,
    },
    /// The plan has not been bound to a table.
    #[error("plan is not bound to a table ({what}); bind it to the table's schema first")]
    Unbound { what: String },
    /// The columns handed to a program are not its features.
    #[error("batch column {position} is {found}, the program reads {wanted} there")]
    WrongColumn {
        position: usize,
        wanted: String,
        found: String,
    },
    /// The row positions handed to a program are not one per row.
    #[error(
        "batch has {rows} rows and {row_ids} row positions; they must be as many, at most 2^31 - 1"
    )]
    WrongRows { rows: usize, row_ids: usize },
    /// A column does not have the Arrow type of its kind.
    #[error("column of kind {wanted} can't hold Arrow type {found}")]
    WrongType { wanted: String, found: String },
    /// A batch is too large for 32-bit lengths.
    #[error("{what} holds more than 2^31 - 1 values in one batch; use fewer rows per batch")]
    TooLong { what: String },
    /// What can't be decoded as an image.
    #[error("image of row {row_id} can't be decoded: {message}; null_if_broken makes it null")]
    BrokenImage { row_id: i64, message: String },
    /// Where rows that an op can't work on come from.
    #[error("feature `{feature}`: {cause}")]
    InFeature {
        feature: String,
        #[source]
        cause: Box<Error>,
    },
    /// What can't be fitted, and fitted artefacts that can't be used.
    #[error("{message}")]
    Fit { message: String },
    /// An artefact that the plan refers to was not loaded.
    #[error(
        "the artefact {url} is not loaded; loaders, workers and apply load what plans refer to"
    )]
    NotLoaded { url: String },
    /// Offsets, ids and scores of a list column do not fit each other.
    #[error("list column is malformed: {message}")]
    Ragged { message: &'static str },
}

fn of_feature(feature: Option<&str>) -> String {
    feature.map_or_else(String::new, |name| format!(", of feature `{name}`"))
}

impl Error {
    pub(crate) fn in_output(self, group: &'static str, output: &str) -> Error {
        Error::InOutput {
            group,
            output: output.to_owned(),
            cause: Box::new(self),
        }
    }

    pub(crate) fn in_filter(self) -> Error {
        Error::InFilter {
            cause: Box::new(self),
        }
    }
}

impl Faulty for Error {
    fn fault(&self) -> Fault {
        match self {
            Error::WrongColumn { .. } | Error::WrongRows { .. } | Error::WrongType { .. } => {
                Fault::Internal
            }
            Error::Ragged { .. } | Error::RowsDiffer { .. } | Error::RowsMade { .. } => {
                Fault::Internal
            }
            Error::InOutput { cause, .. }
            | Error::InNode { cause, .. }
            | Error::InFilter { cause }
            | Error::InFeature { cause, .. } => cause.fault(),
            _ => Fault::Invalid,
        }
    }
}
