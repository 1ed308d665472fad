//! What is under way on one event loop, so that all of it can be told when the loop has gone.

use std::sync::Arc;

/// Work that must be told when its loop has gone.
pub(crate) trait InFlight: Send + Sync {
    /// The loop was closed; called at most once, possibly detached.
    fn lost(&self);
}

/// Work in flight, by a number that is used again once the work is over.
#[derive(Default)]
pub(crate) struct InFlights {
    work: Vec<Option<Arc<dyn InFlight>>>,
    free: Vec<usize>,
}

impl InFlights {
    /// Numbers start at one: zero says that nothing is registered.
    pub(crate) fn add(&mut self, work: Arc<dyn InFlight>) -> usize {
        match self.free.pop() {
            Some(at) => {
                self.work[at] = Some(work);
                at + 1
            }
            None => {
                self.work.push(Some(work));
                self.work.len()
            }
        }
    }

    pub(crate) fn remove(&mut self, id: usize) -> Option<Arc<dyn InFlight>> {
        let at = id.checked_sub(1)?;
        let work = self.work.get_mut(at)?.take();
        if work.is_some() {
            self.free.push(at);
        }
        work
    }

    pub(crate) fn len(&self) -> usize {
        self.work.len() - self.free.len()
    }

    /// Everything that is registered.
    pub(crate) fn into_all(self) -> impl Iterator<Item = Arc<dyn InFlight>> {
        self.work.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Work;

    impl InFlight for Work {
        fn lost(&self) {}
    }

    #[test]
    fn numbers_are_used_again_and_never_zero() {
        let mut table = InFlights::default();
        let (first, second) = (table.add(Arc::new(Work)), table.add(Arc::new(Work)));
        assert!(first != second && first != 0);
        assert!(table.remove(0).is_none() && table.remove(99).is_none());
        assert!(table.remove(first).is_some());
        assert!(table.remove(first).is_none(), "twice is harmless and frees nothing");
        assert_eq!(table.len(), 1);
        assert_eq!(table.add(Arc::new(Work)), first);
        assert_eq!(table.into_all().count(), 2);
    }
}
