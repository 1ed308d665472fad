//! Which decisions were used: what somebody approved once is not run twice.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Remembers which decisions were used.
pub trait ApprovalLedger: fmt::Debug + Send + Sync + 'static {
    /// Uses the decision about the call with this digest (64 hex digits). False if it was used before; of several that
    /// ask at once, in whatever process, one is told true.
    ///
    /// # Errors
    /// When it cannot be recorded; then the decision does not count as used.
    fn claim(&self, digest: &str) -> io::Result<bool>;
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
}

impl ApprovalLedger for DirLedger {
    fn claim(&self, digest: &str) -> io::Result<bool> {
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{digest:?} is no digest")));
        }
        match OpenOptions::new().write(true).create_new(true).open(self.0.join(digest)) {
            Ok(file) => {
                // Forgetting it in a power failure would let it be used again.
                file.sync_all()?;
                fs::File::open(&self.0)?.sync_all()?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_used_once_in_a_process_and_across_processes() {
        let digest = "0a".repeat(32);
        let memory = MemoryLedger::default();
        assert!(memory.claim(&digest).unwrap() && !memory.claim(&digest).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let won: usize = std::thread::scope(|scope| {
            let claims: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| DirLedger::new(folder.path().join("used")).unwrap().claim(&digest).unwrap()))
                .collect();
            claims.into_iter().map(|claim| usize::from(claim.join().unwrap())).sum()
        });
        assert_eq!(won, 1);
        let ledger = DirLedger::new(folder.path().join("used")).unwrap();
        assert!(ledger.claim("../escape").is_err());
    }
}
