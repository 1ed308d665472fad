//! The guests of this process, by kind and key.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::guest::Guest;

type Table = BTreeMap<(&'static str, String), Guest>;

static TABLE: RwLock<Table> = RwLock::new(Table::new());

/// Registers a guest under its kind and key; gives the one that it replaces.
pub fn register(guest: Guest) -> Option<Guest> {
    let key = (guest.kind(), guest.key().to_owned());
    write().insert(key, guest)
}

/// The guest of that kind and key.
pub fn get(kind: &str, key: &str) -> Option<Guest> {
    let row = crate::kinds::kind(kind)?;
    read().get(&(row.kind, key.to_owned())).cloned()
}

/// The keys of a kind, sorted.
pub fn list(kind: &str) -> Vec<String> {
    read().keys().filter(|(known, _)| *known == kind).map(|(_, key)| key.clone()).collect()
}

/// Takes a guest out.
pub fn remove(kind: &str, key: &str) -> Option<Guest> {
    let row = crate::kinds::kind(kind)?;
    write().remove(&(row.kind, key.to_owned()))
}

/// Forgets every guest.
pub fn clear() {
    let gone = std::mem::take(&mut *write());
    // Outside the lock: the end of a Python object may run Python code, and that may come back here.
    drop(gone);
}

fn read() -> RwLockReadGuard<'static, Table> {
    TABLE.read().unwrap_or_else(PoisonError::into_inner)
}

fn write() -> RwLockWriteGuard<'static, Table> {
    TABLE.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use pyo3::prelude::*;

    use super::*;
    use crate::guest::GuestOptions;
    use crate::kinds::{GuestCallable, GuestTool};

    #[test]
    fn guests_are_found_by_kind_and_key() {
        Python::attach(|py| {
            let len = py.eval(c"len", None, None).unwrap();
            let wrap = |key: &str| GuestTool::wrap(py, key, &len, GuestOptions::default()).unwrap().0;
            assert!(register(wrap("b")).is_none());
            assert!(register(wrap("a")).is_none());
            assert!(register(wrap("a")).is_some(), "the replaced one is handed back");
            register(GuestCallable::wrap(py, "a", &len, GuestOptions::default()).unwrap().0);
            assert_eq!(list("tool"), ["a", "b"]);
            assert_eq!(get("callable_", "a").unwrap().kind(), "callable_");
            assert!(get("tool", "c").is_none() && get("nonsense", "a").is_none());
            assert!(remove("tool", "b").is_some());
            clear();
            assert!(list("tool").is_empty() && get("callable_", "a").is_none());
        });
    }
}
