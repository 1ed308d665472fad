//! What is due after a super-step. Pure: no state, no clock, no task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atomr_agents_core::Value;
use serde::{Deserialize, Serialize};

use crate::Target;
use crate::graph::wiring::{AT_END, AT_START, Goes, Place, Wiring};

/// A visit of a step that is due.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    pub(crate) place: Place,
    /// Its name in the super-step: the step's, with a number where the step was sent something.
    pub(crate) path: Arc<str>,
    pub(crate) input: Option<Arc<Value>>,
}

/// What is known of steps that wait for several others.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Waiting(BTreeMap<usize, Came>);

/// Who came to a join so far, and who will not.
#[derive(Clone, Debug, Default, PartialEq)]
struct Came {
    came: BTreeSet<Place>,
    skipped: BTreeSet<Place>,
    /// One was enough, and the step was told to go.
    gone: bool,
}

/// [`Waiting`] as it is stored: by names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredJoin {
    target: Arc<str>,
    sources: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    came: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

/// A step wants to go where it cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoWay {
    pub(crate) from: Arc<str>,
    pub(crate) to: Arc<str>,
    /// Where it may go; `None` if the target is no step at all.
    pub(crate) may: Option<Vec<Arc<str>>>,
}

/// A place that ran, and where its own answer and its routers send the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ran {
    pub(crate) place: Place,
    /// The step's own word.
    pub(crate) goto: Vec<Target>,
    /// The answers of its routers: positions in [`Wiring::forks`].
    pub(crate) routes: Vec<(usize, Vec<Target>)>,
}

/// What comes next, while it is found out.
struct Next<'w> {
    wiring: &'w Wiring,
    waiting: &'w mut Waiting,
    pulls: BTreeSet<(Arc<str>, Place)>,
    sends: Vec<(Place, Arc<Value>)>,
}

/// What is due after `ran`: gone-to steps in the order of their names, then what was sent in the order of sending.
///
/// # Errors
/// When a step wants to go where it cannot; then `waiting` may have changed.
pub(crate) fn next(wiring: &Wiring, waiting: &mut Waiting, ran: &[Ran]) -> Result<Vec<Task>, NoWay> {
    let mut next = Next { wiring, waiting, pulls: BTreeSet::new(), sends: Vec::new() };
    let mut seen = BTreeSet::new();
    for one in ran {
        // Several visits of a step lead on once.
        if seen.insert(one.place) {
            let outs = &wiring.outs[one.place];
            outs.edges.iter().for_each(|to| next.way(one.place, *to, true));
            outs.joins.iter().for_each(|join| next.joined(*join, one.place, true));
        }
        for (fork, targets) in &one.routes {
            next.fork(one.place, *fork, targets)?;
        }
        let goes = &wiring.outs[one.place].goes;
        for target in &one.goto {
            next.target(
                one.place,
                target,
                match goes {
                    Goes::Nowhere => Some(&[]),
                    Goes::To(places) => Some(places),
                    Goes::Anywhere => None,
                },
            )?;
        }
        if let (true, Goes::To(places)) = (wiring.skips, goes) {
            let chosen = |to: &Place| one.goto.iter().any(|target| target.node == *wiring.name(*to));
            places.iter().filter(|to| !chosen(to)).for_each(|to| next.way(one.place, *to, false));
        }
    }
    Ok(next.tasks())
}

/// Steps that somebody from outside sends the run to.
pub(crate) fn go_to(wiring: &Wiring, targets: &[Target]) -> Result<Vec<Task>, NoWay> {
    let mut waiting = Waiting::default();
    let mut next = Next { wiring, waiting: &mut waiting, pulls: BTreeSet::new(), sends: Vec::new() };
    for target in targets {
        next.target(AT_START, target, None)?;
    }
    Ok(next.tasks())
}

impl Next<'_> {
    /// The way from one place to another is taken, or is known not to be.
    fn way(&mut self, from: Place, to: Place, taken: bool) {
        let join = self.wiring.skips.then(|| self.wiring.join_at(to)).flatten();
        match join {
            Some(join) => self.joined(join, from, taken),
            None if taken => self.pull(to),
            None if self.wiring.skips => self.skip(to),
            None => {}
        }
    }

    fn pull(&mut self, to: Place) {
        if to != AT_END {
            self.pulls.insert((Arc::clone(self.wiring.name(to)), to));
        }
    }

    /// A step that will not run: whoever waits for it need not.
    fn skip(&mut self, place: Place) {
        if place == AT_END {
            return;
        }
        let outs = &self.wiring.outs[place];
        outs.edges.iter().for_each(|to| self.way(place, *to, false));
        outs.joins.iter().for_each(|join| self.joined(*join, place, false));
        if let Goes::To(places) = &outs.goes {
            places.iter().for_each(|to| self.way(place, *to, false));
        }
    }

    fn joined(&mut self, join: usize, from: Place, came: bool) {
        let def = &self.wiring.joins[join];
        let here = self.waiting.0.entry(join).or_default();
        if came {
            here.came.insert(from)
        } else {
            here.skipped.insert(from)
        };
        let all = here.came.len() + here.skipped.len() >= def.sources.len();
        let go = !here.gone && !here.came.is_empty() && (all || def.any);
        let never = all && here.came.is_empty();
        here.gone |= go;
        if all {
            self.waiting.0.remove(&join);
        }
        if go {
            self.pull(def.target);
        } else if never {
            self.skip(def.target);
        }
    }

    fn fork(&mut self, from: Place, fork: usize, targets: &[Target]) -> Result<(), NoWay> {
        let known = self.wiring.forks[fork].targets.as_deref();
        for target in targets {
            self.target(from, target, known)?;
        }
        Ok(())
    }

    fn target(&mut self, from: Place, target: &Target, may: Option<&[Place]>) -> Result<(), NoWay> {
        let no_way = |may| NoWay { from: Arc::clone(self.wiring.name(from)), to: Arc::clone(&target.node), may };
        let Some(to) = self.wiring.places.get(&target.node).copied().filter(|to| *to != AT_START) else {
            return Err(no_way(None));
        };
        if let Some(may) = may
            && !may.contains(&to)
        {
            return Err(no_way(Some(may.iter().map(|place| Arc::clone(self.wiring.name(*place))).collect())));
        }
        match &target.input {
            Some(input) if to != AT_END => self.sends.push((to, Arc::clone(input))),
            _ => self.way(from, to, true),
        }
        Ok(())
    }

    fn tasks(self) -> Vec<Task> {
        let pulled = self.pulls.into_iter().map(|(path, place)| Task { place, path, input: None });
        let mut tasks: Vec<Task> = pulled.collect();
        let mut counts = BTreeMap::<Place, usize>::new();
        for (place, input) in self.sends {
            let count = counts.entry(place).or_default();
            let path = Arc::from(format!("{}[{count}]", self.wiring.name(place)));
            *count += 1;
            tasks.push(Task { place, path, input: Some(input) });
        }
        tasks
    }
}

impl Waiting {
    /// As it is stored.
    pub(crate) fn stored(&self, wiring: &Wiring) -> Vec<StoredJoin> {
        let names = |places: &BTreeSet<Place>| places.iter().map(|place| Arc::clone(wiring.name(*place))).collect();
        let stored = |(join, here): (&usize, &Came)| {
            let def = &wiring.joins[*join];
            StoredJoin {
                target: Arc::clone(wiring.name(def.target)),
                sources: def.sources.iter().map(|place| Arc::clone(wiring.name(*place))).collect(),
                came: names(&here.came),
                skipped: names(&here.skipped),
                gone: here.gone,
            }
        };
        self.0.iter().map(stored).collect()
    }

    /// What was stored, as far as the graph still has it.
    pub(crate) fn read(stored: &[StoredJoin], wiring: &Wiring) -> Self {
        let mut waiting = BTreeMap::new();
        for one in stored {
            let same = |(_, def): &(usize, &crate::graph::wiring::Join)| {
                let sources = def.sources.iter().map(|place| wiring.name(*place));
                *wiring.name(def.target) == one.target && sources.eq(one.sources.iter())
            };
            let Some((join, _)) = wiring.joins.iter().enumerate().find(same) else { continue };
            let places =
                |names: &[Arc<str>]| names.iter().filter_map(|name| wiring.places.get(name).copied()).collect();
            waiting.insert(join, Came { came: places(&one.came), skipped: places(&one.skipped), gone: one.gone });
        }
        Self(waiting)
    }
}
