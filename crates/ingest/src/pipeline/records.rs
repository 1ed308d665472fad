//! What an index holds, by document: so that what has not changed is left alone.

use std::collections::HashMap;
use std::sync::Arc;

use atomr_agents_core::Document;
use atomr_agents_state::{Batch, Expect, Key, Scan, Store};
use serde::{Deserialize, Serialize};

use crate::IngestError;

/// What was written of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The document's id; a key of the store has only its hash.
    pub(crate) id: String,
    /// What it was loaded from.
    pub(crate) source: String,
    /// Of its text, its metadata and how it was cut and embedded.
    pub(crate) hash: String,
    /// The ids of its pieces.
    pub(crate) pieces: Vec<String>,
}

/// The records of one index in a store.
#[derive(Clone, Debug)]
pub struct RecordManager {
    store: Arc<dyn Store>,
    namespace: String,
}

const SPACE: &str = "ingest-document";

impl RecordManager {
    /// The records under a name: one for each index.
    ///
    /// # Errors
    /// [`IngestError::Config`] for a name that is empty, long, or holds a slash or control characters.
    pub fn new(store: Arc<dyn Store>, namespace: &str) -> Result<Self, IngestError> {
        if namespace.is_empty() || namespace.len() > 200 || namespace.chars().any(|c| c == '/' || c.is_control()) {
            let problem = "must have 1 to 200 bytes, without slashes and control characters";
            return Err(IngestError::config("namespace", problem));
        }
        Ok(Self { store, namespace: namespace.to_owned() })
    }

    fn prefix(&self) -> String {
        format!("{}/", self.namespace)
    }

    fn key(&self, id: &str) -> Result<Key, IngestError> {
        Ok(Key::new(SPACE, &format!("{}{}", self.prefix(), blake3::hash(id.as_bytes()).to_hex()))?)
    }

    /// All records, by document.
    pub(crate) async fn all(&self) -> Result<HashMap<String, Record>, IngestError> {
        let (prefix, mut after, mut all) = (self.prefix(), None::<String>, HashMap::new());
        loop {
            let mut scan = Scan::of(SPACE).prefix(&prefix).limit(1_000);
            if let Some(after) = &after {
                scan = scan.after(after);
            }
            let found = self.store.scan(&scan).await?;
            let Some((last, _)) = found.last() else { return Ok(all) };
            after = Some(last.name().to_owned());
            for (key, record) in found {
                let record: Record = serde_json::from_slice(&record.value).map_err(|error| {
                    IngestError::invalid(key.to_string(), format!("the record is damaged: {error}"))
                })?;
                all.insert(record.id.clone(), record);
            }
        }
    }

    /// Writes some records and forgets others, all together.
    pub(crate) async fn commit(&self, written: &[Record], forgotten: &[String]) -> Result<(), IngestError> {
        if written.is_empty() && forgotten.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for record in written {
            let bytes = serde_json::to_vec(record)
                .map_err(|error| IngestError::invalid(&record.id, format!("its record cannot be written: {error}")))?;
            batch = batch.put(&self.key(&record.id)?, bytes, Expect::Any);
        }
        for id in forgotten {
            batch = batch.delete(&self.key(id)?, Expect::Any);
        }
        Ok(self.store.commit(batch).await?)
    }
}

/// The hash of a document and of what is done with it.
pub(crate) fn hash(document: &Document, how: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    let metadata = serde_json::to_vec(&document.metadata).unwrap_or_default();
    for part in [how.as_bytes(), document.text.as_bytes(), &metadata] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().to_hex().to_string()
}
