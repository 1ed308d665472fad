//! What every tracer must do, as a check that any implementation can run in its tests.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use atomr_agents_core::{Event, EventKind, RunId};

use crate::{Tracer, TracerError};

/// No single call may take longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks the rules of [`Tracer`]: it has a name; it takes every kind of event, also large and unusual ones, and several
/// at once; it may be
/// flushed before the first event and twice in a row; it may be called again before an earlier call is done; a call
/// that is dropped half way does not spoil it; no call hangs.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check(tracer: Arc<dyn Tracer>) -> Result<(), String> {
    if tracer.name().trim().is_empty() {
        return Err("name() is empty".into());
    }
    patiently("flush before the first event", tracer.flush()).await?;
    let run = RunId::new();
    for (at, kind) in EventKind::samples().into_iter().enumerate() {
        let what = kind.name();
        patiently(what, tracer.on_event(event(run, at as u64 + 1, kind))).await?;
    }
    let text = |text: String| EventKind::TextDelta { text };
    patiently("a large event", tracer.on_event(event(run, 90, text("x".repeat(1 << 20))))).await?;
    patiently("an event of unusual text", tracer.on_event(event(run, 91, text("\u{0}\n\"\u{202e}🧵".into())))).await?;

    let (first, second) = tokio::join!(
        patiently("one of two events at once", tracer.on_event(event(run, 92, text("a".into())))),
        patiently("one of two events at once", tracer.on_event(event(run, 93, text("b".into())))),
    );
    first.and(second)?;

    let several = vec![event(run, 96, text("d".into())), event(run, 97, text("e".into()))];
    patiently("several events at once", async { tracer.on_events(several).await.pop().map_or(Ok(()), Err) }).await?;

    let mut dropped = tracer.on_event(event(run, 94, text("half".into())));
    poll_fn(|cx| {
        drop(dropped.as_mut().poll(cx));
        Poll::Ready(())
    })
    .await;
    drop(dropped);
    patiently("an event after one that was dropped half way", tracer.on_event(event(run, 95, text("c".into()))))
        .await?;
    patiently("flush", tracer.flush()).await?;
    patiently("a second flush", tracer.flush()).await
}

async fn patiently(what: &str, call: impl Future<Output = Result<(), TracerError>>) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{what}: {error}")),
        Err(_) => Err(format!("{what}: still not done after {PATIENCE:?}")),
    }
}

fn event(run: RunId, seq: u64, kind: EventKind) -> Arc<Event> {
    let path = Arc::from("planner/researcher");
    Arc::new(Event { run, seq, index: u32::from(kind.is_delta()), path, parent: Some(run), time_ms: 1, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxFuture, RecordingTracer};
    use atomr_agents_core::Kind;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    #[tokio::test]
    async fn the_recording_tracer_conforms() {
        let tracer = Arc::new(RecordingTracer::new());
        check(tracer.clone()).await.unwrap();
        let names: std::collections::HashSet<_> = tracer.events().iter().map(|event| event.kind.name()).collect();
        assert_eq!((names.len(), tracer.flushes()), (EventKind::samples().len(), 3));
    }

    /// Breaks one rule.
    #[derive(Default)]
    struct Bad {
        name: &'static str,
        refuses: Option<&'static str>,
        flushes_once: bool,
        one_at_a_time: bool,
        hangs_on_large: bool,
        busy: AtomicBool,
        flushes: AtomicU64,
    }

    fn fail(message: &str) -> Result<(), TracerError> {
        Err(TracerError::Failed { tracer: "bad".into(), kind: Kind::Guest, message: message.into(), source: None })
    }

    impl Tracer for Bad {
        fn name(&self) -> &str {
            self.name
        }

        fn on_event(&self, event: Arc<Event>) -> BoxFuture<'_, Result<(), TracerError>> {
            Box::pin(async move {
                if self.refuses == Some(event.kind.name()) {
                    return fail("refused");
                }
                if self.hangs_on_large && matches!(&event.kind, EventKind::TextDelta { text } if text.len() > 1_000) {
                    std::future::pending::<()>().await;
                }
                if self.one_at_a_time && self.busy.swap(true, Ordering::Relaxed) {
                    return fail("busy");
                }
                tokio::task::yield_now().await;
                self.busy.store(false, Ordering::Relaxed);
                Ok(())
            })
        }

        fn flush(&self) -> BoxFuture<'_, Result<(), TracerError>> {
            let again = self.flushes.fetch_add(1, Ordering::Relaxed) > 0;
            Box::pin(async move { if self.flushes_once && again { fail("flushed") } else { Ok(()) } })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_broken_rule_is_named() {
        let good = || Bad { name: "bad", ..Bad::default() };
        check(Arc::new(good())).await.unwrap();
        for (bad, fault) in [
            (Bad { name: " ", ..good() }, "name() is empty"),
            (Bad { refuses: Some("lagged"), ..good() }, "lagged: "),
            (Bad { flushes_once: true, ..good() }, "flush: "),
            (Bad { one_at_a_time: true, ..good() }, "two events at once: "),
            (Bad { hangs_on_large: true, ..good() }, "still not done"),
        ] {
            let said = check(Arc::new(bad)).await.unwrap_err();
            assert!(said.contains(fault), "{said} should say {fault}");
        }
    }
}
