//! Names for contents.

use prost::Message;
use sha2::{Digest, Sha256};

/// sha256 of a message's encoding, 64 hex digits. Our messages hold no maps, so equal ones encode equally.
pub fn message_hash(message: &impl Message) -> String {
    Sha256::digest(message.encode_to_vec())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Bytes of the message's encoding.
pub fn message_bytes(message: &impl Message) -> u64 {
    message.encoded_len() as u64
}
