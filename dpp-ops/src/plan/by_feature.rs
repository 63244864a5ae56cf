//! Values by feature: the one that an op gets under a pattern.

use crate::{
    Error,
    nearest::nearest,
    parameters::{Parameters, Value},
};

/// The parameters with each value by feature replaced by the feature's.
pub(super) fn for_feature(
    op: &str,
    parameters: &Parameters,
    feature: Option<&str>,
) -> Result<Parameters, Error> {
    let resolved = parameters.iter().map(|(name, value)| {
        let value = match (value, feature) {
            (Value::ByFeature(values), Some(feature)) => {
                value_for(op, name, values, feature)?.clone()
            }
            (Value::ByFeature(_), None) => {
                return Err(Error::BadParameter {
                    op: op.to_owned(),
                    parameter: name.clone(),
                    message: "values by feature need a pattern under the op; give one value".into(),
                });
            }
            (value, _) => value.clone(),
        };
        Ok((name.clone(), value))
    });
    resolved.collect()
}

fn value_for<'v>(
    op: &str,
    parameter: &str,
    values: &'v Parameters,
    feature: &str,
) -> Result<&'v Value, Error> {
    values.get(feature).ok_or_else(|| Error::NoValueForFeature {
        op: op.to_owned(),
        parameter: parameter.to_owned(),
        feature: feature.to_owned(),
        nearest: nearest(feature, values.keys().map(String::as_str)),
    })
}
