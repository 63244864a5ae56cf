//! Every vector of `op_vectors.json` that applies, from plan to packed tensor; the others are listed with the reason.
//!
//! The file lies in the folder that `DPP_TEST_DATA` names. `run` computes a plan, `lists`, `numbers`, `scores` and `jagged` hold the groups.

#![expect(clippy::unwrap_used, reason = "a test's failure is a panic")]
mod jagged;
mod lists;
mod numbers;
mod run;
mod scores;

use std::{collections::BTreeMap, env, fs, path::Path};

use serde_json::Value as Json;

#[test]
fn vectors_hold() {
    let Ok(folder) = env::var("DPP_TEST_DATA") else {
        eprintln!(
            "NOT TESTED: the ops' vectors, because DPP_TEST_DATA names no folder with op_vectors.json"
        );
        return;
    };
    let text = fs::read_to_string(Path::new(&folder).join("op_vectors.json")).unwrap();
    let groups: BTreeMap<String, Json> = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for (group, content) in &groups {
        let cases = &content["cases"];
        match group_count(group, cases) {
            Ok((count, "")) => {
                checked += count;
                eprintln!("{group}: {count} cases hold");
            }
            Ok((count, left_out)) => {
                checked += count;
                eprintln!("{group}: {count} cases hold; {left_out}");
            }
            Err(reason) => eprintln!("{group}: does not apply, {reason}"),
        }
    }
    assert!(checked >= 90, "only {checked} cases were checked");
}

/// How many cases hold, and what was left out of the group; or why none apply.
fn group_count(group: &str, cases: &Json) -> Result<(usize, &'static str), &'static str> {
    let each = |check: fn(&Json) -> bool| {
        let cases = cases.as_array().unwrap().iter();
        cases.filter(|case| check(case)).count()
    };
    Ok(match group {
        "sigrid_hash" | "sigrid_hash_derived" => (each(lists::hash), ""),
        "bucketize" | "bucketize_derived" => (each(numbers::bins), ""),
        "caffe2_bucketize" => (numbers::digitize(), ""),
        "firstx" => (each(lists::first), ""),
        "clamp_list" => (each(lists::clamp), ""),
        "list_slice" => (
            each(lists::slice),
            "null ids are written as -1: ours have none",
        ),
        "nvt_list_slice" => (each(lists::slice), "padding is the trainer's"),
        "array_ops" => (
            each(lists::array),
            "tokens are neither added nor looked up by text: they are hashed",
        ),
        "ngrams" => (each(lists::ngram), "text with nulls is no list of ids"),
        "ngram_from_categorical" => (lists::categorical(), ""),
        "compute_score" => (scores::all(cases), ""),
        "log" => (each(numbers::log), ""),
        "boxcox" => (each(numbers::box_cox), ""),
        "criteo_preproc" => (each(numbers::criteo), "hexadecimal text has no op"),
        "width_bucket" => (
            each(numbers::width_bucket),
            "bins of equal width have no op of their own",
        ),
        "kjt" => (
            jagged::all(cases),
            "permutations and padding are the trainer's",
        ),
        "caffe2_batch_bucket_one_hot" => {
            return Err("it averages two bucketings and one-hots them; no such op");
        }
        "bpe_tokenize" => return Err("there is no byte-pair vocabulary; tokens are hashed"),
        "feature_maps" => return Err("maps are read as flat features before any op sees them"),
        other => panic!("vectors of `{other}` are new: check them, or say why they do not apply"),
    })
}
