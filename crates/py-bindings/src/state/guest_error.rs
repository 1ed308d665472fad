//! What an exception of a store that is written in Python amounts to.

use std::sync::Arc;

use atomr_agents_core::Kind;
use atomr_agents_py_bridge::{GuestError, Raised};
use atomr_agents_state::{Batch, Change, Key, Lease, StoreError};
use pyo3::prelude::*;

/// What the guest was asked about, for errors that do not say it themselves.
#[derive(Clone, Default)]
pub(super) struct Asked {
    key: Option<Key>,
    token: u64,
}

impl Asked {
    pub(super) fn about(key: &Key) -> Self {
        Self { key: Some(key.clone()), token: 0 }
    }

    pub(super) fn held(lease: &Lease) -> Self {
        Self { key: Some(lease.key.clone()), token: lease.token }
    }

    pub(super) fn commit(batch: &Batch) -> Self {
        if let Some(fence) = &batch.fence {
            return Self { key: Some(fence.key.clone()), token: fence.token };
        }
        let first = batch.changes.iter().find_map(|change| match change {
            Change::Put { key, .. } | Change::Delete { key, .. } => Some(key),
            Change::Append { stream, .. } | Change::Cut { stream, .. } | Change::Drop { stream } => Some(stream),
            Change::Blob { .. } => None,
        });
        Self { key: first.cloned(), token: 0 }
    }
}

/// The errors of this package that a guest raises say what the store did; everything else comes back as it was raised.
pub(super) async fn refusal(store: String, asked: Asked, error: GuestError) -> StoreError {
    let GuestError::Raised(raised) = &error else { return guest(store, error) };
    let (raised, name) = (raised.clone(), store.clone());
    // Looking at an exception takes the interpreter, which no thread of the runtime waits for.
    let read = tokio::task::spawn_blocking(move || Python::try_attach(|py| told(py, &raised, &name, asked)));
    match read.await {
        Ok(Some(Some(told))) => told,
        _ => guest(store, error),
    }
}

fn guest(store: String, error: GuestError) -> StoreError {
    StoreError::Guest { store, source: Arc::new(error) }
}

fn told(py: Python<'_>, raised: &Raised, store: &str, asked: Asked) -> Option<StoreError> {
    let exception = raised.exception(py);
    let base = py.import("atomr_agents.errors").and_then(|errors| errors.getattr("AgentError")).ok()?;
    if !exception.is_instance(&base).unwrap_or(false) {
        return None;
    }
    let kind: String = exception.getattr("kind").ok()?.extract().ok()?;
    let (store, message) = (store.to_owned(), raised.message().to_owned());
    let number = |name: &str| exception.getattr(name).ok().and_then(|value| value.extract::<u64>().ok());
    let text = |name: &str| exception.getattr(name).ok().and_then(|value| value.extract::<String>().ok());
    let at = || {
        let pair = exception.getattr("record").ok()?.extract::<(String, String)>().ok()?;
        Key::new(&pair.0, &pair.1).ok()
    };
    let about = || at().or_else(|| asked.key.clone());
    Some(match Kind::ALL.iter().find(|known| known.as_str() == kind)? {
        Kind::Conflict => StoreError::Conflict {
            key: about()?,
            expected: text("expected").unwrap_or_else(|| "something else".to_owned()),
            found: text("found").unwrap_or(message),
        },
        Kind::Fenced => {
            StoreError::Fenced { key: about()?, token: asked.token, newest: number("newest").unwrap_or_default() }
        }
        Kind::Locked => StoreError::Held {
            key: about()?,
            owner: text("owner").unwrap_or(message),
            left_ms: number("left_ms").unwrap_or_default(),
        },
        Kind::StorageFull => StoreError::Full { store, message },
        Kind::Storage => StoreError::Unavailable { store, message },
        Kind::Corrupt => StoreError::Corrupt { subject: store, message },
        _ => return None,
    })
}
