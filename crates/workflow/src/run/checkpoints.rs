//! Checkpoints: when they are written, who is told, and where a run stops beside one.

use atomr_agents_core::{EventKind, Value};
use atomr_agents_observability::{Hold, RunEvents};
use atomr_agents_state::{Delta, Item, RunLogError, SinceBase};

use super::call::Call;
use super::engine::{Engine, Stand};
use super::parts::Part;
use super::shared::Live;
use super::stored::Point;
use crate::plan::Task;
use crate::{Interrupt, InterruptKind, WorkflowError};

impl Engine {
    /// Writes the checkpoint that was staged, by `commit`, and tells of it once it is written.
    pub(crate) async fn written(
        &self,
        live: &Live,
        stand: &mut Stand,
        source: &'static str,
        call: &Call,
        commit: impl Future<Output = Result<(), RunLogError>>,
    ) -> Result<(), WorkflowError> {
        let hold = call.events.as_ref().map(RunEvents::hold);
        Self::tell(live, stand, source);
        if let Err(error) = commit.await {
            hold.into_iter().for_each(Hold::discard);
            return Err(error.into());
        }
        drop(hold);
        stand.untold = false;
        Self::show(live, stand);
        Ok(())
    }

    /// Makes a checkpoint part of the next commit: what is new, or, when that has come to outweigh it, the whole.
    pub(crate) fn checkpoint(
        &self,
        live: &Live,
        stand: &mut Stand,
        source: &'static str,
        deltas: Option<&[Delta]>,
    ) -> Result<(), WorkflowError> {
        let state = stand.view();
        if let Some(deltas) = deltas {
            stand.since.add(deltas);
        }
        let whole = std::mem::take(&mut stand.base_due) || stand.since.outweighs(&state, 1);
        let deltas = deltas.filter(|_| !whole);
        if deltas.is_none() {
            stand.since = SinceBase::default();
        }
        let step = stand.step;
        let point = Point { source, state: &state, step, deltas, next: &stand.tasks, waiting: &stand.waiting };
        let checkpoint = point.written(&live.journal, &self.graph.0.wiring)?;
        live.journal.stage(Item::Checkpoint(checkpoint));
        stand.untold = true;
        Ok(())
    }

    /// The event of a checkpoint, which goes into the same commit.
    pub(crate) fn tell(live: &Live, stand: &Stand, source: &'static str) {
        if live.ctx.has_sink() {
            live.ctx.emit(EventKind::CheckpointSaved { step: stand.step, source: source.to_owned() });
        }
    }

    /// Shows the state to whoever reads the stream.
    pub(crate) fn show(live: &Live, stand: &Stand) {
        if let Some(parts) = &live.parts {
            parts.push(Part::State { step: stand.step, state: stand.view() });
        }
    }

    /// The breakpoints among `tasks`.
    pub(super) fn breakpoints<'t>(
        &self,
        stand: &Stand,
        names: &[String],
        tasks: impl Iterator<Item = &'t Task>,
        kind: InterruptKind,
    ) -> Vec<Interrupt> {
        if names.is_empty() {
            return Vec::new();
        }
        let (word, step) = match kind {
            InterruptKind::Before => ("before", stand.step + 1),
            _ => ("after", stand.step),
        };
        let wiring = &self.graph.0.wiring;
        let stops = tasks.filter(|task| names.iter().any(|name| name == "*" || **name == **wiring.name(task.place)));
        stops
            .map(|task| Interrupt {
                id: format!("{step}:{}/{word}#0", task.path),
                path: task.path.to_string(),
                kind,
                value: Value::Null,
            })
            .collect()
    }
}
