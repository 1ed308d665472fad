//! The context that every call carries.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::{EventKind, EventSink, Meter, RunId};

/// The context that every call carries: which run it belongs to, until when it may run, how it is cancelled and
/// where its events go. Cheap to clone; a child's cancellation never reaches its parent, the parent's always
/// reaches the child.
///
/// ```
/// use atomr_agents_core::CallCtx;
///
/// let ctx = CallCtx::new();
/// let child = ctx.child("researcher");
/// child.cancel.cancel();
/// assert!(!ctx.cancel.is_cancelled());
/// assert_eq!(child.path(), "researcher");
/// ```
#[derive(Clone)]
pub struct CallCtx {
    /// The run this call belongs to.
    pub run: RunId,
    /// The run that started it.
    pub parent: Option<RunId>,
    /// Cancelled when nobody waits for the result any more.
    pub cancel: CancellationToken,
    /// When the work must be done.
    pub deadline: Option<Instant>,
    path: Arc<str>,
    sink: Option<Arc<dyn EventSink>>,
    meter: Option<Meter>,
    extensions: Extensions,
}

impl CallCtx {
    /// A context of its own: a fresh run, no deadline, nobody listening.
    #[must_use]
    pub fn new() -> Self {
        Self {
            run: RunId::new(),
            parent: None,
            cancel: CancellationToken::new(),
            deadline: None,
            path: Arc::from(""),
            sink: None,
            meter: None,
            extensions: Extensions::default(),
        }
    }

    /// A context for a part of the work, one step deeper in the path.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) };
        Self { cancel: self.cancel.child_token(), path: Arc::from(path), ..self.clone() }
    }

    /// The same context with a cancellation of its own, for work that may end before its caller does.
    #[must_use]
    pub fn scoped(&self) -> Self {
        Self { cancel: self.cancel.child_token(), ..self.clone() }
    }

    /// The same context with a deadline no later than `timeout` from now.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        let until = Instant::now().checked_add(timeout);
        self.deadline = match (self.deadline, until) {
            (Some(have), Some(until)) => Some(have.min(until)),
            (have, until) => have.or(until),
        };
        self
    }

    /// The same context with its events going to `sink`.
    #[must_use]
    pub fn with_sink(mut self, sink: Arc<dyn EventSink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// The same context, drawing on `meter`.
    #[must_use]
    pub fn with_meter(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// The budget that this call draws on, if there is one.
    #[must_use]
    pub fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    /// The same context with `value` within reach of everything below, found by its type.
    #[must_use]
    pub fn with<T: Any + Send + Sync>(mut self, value: T) -> Self {
        self.extensions = self.extensions.with(value);
        self
    }

    /// What was put in with [`CallCtx::with`].
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.extensions.get()
    }

    /// Where in the tree of agents and steps this call is made, e.g. `planner/researcher`; empty at the root.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path, to share.
    #[must_use]
    pub fn shared_path(&self) -> Arc<str> {
        Arc::clone(&self.path)
    }

    /// Time left before the deadline; `None` without one, zero when it has passed.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Where its events go.
    #[must_use]
    pub fn sink(&self) -> Option<&Arc<dyn EventSink>> {
        self.sink.as_ref()
    }

    /// Whether its events have somewhere to go.
    #[must_use]
    pub fn has_sink(&self) -> bool {
        self.sink.is_some()
    }

    /// Whether anybody listens. Ask before building an expensive event.
    #[must_use]
    pub fn listening(&self) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.listening())
    }

    /// Announces what happened. Never waits.
    pub fn emit(&self, kind: EventKind) {
        if let Some(sink) = &self.sink {
            sink.emit(self, kind);
        }
    }
}

impl Default for CallCtx {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CallCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallCtx")
            .field("run", &self.run)
            .field("path", &self.path)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Values found by their type. Copied on write: a child may add without its parent seeing it.
#[derive(Clone, Default)]
pub struct Extensions(Option<Arc<Node>>);

struct Node {
    id: TypeId,
    value: Arc<dyn Any + Send + Sync>,
    next: Option<Arc<Node>>,
}

impl Extensions {
    /// The same values and `value`; an earlier one of the same type is hidden.
    #[must_use]
    pub fn with<T: Any + Send + Sync>(&self, value: T) -> Self {
        Self(Some(Arc::new(Node { id: TypeId::of::<T>(), value: Arc::new(value), next: self.0.clone() })))
    }

    /// The latest value of type `T`.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let mut node = self.0.as_ref();
        while let Some(here) = node {
            if here.id == TypeId::of::<T>() {
                return Arc::clone(&here.value).downcast().ok();
            }
            node = here.next.as_ref();
        }
        None
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extensions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_hide_and_do_not_leak_to_the_parent() {
        let parent = CallCtx::new().with(1u32);
        let child = parent.clone().with(2u32).with("text");
        assert_eq!(child.get::<u32>().as_deref(), Some(&2));
        assert_eq!(child.get::<&str>().as_deref(), Some(&"text"));
        assert_eq!(parent.get::<u32>().as_deref(), Some(&1));
        assert!(parent.get::<&str>().is_none());
    }

    #[test]
    fn the_earlier_deadline_wins() {
        let ctx = CallCtx::new().with_timeout(Duration::from_secs(1)).with_timeout(Duration::from_secs(100));
        assert!(ctx.remaining().unwrap() <= Duration::from_secs(1));
        assert!(CallCtx::new().with_timeout(Duration::MAX).deadline.is_none());
    }
}
