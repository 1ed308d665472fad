//! What the model calls of a run used.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomr_agents_core::{Message, Money, Usage};
use atomr_agents_inference::{ModelReply, ReplyBuilder};

use crate::Transcript;
use crate::budget::Charge;

/// An answer while it is being streamed.
pub(crate) type Streamed = Arc<Mutex<ReplyBuilder>>;

/// What the model calls of a run used, those included whose answers came to nothing.
#[derive(Debug)]
pub(crate) struct Bill {
    /// `None` once a call of unknown price was made.
    cost: Option<Money>,
    /// As much of it as was told ([`Bill::paid`]).
    told: Option<Money>,
    /// Used by calls whose answer the machine was not fed yet, or never will be.
    unfed: Usage,
    /// The answers under way. A middleware may ask for several at once.
    live: Vec<Streamed>,
    /// The last answer that broke off, while no other was asked for.
    broken: Option<ReplyBuilder>,
}

impl Bill {
    pub(crate) fn new(cost: Option<Money>) -> Self {
        Self { cost, told: cost, unfed: Usage::default(), live: Vec::new(), broken: None }
    }

    pub(crate) fn cost(&self) -> Option<Money> {
        self.cost
    }

    /// A call was answered in another process.
    pub(crate) fn recorded(&mut self, cost: Option<Money>) {
        self.add(cost);
        self.told = self.cost;
    }

    /// What was paid since this was asked last; `None` where that is not known.
    pub(crate) fn paid(&mut self) -> Option<Money> {
        let before = std::mem::replace(&mut self.told, self.cost)?;
        let after = self.cost?;
        Some(Money::from_micro_usd(after.micro_usd().saturating_sub(before.micro_usd())))
    }

    /// One call of unknown price makes the whole unknown.
    fn add(&mut self, cost: Option<Money>) {
        self.cost = self.cost.zip(cost).map(|(mut sum, cost)| {
            sum += cost;
            sum
        });
    }

    fn open(&mut self, streamed: Streamed) {
        self.write_off();
        self.live.push(streamed);
    }

    fn answered(&mut self, streamed: &Streamed, usage: &Usage, cost: Option<Money>) {
        self.live.retain(|live| !Arc::ptr_eq(live, streamed));
        self.unfed += usage;
        self.add(cost);
    }

    fn broke_off(&mut self, streamed: &Streamed, broken: ReplyBuilder) {
        self.write_off();
        self.live.retain(|live| !Arc::ptr_eq(live, streamed));
        self.broken = Some(broken);
    }

    /// Of an answer that broke off nothing is kept but what it used.
    fn write_off(&mut self) {
        let Some(broken) = self.broken.take() else { return };
        self.unfed += broken.usage();
        if broken.has_begun() {
            // What the provider charges for it, nobody knows.
            self.cost = None;
        }
    }

    /// What was used since the machine was fed last.
    pub(crate) fn take(&mut self) -> Usage {
        self.write_off();
        std::mem::take(&mut self.unfed)
    }

    /// Whatever is under way has ended: what it had said, and what was used since the machine was fed last.
    pub(crate) fn close(&mut self) -> (Option<Message>, Usage) {
        let mut said = self.broken.as_ref().and_then(ReplyBuilder::partial);
        for live in std::mem::take(&mut self.live) {
            let broken = std::mem::take(&mut *lock(&live));
            said = broken.partial();
            self.broke_off(&live, broken);
        }
        (said, self.take())
    }

    /// As [`Bill::close`], without closing it, and what all calls cost so far.
    pub(crate) fn seen(&self) -> (Option<Message>, Usage, Option<Money>) {
        let (mut said, mut usage, mut cost) = (None, self.unfed.clone(), self.cost);
        let mut add = |streamed: &ReplyBuilder| {
            said = streamed.partial();
            usage += streamed.usage();
            cost = cost.filter(|_| !streamed.has_begun());
        };
        self.broken.iter().for_each(&mut add);
        self.live.iter().for_each(|live| add(&lock(live)));
        (said, usage, cost)
    }
}

/// A call of the model that is under way, on the budget and on the bill. When it is dropped before its end, what can be
/// seen of it is counted.
pub(crate) struct Call<'a> {
    transcript: &'a Transcript,
    streamed: Streamed,
    charge: Option<Charge<'a>>,
}

impl<'a> Call<'a> {
    pub(crate) fn begin(transcript: &'a Transcript, provider: &str, charge: Charge<'a>) -> Self {
        let streamed = Arc::new(Mutex::new(ReplyBuilder::new(provider)));
        transcript.lock().bill.open(Arc::clone(&streamed));
        Self { transcript, streamed, charge: Some(charge) }
    }

    pub(crate) fn streamed(&self) -> MutexGuard<'_, ReplyBuilder> {
        lock(&self.streamed)
    }

    pub(crate) fn answered(mut self, reply: &ModelReply) {
        if let Some(charge) = self.charge.take() {
            let cost = charge.settle(reply);
            self.transcript.lock().bill.answered(&self.streamed, &reply.usage, cost);
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some(charge) = self.charge.take() {
            let broken = std::mem::take(&mut *self.streamed());
            // Whoever hears of it may look at the transcript: no lock is held.
            charge.settle_broken(&broken);
            self.transcript.lock().bill.broke_off(&self.streamed, broken);
        }
    }
}

/// No code that holds this lock can leave the answer half changed.
fn lock(streamed: &Streamed) -> MutexGuard<'_, ReplyBuilder> {
    streamed.lock().unwrap_or_else(PoisonError::into_inner)
}
