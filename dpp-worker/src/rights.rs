//! What a caller may read: tables and features, by the claims of its token. Asked at every call, whatever is cached.

use std::sync::Arc;

use dpp_ops::matches_pattern;
use dpp_proto::{
    access::{Admitted, Claims},
    v1::{self, node::Node},
};
use dpp_table::Table;

use crate::{Error, engine::job::OpenJob};

/// What a caller may read.
#[derive(Clone, Debug)]
pub enum Rights {
    /// Whatever the worker may: on-box, and where nobody is asked for a token.
    Everything,
    /// What a token claims.
    Claimed(Arc<Claims>),
}

impl Rights {
    /// Those of whom a gate let in.
    pub fn of(admitted: &Admitted) -> Rights {
        match admitted {
            Admitted::Anyone => Rights::Everything,
            Admitted::Bearer(claims) => Rights::Claimed(claims.clone()),
        }
    }

    /// A table, wherever its URL leads, and the entries of maps that it gives names to.
    pub(crate) fn check_table(&self, source: &v1::TableSource, table: &Table) -> Result<(), Error> {
        let Rights::Claimed(claims) = self else {
            return Ok(());
        };
        for place in table.places() {
            if !claims
                .tables
                .iter()
                .any(|allowed| lies_below(allowed, place))
            {
                return Err(denied(claims, format!("table {place}")));
            }
        }
        for option in &source.storage {
            let key = option.key.to_ascii_lowercase();
            if !HARMLESS_OPTIONS.contains(&key.strip_prefix("aws_").unwrap_or(&key)) {
                let what = format!(
                    "storage option {key}: what stores are reached by is set for the worker, in its environment"
                );
                return Err(denied(claims, what));
            }
        }
        let names = source.feature_names.iter();
        check(claims, names.flat_map(|it| [it.entry.as_str(), &it.name]))
    }

    /// A job, by what it will read.
    pub(crate) fn check_job(&self, job: &OpenJob) -> Result<(), Error> {
        let Rights::Claimed(claims) = self else {
            return Ok(());
        };
        self.check_table(&job.source, &job.table)?;
        self.check_artefacts(&job.artefacts)?;
        let filter = job.program.row_filter().map(|filter| filter.features());
        let features = filter.into_iter().chain([job.program.features()]);
        check(
            claims,
            features
                .flat_map(|all| all.iter())
                .map(|it| it.name.as_str()),
        )
    }

    /// Artefacts that a plan refers to: they lie where tables may be read.
    pub(crate) fn check_artefacts(&self, places: &[String]) -> Result<(), Error> {
        let Rights::Claimed(claims) = self else {
            return Ok(());
        };
        let allowed = |place: &&String| claims.tables.iter().any(|claim| lies_below(claim, place));
        match places.iter().find(|place| !allowed(place)) {
            Some(place) => Err(denied(claims, format!("artefact {place}"))),
            None => Ok(()),
        }
    }

    /// The features that a plan calls by name.
    pub(crate) fn check_plan(&self, plan: &v1::Plan) -> Result<(), Error> {
        let Rights::Claimed(claims) = self else {
            return Ok(());
        };
        let named = plan.nodes.iter().filter_map(|node| match &node.node {
            Some(Node::Feature(feature)) => Some(feature.name.as_str()),
            _ => None,
        });
        check(claims, named)
    }

    /// A plan whose patterns mean the same whether or not other features are seen: a token must not change what is trained on.
    pub(crate) fn check_same(&self, is_same: bool) -> Result<(), Error> {
        match self {
            Rights::Claimed(claims) if !is_same => Err(denied(
                claims,
                "all columns that the plan's patterns match".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// As much of a schema as may be seen. Partition columns are in the paths of files, and so the table's.
    pub(crate) fn schema(&self, schema: &v1::Schema) -> v1::Schema {
        let mut seen = schema.clone();
        if let Rights::Claimed(claims) = self {
            seen.features
                .retain(|feature| allows(claims, &feature.name));
        }
        seen
    }
}

fn check<'a>(claims: &Claims, columns: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut columns = columns;
    match columns.find(|column| !allows(claims, column)) {
        Some(column) => Err(denied(claims, format!("column {column:?}"))),
        None => Ok(()),
    }
}

fn allows(claims: &Claims, column: &str) -> bool {
    claims
        .columns
        .iter()
        .any(|allowed| matches_pattern(allowed, column))
}

/// Whether `place` is what a claim names, or below it. `*` is every place.
fn lies_below(claim: &str, place: &str) -> bool {
    if claim == "*" {
        return true;
    }
    let claim = claim.strip_prefix("file://").unwrap_or(claim);
    let below = place.strip_prefix(claim.trim_end_matches('/'));
    !claim.is_empty() && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn denied(claims: &Claims, what: String) -> Error {
    Error::Denied {
        name: claims.name.clone(),
        what,
    }
}

/// Options that a caller may bring: they say neither where a store is nor who asks.
const HARMLESS_OPTIONS: [&str; 7] = [
    "region",
    "default_region",
    "allow_http",
    "skip_signature",
    "virtual_hosted_style_request",
    "timeout",
    "connect_timeout",
];

#[cfg(test)]
mod tests {
    use dpp_proto::access::Role;

    use super::*;

    #[test]
    fn artefacts_lie_where_tables_may_be_read() {
        let rights = Rights::Claimed(Arc::new(Claims {
            name: "ranking".into(),
            role: Role::Trainer,
            tables: vec!["s3://ads/clicks".into()],
            columns: vec!["*".into()],
            expires: u64::MAX,
        }));
        let check = |place: &str| rights.check_artefacts(&[place.to_owned()]);
        assert!(check("s3://ads/clicks/of/june.fit").is_ok());
        for place in ["s3://ads/other.fit", "/etc/passwd", "s3://ads/clicks.fit"] {
            let message = check(place).unwrap_err().to_string();
            assert!(message.contains(place), "{message}");
        }
    }

    #[test]
    fn a_claim_covers_what_lies_below_it() {
        for (claim, place, covers) in [
            ("s3://ads/clicks/", "s3://ads/clicks", true),
            ("s3://ads/clicks", "s3://ads/clicks/2026", true),
            ("s3://ads/clicks", "s3://ads/clicks-raw", false),
            ("s3://ads/clicks", "s3://ads", false),
            ("s3://ads", "s3://ads/clicks", true),
            ("s3://ads", "s3://adsother/clicks", false),
            ("file:///data/a", "/data/a/b", true),
            ("/data/a", "/data/ab", false),
            ("/", "/data/a", true),
            ("/", "s3://ads/clicks", false),
            ("*", "s3://ads/clicks", true),
            ("", "/data", false),
        ] {
            assert_eq!(lies_below(claim, place), covers, "{claim} {place}");
        }
    }
}
