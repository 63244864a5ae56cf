//! A footer as stored, decoded with keys: the Parquet crate's decoder, asked what it wants and then given it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::DecodeResult;
use parquet::encryption::decrypt::{FileDecryptionProperties, KeyRetriever};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};

use super::explain::{explain, refused};
use crate::encryption::keys::SecretKey;
use crate::error::Error;
use crate::footer;

/// A footer as stored, to the end of its file.
#[derive(Clone)]
pub(crate) struct StoredFooter {
    pub(crate) bytes: Bytes,
    pub(crate) file_size_bytes: u64,
    pub(crate) encrypted: bool,
}

/// The keys a footer is decoded with.
#[derive(Clone)]
pub(super) struct FileKeys {
    pub(super) footer: SecretKey,
    pub(super) columns: BTreeMap<String, SecretKey>,
    pub(super) aad_prefix: Option<Vec<u8>>,
}

impl StoredFooter {
    /// Schema, rows, and the metadata of columns whose keys are there.
    pub(super) fn decode_with(
        &self,
        name: &str,
        keys: &FileKeys,
    ) -> Result<ParquetMetaData, Error> {
        let mut builder = FileDecryptionProperties::builder(keys.footer.bytes().to_vec());
        for (column, key) in &keys.columns {
            builder = builder.with_column_key(column, key.bytes().to_vec());
        }
        if let Some(prefix) = &keys.aad_prefix {
            builder = builder.with_aad_prefix(prefix.clone());
        }
        builder
            .build()
            .and_then(|properties| self.decode(properties))
            .map_err(|error| explain(name, self, &keys.footer, &error))
    }

    fn decode(
        &self,
        properties: Arc<FileDecryptionProperties>,
    ) -> Result<ParquetMetaData, ParquetError> {
        let end = self.file_size_bytes;
        let mut decoder = ParquetMetaDataPushDecoder::try_new(end)?
            .with_page_index_policy(PageIndexPolicy::Skip)
            .with_metadata_options(Some(Arc::new(footer::options())))
            .with_file_decryption_properties(Some(properties));
        let start = end - self.bytes.len() as u64;
        decoder.push_range(start..end, self.bytes.clone())?;
        match decoder.try_decode()? {
            DecodeResult::Data(metadata) => Ok(metadata),
            _ => Err(ParquetError::EOF("the footer ends early".to_owned())),
        }
    }

    /// How the file names the footer's key: the decoder is asked to decode, and stopped when it wants the key.
    pub(super) fn footer_key_metadata(
        &self,
        name: &str,
        aad_prefix: &Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let recorder = Arc::new(Recorder::default());
        let mut builder = FileDecryptionProperties::with_key_retriever(Arc::clone(&recorder) as _);
        if let Some(prefix) = aad_prefix {
            builder = builder.with_aad_prefix(prefix.clone());
        }
        let decoded = builder
            .build()
            .and_then(|properties| self.decode(properties));
        let asked = recorder
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match (asked, decoded) {
            (Some(metadata), _) => Ok(Some(metadata).filter(|metadata| !metadata.is_empty())),
            (None, Err(error)) => Err(refused(name, &error)),
            (None, Ok(_)) => Err(Error::corrupt(
                name,
                "columns are encrypted, but the footer does not say how",
            )),
        }
    }
}

/// Takes note of the first key that a decoder wants, and gives none.
#[derive(Default)]
struct Recorder {
    asked: Mutex<Option<Vec<u8>>>,
}

impl KeyRetriever for Recorder {
    fn retrieve_key(&self, key_metadata: &[u8]) -> Result<Vec<u8>, ParquetError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get_or_insert_with(|| key_metadata.to_vec());
        Err(ParquetError::General("no key yet".to_owned()))
    }
}
