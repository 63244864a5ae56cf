//! Names close to a mistyped one, for error messages.

/// Up to three of `names` that resemble `name`, best first.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score >= 0.7)
        .collect();
    scored.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    let names = scored
        .into_iter()
        .map(|(_, candidate)| candidate.to_owned());
    names.take(3).collect()
}

/// A phrase that ends a message: `; did you mean a, b?`, or nothing where nothing is near.
pub(crate) fn did_you_mean(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; did you mean {}?", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_comes_first_and_strangers_not_at_all() {
        let names = ["min_value", "max_value", "salt"];
        assert_eq!(nearest("max_valu", names)[0], "max_value");
        assert!(nearest("zzz", names).is_empty());
    }
}
