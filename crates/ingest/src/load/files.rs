//! Files by their paths.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use atomr_agents_core::CallCtx;

use super::{Format, Source};
use crate::IngestError;
use crate::loader::{Documents, Loader, read};

/// Loads files in the order of their paths as they are given. A document is called as the path.
///
/// ```
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_ingest::{Files, Text, load_all};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let loaded = load_all(&Files::new(["nowhere.txt"], Text::default()), &CallCtx::new()).await;
/// assert_eq!(loaded.errors[0].id(), Some("nowhere.txt"));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    format: Arc<dyn Format>,
}

impl Files {
    /// Files of one format.
    pub fn new<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>, format: impl Format) -> Self {
        Self { paths: paths.into_iter().map(Into::into).collect(), format: Arc::new(format) }
    }
}

impl Loader for Files {
    fn load(&self, ctx: &CallCtx) -> Documents {
        let (paths, format) = (self.paths.clone(), Arc::clone(&self.format));
        let opened = paths.into_iter().flat_map(move |path| {
            let id = path.to_string_lossy().into_owned();
            let source = File::open(&path).map_err(|error| IngestError::io(&id, error));
            match source.and_then(|file| Source::new(id, file)) {
                Ok(source) => format.read(source),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        });
        read(Box::new(opened), ctx)
    }
}
