//! Which decisions were used: what somebody approved once is not run twice.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::approval::PendingCall;
use crate::{AgentError, ApprovalError};

/// Remembers which decisions were used.
///
/// Implementations run [`crate::conformance::check_ledger`] in their tests.
pub trait ApprovalLedger: fmt::Debug + Send + Sync + 'static {
    /// Uses the decision about the call with this digest (64 hex digits). False if it was used before; of several that
    /// ask at once, in whatever process, one is told true.
    ///
    /// # Errors
    /// When it cannot be recorded; then the decision does not count as used.
    fn claim(&self, digest: &str) -> io::Result<bool>;

    /// Gives a claim back that was not acted on. By default it stays used.
    ///
    /// # Errors
    /// When it cannot be recorded; then the decision stays used.
    fn give_back(&self, digest: &str) -> io::Result<()> {
        let _ = digest;
        Ok(())
    }
}

/// Uses the decisions about all of these calls, or about none.
pub(crate) async fn claim_all(ledger: &Arc<dyn ApprovalLedger>, calls: &[PendingCall]) -> Result<(), AgentError> {
    let (ledger, calls) = (Arc::clone(ledger), calls.to_vec());
    // Writing it down may have to wait for a disk.
    let claim = move || {
        for (at, call) in calls.iter().enumerate() {
            let refused = match ledger.claim(&call.digest) {
                Ok(true) => continue,
                Ok(false) => ApprovalError::Replayed { name: call.name.clone() },
                Err(error) => ApprovalError::Ledger { message: error.to_string() },
            };
            for claimed in &calls[..at] {
                // What cannot be given back stays used: that is the safe side.
                let _ = ledger.give_back(&claimed.digest);
            }
            return Err(refused);
        }
        Ok(())
    };
    Ok(tokio::task::spawn_blocking(claim).await.map_err(|_| AgentError::Cancelled)??)
}

/// Remembers while the process lives: the latest 65,536 decisions. One older than that could be used again, so use
/// another ledger where suspended runs are kept for long.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Option<Box<Used>>>); // most agents never suspend a run and hold none

const MEMORY_LIMIT: usize = 65_536;

#[derive(Debug, Default)]
struct Used {
    all: HashSet<Box<str>>,
    in_order: VecDeque<Box<str>>,
}

impl ApprovalLedger for MemoryLedger {
    fn claim(&self, digest: &str) -> io::Result<bool> {
        // No code that holds this lock can leave the two out of step.
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = used.get_or_insert_default();
        if !used.all.insert(digest.into()) {
            return Ok(false);
        }
        used.in_order.push_back(digest.into());
        if used.in_order.len() > MEMORY_LIMIT
            && let Some(oldest) = used.in_order.pop_front()
        {
            used.all.remove(&oldest);
        }
        Ok(true)
    }

    fn give_back(&self, digest: &str) -> io::Result<()> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = used.get_or_insert_default();
        if used.all.remove(digest) {
            used.in_order.retain(|each| &**each != digest);
        }
        Ok(())
    }
}

/// Remembers in a folder, for all processes that use it: one empty file per decision, made by whoever comes first.
#[derive(Debug)]
pub struct DirLedger(PathBuf);

impl DirLedger {
    /// In this folder, which is made if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(folder: impl AsRef<Path>) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        // A later change of the working directory must not move it.
        fs::canonicalize(folder).map(Self)
    }

    fn place(&self, digest: &str) -> io::Result<PathBuf> {
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{digest:?} is no digest")));
        }
        Ok(self.0.join(digest))
    }
}

impl ApprovalLedger for DirLedger {
    fn claim(&self, digest: &str) -> io::Result<bool> {
        let path = self.place(digest)?;
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => {
                // Forgetting it in a power failure would let it be used again.
                let kept = file.sync_all().and_then(|()| fs::File::open(&self.0)?.sync_all());
                kept.inspect_err(|_| {
                    // What is not recorded for certain does not count; if it cannot be removed, it does.
                    let _ = fs::remove_file(&path);
                })?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn give_back(&self, digest: &str) -> io::Result<()> {
        fs::remove_file(self.place(digest)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::check_ledger;

    #[test]
    fn a_decision_is_used_once_in_a_process_and_across_processes() {
        check_ledger(&[&MemoryLedger::default()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let opened: Vec<_> = (0..4).map(|_| DirLedger::new(folder.path().join("used")).unwrap()).collect();
        check_ledger(&opened.iter().map(|ledger| ledger as &dyn ApprovalLedger).collect::<Vec<_>>()).unwrap();
        assert!(opened[0].claim("../escape").is_err());
    }
}
