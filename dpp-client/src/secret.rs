//! Secrets stay at home: a job travels to workers, which read under an identity of their own. Pure.

use dpp_proto::v1::TableSource;

use crate::Error;

/// Whether a storage option of this name holds a secret, or is of no use without one.
pub fn is_secret_option(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let parts = || key.split(|letter: char| !letter.is_ascii_alphanumeric());
    SECRET_WORDS.iter().any(|word| key.contains(word)) || parts().any(|part| part == "sas")
}

/// Refuses a table whose options hold a secret.
///
/// # Errors
/// [`Error::Invalid`] names the option, never its value.
pub(crate) fn refuse(table: &TableSource) -> Result<(), Error> {
    let mut keys = table.storage.iter().map(|option| &option.key);
    match keys.find(|key| is_secret_option(key)) {
        None => Ok(()),
        Some(key) => Err(Error::invalid(format!(
            "storage option {key:?} is a secret and would travel to the workers, which read as themselves: leave it out"
        ))),
    }
}

/// Parts of the names of storage options that hold secrets.
const SECRET_WORDS: [&str; 8] = [
    "secret",
    "token",
    "password",
    "private",
    "access_key",
    "account_key",
    "sas_key",
    "customer",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for key in [
            "secret_access_key",
            "AWS_SESSION_TOKEN",
            "aws_access_key_id",
            "azure_storage_account_key",
            "azure_storage_sas_key",
            "sas",
            "aws_sse_customer_key_base64",
            "google_service_account_key",
            "proxy_password",
        ] {
            assert!(is_secret_option(key), "{key}");
        }
        for key in [
            "endpoint",
            "region",
            "allow_http",
            "profile",
            "skip_signature",
            "sassafras",
        ] {
            assert!(!is_secret_option(key), "{key}");
        }
    }
}
