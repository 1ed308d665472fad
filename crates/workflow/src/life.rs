//! Whether a step is at work, and what it waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use futures_util::task::AtomicWaker;

/// Whether a step is at work. Shared by the step, which tells, and by whoever drives it, who is woken.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// Answers that it waits for.
    waiting: AtomicU32,
    /// Effects under way, and steps of graphs inside it that are at work.
    busy: AtomicU32,
    /// Effects under way that must not happen twice.
    once: AtomicU32,
    /// Counts signs of life.
    signs: AtomicU64,
    driver: AtomicWaker,
    /// The step in whose graph this one is.
    outer: Option<Arc<Life>>,
}

impl Life {
    /// Of a step in a graph that is in another step.
    pub(crate) fn inside(outer: &Arc<Life>) -> Self {
        Self { outer: Some(Arc::clone(outer)), ..Self::default() }
    }

    /// This one and those that it is in.
    fn outwards(&self) -> impl Iterator<Item = &Life> {
        std::iter::successors(Some(self), |life| life.outer.as_deref())
    }

    /// Whether nothing of it goes on before somebody answers.
    pub(crate) fn waits(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0 && self.busy.load(Ordering::Acquire) == 0
    }

    fn less(&self, count: &AtomicU32) {
        count.fetch_sub(1, Ordering::AcqRel);
        self.sign();
        // What is left may be waiting only.
        if self.waits() {
            self.driver.wake();
        }
    }

    /// Whether an effect is under way that must not be cut off.
    pub(crate) fn must_not_be_cut(&self) -> bool {
        self.once.load(Ordering::Acquire) > 0
    }

    /// How many signs of life it has given.
    pub(crate) fn signs(&self) -> u64 {
        self.signs.load(Ordering::Relaxed)
    }

    pub(crate) fn sign(&self) {
        self.outwards().for_each(|life| {
            life.signs.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Whoever is woken when it begins to wait.
    pub(crate) fn driven_by(&self, waker: &std::task::Waker) {
        self.driver.register(waker);
    }

    /// It waits for an answer until the guard is dropped.
    pub(crate) fn wait(&self) -> Counted<'_> {
        let counted = Counted::of(self, &self.waiting);
        self.driver.wake();
        counted
    }

    /// It waits for an answer until that is handed over: whoever answers drops the guard, as the step itself may notice only
    /// later, on another thread.
    pub(crate) fn wait_for_answer(self: &Arc<Self>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.sign();
        self.driver.wake();
        Waiting(Arc::clone(self))
    }

    /// It is at work until the guard is dropped, whatever else it waits for.
    pub(crate) fn work(&self) -> Counted<'_> {
        Counted::of(self, &self.busy)
    }

    /// It does what must not happen twice until the guard is dropped, and so do those that it is in.
    pub(crate) fn once(&self) -> Once<'_> {
        self.outwards().for_each(|life| {
            life.once.fetch_add(1, Ordering::AcqRel);
        });
        Once(self)
    }
}

/// Counts an effect that must not be cut off, until it is dropped.
#[derive(Debug)]
pub(crate) struct Once<'l>(&'l Life);

impl Drop for Once<'_> {
    fn drop(&mut self) {
        self.0.outwards().for_each(|life| {
            life.once.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// Counts a question without an answer, until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Life>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.less(&self.0.waiting);
    }
}

/// Counts one more until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted<'l> {
    life: &'l Life,
    count: &'l AtomicU32,
}

impl<'l> Counted<'l> {
    fn of(life: &'l Life, count: &'l AtomicU32) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        life.sign();
        Self { life, count }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.life.less(self.count);
    }
}
