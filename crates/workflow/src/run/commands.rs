//! What is said to a run that stands still, and what is written to it from outside.

use std::sync::Arc;

use atomr_agents_core::{EventKind, Value};
use atomr_agents_state::{EffectKey, Intent, Item, Journal, Outcome, Write};

use super::call::Answers;
use super::engine::{Engine, Scope, Stand, no_way_of};
use super::open::{Read, items, state_error};
use super::shared::Live;
use crate::plan::go_to;
use crate::{Command, Interrupt, InterruptKind, WorkflowError};

/// What came of commands.
#[derive(Default)]
pub(super) struct Obeyed {
    pub(super) answers: Vec<(EffectKey, Value)>,
    /// There is another checkpoint.
    pub(super) moved: bool,
}

impl Engine {
    /// Does what the commands say.
    pub(super) async fn obey(
        &self,
        live: &Live,
        stand: &mut Stand,
        read: &Read,
        commands: Vec<Command>,
    ) -> Result<Obeyed, WorkflowError> {
        let run = live.journal.run().to_owned();
        let mut obeyed = Obeyed::default();
        let mut answers = Answers::new();
        for command in commands {
            match command {
                Command::Continue => {}
                Command::Resume(more) => answers.extend(more),
                Command::Answer(answer) => {
                    let asked: Vec<&Interrupt> = asked(&read.pending).collect();
                    match asked[..] {
                        [one] => drop(answers.insert(one.id.clone(), answer)),
                        [] => return Err(unknown(&run, "", &read.pending)),
                        ref several => {
                            let pending = several.iter().map(|interrupt| interrupt.id.clone()).collect();
                            return Err(WorkflowError::WhichInterrupt { run, pending });
                        }
                    }
                }
                Command::Update(writes) => {
                    self.edit(live, stand, writes, None, read.due()).await?;
                    obeyed.moved = true;
                }
                Command::Goto(targets) => {
                    let tasks = go_to(&self.graph.0.wiring, &targets).map_err(|no_way| no_way_of(live, no_way))?;
                    stand.tasks = tasks;
                    stand.step += 1;
                    // A super-step in which nothing was written: the state counts it, too.
                    stand.state.apply([]).map_err(|source| state_error(&run, stand.step, source))?;
                    self.checkpoint(live, stand, "goto", Some(&[]))?;
                    (obeyed.moved, stand.replays, stand.passes) = (true, false, false);
                }
            }
        }
        for (id, answer) in answers {
            if !asked(&read.pending).any(|interrupt| interrupt.id == id) {
                return Err(unknown(&run, &id, &read.pending));
            }
            let mut key: EffectKey = id.parse().map_err(|_| unknown(&run, &id, &read.pending))?;
            // An edit made another super-step of the one that is due.
            if obeyed.moved {
                key.step = stand.step + 1;
            }
            let bodies = vec![live.journal.body(&answer)?];
            live.journal.stage(Item::Outcome(Outcome { key: key.clone(), bodies, error: None }));
            live.ctx.emit(EventKind::InterruptResumed { interrupt: id });
            obeyed.answers.push((key, answer));
        }
        Ok(obeyed)
    }

    /// Writes to the state between two super-steps, through the reducers: a super-step of its own. What is due stays due, and
    /// what was recorded of it, as super-step `due`, stays recorded; or, `as_node`, what follows that step is due.
    pub(crate) async fn edit(
        &self,
        live: &Live,
        stand: &mut Stand,
        writes: Vec<(String, Value)>,
        as_node: Option<&str>,
        due: Option<u64>,
    ) -> Result<(), WorkflowError> {
        let run = live.journal.run().to_owned();
        let channels = writes.iter().map(|(channel, _)| Arc::from(channel.as_str())).collect();
        let writes = writes.into_iter().map(|(channel, value)| Write::new("", channel, value));
        let step = stand.step + 1;
        let deltas = stand.state.apply(writes).map_err(|source| state_error(&run, step, source))?;
        stand.step = step;
        match as_node {
            None => due.into_iter().for_each(|due| carry(&live.journal, due, step + 1)),
            Some(node) => {
                let Some(place) = self.graph.0.wiring.places.get(node).copied() else {
                    let (from, to) = ("update".to_owned(), node.to_owned());
                    return Err(WorkflowError::NoWay { run, from, to, may: None });
                };
                self.after(live, &Scope::Root, stand, place).await?;
                stand.replays = false;
            }
        }
        live.ctx.emit(EventKind::StateWritten { step, channels });
        self.checkpoint(live, stand, "update", Some(&deltas))
    }
}

/// Records under another super-step what was recorded of one that is due under another number now.
fn carry(journal: &Journal, from: u64, to: u64) {
    let moved = |key: &EffectKey| EffectKey { step: to, ..key.clone() };
    for item in items(journal.frames()) {
        match item {
            Item::Intent(intent) if intent.key.step == from => {
                journal.stage(Item::Intent(Intent { key: moved(&intent.key), ..intent.clone() }));
            }
            Item::Outcome(outcome) if outcome.key.step == from => {
                journal.stage(Item::Outcome(Outcome { key: moved(&outcome.key), ..outcome.clone() }));
            }
            _ => {}
        }
    }
}

fn asked(pending: &[Interrupt]) -> impl Iterator<Item = &Interrupt> {
    pending.iter().filter(|interrupt| interrupt.kind == InterruptKind::Asked)
}

fn unknown(run: &str, id: &str, pending: &[Interrupt]) -> WorkflowError {
    let pending = asked(pending).map(|interrupt| interrupt.id.clone()).collect();
    WorkflowError::UnknownInterrupt { run: run.to_owned(), id: id.to_owned(), pending }
}
