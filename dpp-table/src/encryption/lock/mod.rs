//! Files that are written are encrypted here: every file and column gets a data key of its own, wrapped by master keys.
//!
//! ```text
//! EncryptionSettings + KeyProvider ─▶ EncryptionPlan ──for_file(schema)──▶ FileEncryption ─▶ WriterProperties
//!                                                                              └▶ _KEY_MATERIAL_FOR_<file>.json
//! ```

mod plan;
mod settings;

pub use plan::{EncryptionPlan, FileEncryption, key_material_name};
pub use settings::{EncryptionSettings, EncryptionStyle};
