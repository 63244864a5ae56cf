//! `dpp cursor`: what saved states say, and where they differ.
//!
//! Files with states, as the trainer's checkpoint holds them, become text for people or a line of JSON. No table is read.

use std::{
    fmt::{self, Display, Formatter},
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use dpp_client::State;
use serde::Serialize;
use serde_json::Value;

use crate::{error::Error, output};

#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Task {
    /// Show where saved states stand, and in which order of rows
    #[command(after_help = EXAMPLES)]
    Show(Files),
    /// Say what differs between the first state and each of the others
    #[command(after_help = EXAMPLES)]
    Diff(Files),
}

#[derive(Args)]
pub(crate) struct Files {
    /// States as JSON: what state_dict() returned
    #[arg(value_name = "STATE.json", required = true)]
    paths: Vec<PathBuf>,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

impl Task {
    /// Prints what was asked.
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Task::Show(files) => files.print(files.paths.iter().map(|path| Shown::read(path))),
            Task::Diff(files) => {
                let (first, others) = files.paths.split_first().expect("clap requires one");
                if others.is_empty() {
                    return Err(refused(first, "diff compares two states or more"));
                }
                let before = Shown::read(first)?;
                files.print(others.iter().map(|path| Difference::read(&before, path)))
            }
        }
    }
}

impl Files {
    fn print<T: Display + Serialize>(
        &self,
        results: impl Iterator<Item = Result<T, Error>>,
    ) -> Result<(), Error> {
        let results = results.collect::<Result<Vec<T>, Error>>()?;
        if self.json {
            return output::json(&results);
        }
        let texts: Vec<String> = results.iter().map(T::to_string).collect();
        output::text(&texts.join("\n\n"))
    }
}

/// One saved state and where it lies.
#[derive(Serialize)]
struct Shown {
    path: String,
    state: State,
}

/// What differs between two states, by the names of their JSON.
#[derive(Serialize)]
struct Difference {
    before: String,
    after: String,
    /// Whether one may go on where the other was saved: table, seed, shuffle, row filter and geometry are the same.
    same_order: bool,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    field: String,
    before: Value,
    after: Value,
}

impl Shown {
    fn read(path: &Path) -> Result<Shown, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
        let state = State::from_json(&text).map_err(|error| refused(path, &error.to_string()))?;
        Ok(Shown {
            path: path.display().to_string(),
            state,
        })
    }
}

impl Display for Shown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let State {
            version,
            epoch,
            rows_consumed,
            lanes,
            order_hash,
            filter_hash,
            snapshot_hash,
            plan_hash,
            ..
        } = &self.state;
        writeln!(f, "{}", self.path)?;
        writeln!(f, "  epoch          {epoch}")?;
        writeln!(f, "  rows consumed  {}", output::count(*rows_consumed))?;
        for (name, value) in fields(&self.state.order) {
            writeln!(f, "  {:<14} {}", name.replace('_', " "), said(&value))?;
        }
        if let (Some(lanes), Some(filter)) = (lanes, filter_hash) {
            let inputs = lanes.iter().map(|lane| lane.inputs);
            let (least, most) = (inputs.clone().min(), inputs.max());
            let (least, most) = (least.unwrap_or_default(), most.unwrap_or_default());
            let (least, most) = (output::count(least), output::count(most));
            writeln!(f, "  lanes read to  {least} … {most} rows each")?;
            writeln!(f, "  row filter     {filter}")?;
        }
        writeln!(f, "  order          {order_hash}")?;
        writeln!(f, "  snapshot       {snapshot_hash}")?;
        writeln!(f, "  plan           {plan_hash}")?;
        write!(f, "  version        {version}")
    }
}

impl Difference {
    fn read(before: &Shown, path: &Path) -> Result<Difference, Error> {
        let after = Shown::read(path)?;
        let (left, right) = (flat(&before.state), flat(&after.state));
        let names = left.iter().map(|(name, _)| name);
        let added = right.iter().map(|(name, _)| name);
        let mut fields: Vec<&String> = names.collect();
        fields.extend(added.filter(|name| left.iter().all(|(known, _)| known != *name)));
        let changes = fields.into_iter().filter_map(|field| {
            let (before, after) = (value(&left, field), value(&right, field));
            (before != after).then(|| Change {
                field: field.clone(),
                before,
                after,
            })
        });
        Ok(Difference {
            before: before.path.clone(),
            same_order: before.state.order_hash == after.state.order_hash,
            changes: changes.collect(),
            after: after.path,
        })
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.before, self.after)?;
        if self.changes.is_empty() {
            return write!(f, "\n  the same state");
        }
        for change in &self.changes {
            let (before, after) = (said(&change.before), said(&change.after));
            write!(f, "\n  {}: {before} → {after}", change.field)?;
        }
        if self.same_order {
            write!(f, "\n  the order of rows is the same")
        } else {
            write!(
                f,
                "\n  the order of rows differs: neither goes on where the other was saved"
            )
        }
    }
}

/// Every value of a state by its name; those within `order` by `order.name`, lanes by `lanes[number]`.
fn flat(state: &State) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (name, value) in fields(state) {
        match value {
            Value::Object(inner) => {
                flat.extend(
                    inner
                        .into_iter()
                        .map(|(inner, value)| (format!("{name}.{inner}"), value)),
                );
            }
            Value::Array(lanes) => {
                let lanes = lanes.into_iter().enumerate();
                flat.extend(lanes.map(|(lane, value)| (format!("{name}[{lane}]"), value)));
            }
            value => flat.push((name, value)),
        }
    }
    flat
}

fn fields(form: &impl Serialize) -> Vec<(String, Value)> {
    match serde_json::to_value(form).expect("plain settings are JSON") {
        Value::Object(fields) => fields.into_iter().collect(),
        _ => Vec::new(),
    }
}

fn value(fields: &[(String, Value)], name: &str) -> Value {
    let found = fields.iter().find(|(field, _)| field == name);
    found.map_or(Value::Null, |(_, value)| value.clone())
}

/// Numbers with thousands apart, text without quotes.
fn said(value: &Value) -> String {
    match value {
        Value::Number(number) => number
            .as_u64()
            .map_or_else(|| number.to_string(), output::count),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn refused(path: &Path, reason: &str) -> Error {
    Error::Client(dpp_client::Error::Invalid {
        message: format!("{}: {reason}", path.display()),
    })
}

const EXAMPLES: &str = "\
Examples:
  dpp cursor show state.json
  dpp cursor show checkpoints/*/data.json --json
  dpp cursor diff before.json after.json";

#[cfg(test)]
mod tests {
    use super::*;

    fn state(edit: impl FnOnce(&mut Value)) -> Shown {
        let mut form = serde_json::json!({
            "version": 1, "epoch": 2, "rows_consumed": 1_234_567,
            "order": {"round_rows": 4096, "lanes": 8, "split_rows": 65536, "seed": 7, "shuffle_splits": "epoch", "shuffle_rows": 0},
            "order_hash": "aa", "snapshot_hash": "bb", "plan_hash": "cc",
        });
        edit(&mut form);
        Shown {
            path: "state.json".to_owned(),
            state: State::from_json(&form.to_string()).unwrap(),
        }
    }

    #[test]
    fn a_state_is_readable() {
        let text = state(|_| ()).to_string();
        for line in [
            "epoch          2",
            "rows consumed  1,234,567",
            "lanes          8",
            "shuffle splits epoch",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
    }

    #[test]
    fn a_filtered_state_says_where_its_lanes_stand() {
        let filtered = |taken: u64| {
            state(|form| {
                form["filter_hash"] = "ff".into();
                form["lanes"] = serde_json::json!([[1_000, 0], [2_500, taken]]);
            })
        };
        let text = filtered(3).to_string();
        for line in [
            "lanes read to  1,000 … 2,500 rows each",
            "row filter     ff",
        ] {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("after.json");
        fs::write(&path, serde_json::to_string(&filtered(4).state).unwrap()).unwrap();
        let difference = Difference::read(&filtered(3), &path).unwrap();
        let text = difference.to_string();
        assert!(text.contains("lanes[1]: [2500,3] → [2500,4]"), "{text}");
        assert_eq!(difference.changes.len(), 1);
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("after.json");
        let after = state(|form| {
            form["order"]["lanes"] = 16.into();
            form["order_hash"] = "dd".into();
        });
        fs::write(&path, serde_json::to_string(&after.state).unwrap()).unwrap();
        let difference = Difference::read(&state(|_| ()), &path).unwrap();
        let text = difference.to_string();
        assert!(text.contains("order.lanes: 8 → 16"), "{text}");
        assert!(text.contains("the order of rows differs"), "{text}");
        assert_eq!(difference.changes.len(), 2);
        let same = Difference::read(&after, &path).unwrap();
        assert!(same.to_string().ends_with("the same state"));
    }
}
