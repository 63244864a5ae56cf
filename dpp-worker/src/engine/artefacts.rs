//! Fitted artefacts that plans refer to: read once, from where the plan says, under this process' own identity.

use std::sync::Arc;

use dpp_ops::{
    Plan, Registry,
    fit::{self, Fitted, Reference},
};
use dpp_proto::v1::{StorageOption, TableSource};
use dpp_table::{object_place, read_object};

use super::job::Known;
use crate::{Error, Rights, bounds::Bounds};

/// By digest.
#[derive(Debug)]
pub(crate) struct Artefacts(Known<Arc<Fitted>>);

impl Default for Artefacts {
    fn default() -> Artefacts {
        Artefacts(Known::new(MOST_ARTEFACTS))
    }
}

impl Artefacts {
    /// The registry, knowing what `plan` refers to, and where that lies; the table's storage options are also those of
    /// artefacts.
    ///
    /// # Errors
    /// What storage says, an artefact whose digest is another, and [`Error::Denied`] for one that the caller may not read.
    pub(crate) async fn known(
        &self,
        registry: &Registry,
        (rights, bounds): (&Rights, &Bounds),
        plan: &Plan,
        table: &TableSource,
    ) -> Result<(Registry, Vec<String>), Error> {
        let mut registry = registry.clone();
        let references = fit::references(plan);
        let places = references
            .iter()
            .map(|it| object_place(&it.url, &table.storage));
        let places = places.collect::<Result<Vec<String>, _>>()?;
        rights.check_artefacts(&places)?;
        bounds.check_artefacts(&places)?;
        for reference in references {
            let loaded = match self.0.get(&reference.digest) {
                Some(loaded) => loaded,
                None => self.load(&reference, &table.storage).await?,
            };
            registry = registry.with_fitted(&reference.digest, loaded);
        }
        Ok((registry, places))
    }

    async fn load(
        &self,
        reference: &Reference,
        storage: &[StorageOption],
    ) -> Result<Arc<Fitted>, Error> {
        let loaded = Arc::new(load_artefact(reference, storage).await?);
        self.0.insert(reference.digest.clone(), loaded.clone());
        Ok(loaded)
    }
}

/// Reads the artefact that a plan refers to.
///
/// # Errors
/// What storage says, and an artefact whose digest is another.
pub async fn load_artefact(
    reference: &Reference,
    storage: &[StorageOption],
) -> Result<Fitted, Error> {
    let bytes = read_object(&reference.url, storage, MOST_BYTES).await?;
    let (digest, url) = (reference.digest.clone(), reference.url.clone());
    let read = move || Fitted::of_digest(&bytes, &digest);
    let read = tokio::task::spawn_blocking(read).await;
    let failed = |reason: String| dpp_ops::Error::Fit {
        message: format!("{url}: {reason}"),
    };
    let read = read.map_err(|error| failed(error.to_string()))?;
    Ok(read.map_err(|error| failed(error.to_string()))?)
}

/// Vocabularies of some hundred million ids.
const MOST_BYTES: u64 = 8 << 30;
const MOST_ARTEFACTS: usize = 16;
