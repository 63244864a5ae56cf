//! What was learnt while a snapshot's files were opened: saved with it, not hashed.
//!
//! It spares later readers the footers: what the files offer, and how to tell that a listed file is still the known one.

use std::collections::HashMap;

use crate::features::schema::SchemaUnion;
use crate::snapshot::discover::ListedFile;

/// Columns of the files, and when each file was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    pub(crate) columns: SchemaUnion,
    /// Milliseconds since 1970 by path, as the listing showed them.
    pub(crate) modified_ms: HashMap<String, i64>,
}

impl Survey {
    /// Whether a listed file was written when the known one of its path was.
    pub(crate) fn knows(&self, listed: &ListedFile) -> bool {
        self.modified_ms.get(&listed.path) == Some(&listed.modified_ms)
    }
}
