//! Where events go.

use crate::{CallCtx, EventKind};

/// Where events go. The sink numbers them; emitting never waits for a listener.
pub trait EventSink: Send + Sync {
    /// Takes one event of the run that `ctx` belongs to.
    fn emit(&self, ctx: &CallCtx, kind: EventKind);

    /// Whether anybody would see it.
    fn listening(&self) -> bool;
}
