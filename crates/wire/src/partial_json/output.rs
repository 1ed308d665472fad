//! Where changes go.

use super::Change;

/// A list of changes, or nobody who wants to know: then they are not even made.
#[derive(Debug)]
pub(super) struct Output<'o>(pub(super) Option<&'o mut Vec<Change>>);

impl Output<'_> {
    /// Adds the change that `make` makes.
    pub(super) fn push(&mut self, make: impl FnOnce() -> Change) {
        if let Some(changes) = &mut self.0 {
            changes.push(make());
        }
    }
}
