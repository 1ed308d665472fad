//! What all steps of one run have in common.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomr_agents_core::{CallCtx, EventKind, EventSink, Value};
use atomr_agents_state::{EffectKey, Journal};
use tokio::sync::{Notify, oneshot};

use super::parts::Parts;
use crate::life::Waiting;
use crate::{Interrupt, InterruptKind};

/// What all steps of one run have in common. Steps whose frames are kept while the run is suspended keep it, too; what
/// belongs to the caller of one call is in [`Live`] and is replaced when the run goes on.
pub(crate) struct RunShared {
    live: Mutex<Arc<Live>>,
    asked: Mutex<BTreeMap<EffectKey, Asked>>,
    /// Told when an answer was handed over: graphs inside steps look which of their frames can go on.
    pub(crate) answered: Notify,
    pub(crate) relay: Arc<Relay>,
}

/// What belongs to one call of the run.
pub(crate) struct Live {
    pub(crate) journal: Journal,
    pub(crate) ctx: CallCtx,
    /// Where parts of a stream go.
    pub(crate) parts: Option<Parts>,
}

/// A question that waits.
struct Asked {
    path: Arc<str>,
    value: Value,
    answer: oneshot::Sender<Value>,
    /// What the step waits by, if it waits where it stands.
    waiting: Option<Waiting>,
}

/// Hands events to whoever takes them just now: a frame that is kept tells the next caller what it does.
#[derive(Default)]
pub(crate) struct Relay(Mutex<Option<Arc<dyn EventSink>>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunShared {
    /// A run that is written to `journal`, with events and cancelling as `ctx` says.
    pub(crate) fn new(journal: Journal, ctx: CallCtx, parts: Option<Parts>) -> Arc<Self> {
        let relay = Arc::new(Relay::default());
        let live = Live::new(journal, ctx, parts, &relay);
        Arc::new(Self { live: Mutex::new(Arc::new(live)), asked: Mutex::default(), answered: Notify::new(), relay })
    }

    /// The run goes on under another call.
    pub(crate) fn goes_on(&self, journal: Journal, ctx: CallCtx, parts: Option<Parts>) {
        *lock(&self.live) = Arc::new(Live::new(journal, ctx, parts, &self.relay));
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&lock(&self.live))
    }

    /// Waits for the answer that the receiver gets. Whoever asks gives the question back with [`RunShared::unask`].
    pub(crate) fn ask(
        &self,
        key: EffectKey,
        path: Arc<str>,
        value: Value,
        waiting: Option<Waiting>,
    ) -> oneshot::Receiver<Value> {
        let (answer, answered) = oneshot::channel();
        lock(&self.asked).insert(key, Asked { path, value, answer, waiting });
        answered
    }

    /// The question does not wait any more.
    pub(crate) fn unask(&self, key: &EffectKey) {
        // Not under the lock: it wakes whoever drives the step.
        let asked = lock(&self.asked).remove(key);
        drop(asked);
    }

    /// Hands an answer to the frame that waits for it, if there is one.
    pub(crate) fn answer(&self, key: &EffectKey, value: Value) {
        let asked = lock(&self.asked).remove(key);
        if let Some(asked) = asked {
            drop(asked.waiting);
            // The frame may have gone away in this moment; then it asks again and finds the answer recorded.
            let _ = asked.answer.send(value);
            self.answered.notify_waiters();
        }
    }

    /// The questions that wait, in the order of their keys.
    pub(crate) fn pending(&self) -> Vec<Interrupt> {
        let interrupt = |(key, asked): (&EffectKey, &Asked)| Interrupt {
            id: key.to_string(),
            path: asked.path.to_string(),
            kind: InterruptKind::Asked,
            value: asked.value.clone(),
        };
        lock(&self.asked).iter().map(interrupt).collect()
    }
}

impl Live {
    /// A call in which no step runs.
    pub(crate) fn of(journal: Journal, ctx: CallCtx) -> Self {
        Self { journal, ctx, parts: None }
    }

    fn new(journal: Journal, ctx: CallCtx, parts: Option<Parts>, relay: &Arc<Relay>) -> Self {
        *lock(&relay.0) = ctx.sink().cloned();
        let ctx = if ctx.has_sink() { ctx.with_sink(Arc::clone(relay) as Arc<dyn EventSink>) } else { ctx };
        Self { journal, ctx, parts }
    }
}

impl EventSink for Relay {
    fn emit(&self, ctx: &CallCtx, kind: EventKind) {
        let sink = lock(&self.0).clone();
        if let Some(sink) = sink {
            sink.emit(ctx, kind);
        }
    }

    fn listening(&self) -> bool {
        lock(&self.0).as_ref().is_some_and(|sink| sink.listening())
    }
}
