//! A token: claims as JSON, signed.
//!
//! ```text
//! dpp1.<claims>.<signature>      both base64url without padding; the signature is Ed25519's over "dpp1.<claims>"
//! ```
//!
//! The prefix says the version and with it the algorithm: there is nothing that a bearer could choose.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{PublicKey, SigningKey};

/// What the bearer of a token may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Who it was made for, as logs and errors say.
    pub name: String,
    /// What kind of caller that is.
    pub role: Role,
    /// Tables that may be read: URLs, each with all that lies below it.
    #[serde(default)]
    pub tables: Vec<String>,
    /// Features that may be read, `*` for any run of characters and `?` for one.
    #[serde(default)]
    pub columns: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub expires: u64,
}

/// A kind of caller. Each may ask services how they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "process", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads tables through workers, and asks the fleet for them.
    Trainer,
    /// Tells the fleet that it is there.
    Worker,
    /// Sends workers away.
    Operator,
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Role::Trainer => "trainer",
            Role::Worker => "worker",
            Role::Operator => "operator",
        })
    }
}

impl Claims {
    /// The token of these claims.
    pub fn sign(&self, key: &SigningKey) -> String {
        let claims = serde_json::to_vec(self).expect("texts and numbers are JSON");
        let signed = format!("{VERSION}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The claims of a token that one of `keys` vouches for; `None` for anything else. Time is not looked at.
    pub fn verified(token: &str, keys: &[PublicKey]) -> Option<Claims> {
        if token.len() > MOST_TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let claims = signed.strip_prefix(VERSION)?.strip_prefix('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let is_ours = |key: &PublicKey| key.vouches_for(signed.as_bytes(), &signature);
        if !keys.iter().any(is_ours) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

const VERSION: &str = "dpp1";
/// Thousands of names of columns.
const MOST_TOKEN_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claims() -> Claims {
        Claims {
            name: "ctr".into(),
            role: Role::Trainer,
            tables: vec!["s3://ads/clicks".into()],
            columns: vec!["I*".into()],
            expires: 2_000_000_000,
        }
    }

    #[test]
    fn what_was_signed_is_read_and_nothing_else() {
        let (ours, next, theirs) = (
            SigningKey::generate().unwrap(),
            SigningKey::generate().unwrap(),
            SigningKey::generate().unwrap(),
        );
        let keys = [ours.public_key(), next.public_key()];
        for key in [&ours, &next] {
            assert_eq!(Claims::verified(&claims().sign(key), &keys), Some(claims()));
        }
        assert_eq!(Claims::verified(&claims().sign(&theirs), &keys), None);
        let token = claims().sign(&ours);
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let read = Claims::verified(&changed, &keys);
            // The last letter of 64 bytes has bits that mean nothing, and must be 0.
            assert_eq!(read, None, "letter {place} of {token}");
        }
        for wrong in [
            "",
            ".",
            "dpp1..",
            "dpp2.e30.AA",
            "e30.e30.",
            &"x".repeat(100_000),
        ] {
            assert_eq!(Claims::verified(wrong, &keys), None, "{wrong:.20}");
        }
    }

    proptest! {
        #[test]
        fn senseless_tokens_are_nobodys(text in ".{0,200}", claims in "[A-Za-z0-9_-]{0,60}", signature in "[A-Za-z0-9_-]{0,90}") {
            let keys = [SigningKey::generate().unwrap().public_key()];
            for token in [text, format!("dpp1.{claims}.{signature}")] {
                prop_assert_eq!(Claims::verified(&token, &keys), None);
            }
        }

        #[test]
        fn what_a_key_of_ours_signed_is_claims_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let key = SigningKey::generate().unwrap();
            let signed = format!("{VERSION}.{}", URL_SAFE_NO_PAD.encode(&bytes));
            let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
            let read = Claims::verified(&format!("{signed}.{signature}"), &[key.public_key()]);
            prop_assert_eq!(read, serde_json::from_slice(&bytes).ok());
        }
    }
}
