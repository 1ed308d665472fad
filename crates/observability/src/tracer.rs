//! A subscriber written as a trait.

use std::sync::Arc;

use atomr_agents_core::Event;

use crate::{BoxFuture, TracerError};

/// A subscriber written as a trait: it is given one event after the other and asked to flush at the end.
///
/// It may be slow: the bus keeps what it has not taken yet, up to the bus's capacity, and beyond that the gap is told
/// as an event of kind `lagged`. It may use the bus it is attached to. An error is reported and the next event comes;
/// a panic removes the tracer. Implementations run [`crate::conformance::check`] in their tests.
pub trait Tracer: Send + Sync + 'static {
    /// What reports call it.
    fn name(&self) -> &str {
        std::any::type_name::<Self>()
    }

    /// Takes the next event.
    fn on_event(&self, event: Arc<Event>) -> BoxFuture<'_, Result<(), TracerError>>;

    /// Takes several events that are there already; `on_event` for one after the other, unless there is a better way.
    /// Gives back what went wrong, one error for each event that it went wrong with.
    fn on_events(&self, events: Vec<Arc<Event>>) -> BoxFuture<'_, Vec<TracerError>> {
        Box::pin(async move {
            let mut errors = Vec::new();
            for event in events {
                errors.extend(self.on_event(event).await.err());
            }
            errors
        })
    }

    /// Brings everything taken so far to where it belongs. May be called at any time, and again.
    fn flush(&self) -> BoxFuture<'_, Result<(), TracerError>> {
        Box::pin(async { Ok(()) })
    }
}

impl<T: Tracer + ?Sized> Tracer for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn on_event(&self, event: Arc<Event>) -> BoxFuture<'_, Result<(), TracerError>> {
        (**self).on_event(event)
    }

    fn on_events(&self, events: Vec<Arc<Event>>) -> BoxFuture<'_, Vec<TracerError>> {
        (**self).on_events(events)
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), TracerError>> {
        (**self).flush()
    }
}
