//! What counts against a budget.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::{Amount, Budget, BudgetExceeded, Money, Resource};

/// Counts what a run and everything below it use, against a [`Budget`]. Cheap to clone; clones count together. A child
/// has a budget of its own and draws on its parent's too.
///
/// Something is set aside before it is used ([`Meter::reserve`]) and counted afterwards ([`Reservation::settle`]), so
/// that calls made at once cannot together use more than there is: what is counted exceeds a limit only by what calls
/// under way used beyond what was set aside for them.
///
/// ```
/// use atomr_agents_core::{Amount, Budget, Meter};
///
/// let meter = Meter::new(Budget { tokens: Some(100), ..Budget::default() });
/// let researcher = meter.child(Budget::default());
/// let call = researcher.reserve(Amount { tokens: 80, ..Amount::default() })?;
/// assert!(meter.reserve(Amount { tokens: 30, ..Amount::default() }).is_err());
/// call.settle(Amount { tokens: 50, ..Amount::default() });
/// assert_eq!(meter.spent().tokens, 50);
/// # Ok::<(), atomr_agents_core::BudgetExceeded>(())
/// ```
#[derive(Clone)]
pub struct Meter(Arc<Inner>);

struct Inner {
    budget: Budget,
    parent: Option<Meter>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    spent: Amount,
    reserved: Amount,
    /// Cancelled, and replaced, when something is given back.
    freed: CancellationToken,
}

const COUNTED: [Resource; 4] = [Resource::Tokens, Resource::Cost, Resource::Iterations, Resource::ToolCalls];

impl Meter {
    /// A meter on which nothing was counted yet.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self(Arc::new(Inner { budget, parent: None, counts: Mutex::default() }))
    }

    /// A meter for a part of the work, with limits of its own below those of this one.
    #[must_use]
    pub fn child(&self, budget: Budget) -> Self {
        Self(Arc::new(Inner { budget, parent: Some(self.clone()), counts: Mutex::default() }))
    }

    /// The limits of this meter itself.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.0.budget
    }

    /// What was used so far, children included.
    #[must_use]
    pub fn spent(&self) -> Amount {
        self.counts().spent
    }

    /// What is set aside for calls under way, children included.
    #[must_use]
    pub fn reserved(&self) -> Amount {
        self.counts().reserved
    }

    /// Whether a limit on this resource counts here or above.
    #[must_use]
    pub fn limits(&self, resource: Resource) -> bool {
        self.chain().any(|meter| meter.limit(resource).is_some())
    }

    /// How much of a resource is neither used nor set aside, here and above; `None` without a limit.
    #[must_use]
    pub fn free(&self, resource: Resource) -> Option<u64> {
        let free = |meter: &Meter| {
            let limit = meter.limit(resource)?;
            let counts = meter.counts();
            Some(limit.saturating_sub(counts.spent.plus(&counts.reserved).get(resource)))
        };
        self.chain().filter_map(free).min()
    }

    /// Sets `amount` aside, here and above, or nowhere.
    ///
    /// # Errors
    /// [`BudgetExceeded`] of the first limit, from here upwards, that does not hold it.
    pub fn reserve(&self, amount: Amount) -> Result<Reservation, BudgetExceeded> {
        // All are locked, each before the one above it, so that nobody sees something set aside here that is not held
        // above: one who waits for it to be given back would never be told.
        let mut locked: Vec<MutexGuard<'_, Counts>> = Vec::new();
        for meter in self.chain() {
            let counts = meter.counts();
            meter.check(&counts, &amount)?;
            locked.push(counts);
        }
        for counts in &mut locked {
            counts.reserved = counts.reserved.plus(&amount);
        }
        drop(locked);
        Ok(Reservation { meter: self.clone(), amount, settled: false })
    }

    /// Counts what was used before this meter was made, here and not above, e.g. by a run that is taken up again. It may
    /// be more than the budget.
    pub fn carry_over(&self, used: Amount) {
        let mut counts = self.counts();
        counts.spent = counts.spent.plus(&used);
    }

    /// Whether waiting can help one who got `exceeded`: something is set aside that may be given back.
    #[must_use]
    pub fn may_be_freed(&self, exceeded: &BudgetExceeded) -> bool {
        exceeded.reserved > 0 && exceeded.asked <= exceeded.limit.saturating_sub(exceeded.spent)
    }

    /// Cancelled when something is given back, here or, as whatever is set aside above a child is set aside in a
    /// meter they share, above. Get it before asking for what may not be there yet.
    #[must_use]
    pub fn freed(&self) -> CancellationToken {
        let top = self.chain().last().unwrap_or(self);
        top.counts().freed.clone()
    }

    fn chain(&self) -> impl Iterator<Item = &Meter> {
        std::iter::successors(Some(self), |meter| meter.0.parent.as_ref())
    }

    fn limit(&self, resource: Resource) -> Option<u64> {
        let budget = &self.0.budget;
        match resource {
            Resource::Tokens => budget.tokens,
            Resource::Cost => budget.cost.map(Money::micro_usd),
            Resource::Iterations => budget.iterations,
            Resource::ToolCalls => budget.tool_calls,
            Resource::Time => budget.time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn check(&self, counts: &Counts, amount: &Amount) -> Result<(), BudgetExceeded> {
        for resource in COUNTED {
            let Some(limit) = self.limit(resource) else { continue };
            let (spent, reserved) = (counts.spent.get(resource), counts.reserved.get(resource));
            let asked = amount.get(resource);
            if asked > 0 && spent.saturating_add(reserved).saturating_add(asked) > limit {
                return Err(BudgetExceeded { resource, limit, spent, reserved, asked });
            }
        }
        Ok(())
    }

    fn release(&self, reserved: &Amount, used: &Amount) {
        let mut counts = self.counts();
        counts.reserved = counts.reserved.minus(reserved);
        counts.spent = counts.spent.plus(used);
        let freed = std::mem::take(&mut counts.freed);
        drop(counts);
        freed.cancel();
    }

    /// No code that holds this lock can leave the counts half changed.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("budget", &self.0.budget).field("spent", &self.spent()).finish_non_exhaustive()
    }
}

/// Something set aside. Dropping it gives it back unused.
#[derive(Debug)]
#[must_use = "dropping a reservation gives it back"]
pub struct Reservation {
    meter: Meter,
    amount: Amount,
    settled: bool,
}

impl Reservation {
    /// What was set aside.
    #[must_use]
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// Counts what was really used, which may be less or more than what was set aside.
    pub fn settle(mut self, used: Amount) {
        self.settled = true;
        self.meter.chain().for_each(|meter| meter.release(&self.amount, &used));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            self.meter.chain().for_each(|meter| meter.release(&self.amount, &Amount::default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(tokens: u64) -> Amount {
        Amount { tokens, ..Amount::default() }
    }

    fn limited(tokens: u64) -> Budget {
        Budget { tokens: Some(tokens), ..Budget::default() }
    }

    #[test]
    fn a_child_draws_on_its_parent_and_has_limits_of_its_own() {
        let parent = Meter::new(limited(100));
        let child = parent.child(limited(40));
        let exceeded = child.reserve(tokens(41)).unwrap_err();
        assert_eq!((exceeded.resource, exceeded.limit, exceeded.asked), (Resource::Tokens, 40, 41));
        let held = child.reserve(tokens(40)).unwrap();
        assert_eq!((parent.reserved().tokens, parent.free(Resource::Tokens)), (40, Some(60)));
        held.settle(tokens(45));
        assert_eq!((child.spent().tokens, parent.spent().tokens, parent.reserved().tokens), (45, 45, 0));
        assert_eq!(child.free(Resource::Tokens), Some(0));
    }

    #[test]
    fn what_the_parent_cannot_hold_is_held_nowhere_and_what_is_dropped_is_given_back() {
        let parent = Meter::new(limited(10));
        let child = parent.child(Budget::default());
        assert!(child.reserve(tokens(11)).is_err());
        assert_eq!(child.reserved(), Amount::default());
        let freed = child.freed();
        let held = child.reserve(tokens(10)).unwrap();
        let exceeded = child.reserve(tokens(1)).unwrap_err();
        assert!(child.may_be_freed(&exceeded) && !freed.is_cancelled());
        drop(held);
        assert!(freed.is_cancelled());
        assert_eq!((parent.reserved(), parent.spent()), (Amount::default(), Amount::default()));
    }

    #[test]
    fn it_says_what_is_used_up() {
        let budget = Budget { cost: Some(Money::from_micro_usd(1_500_000)), ..Budget::default() };
        let cost = |micro| Amount { cost: Money::from_micro_usd(micro), ..Amount::default() };
        let meter = Meter::new(budget);
        meter.reserve(cost(1_000_000)).unwrap().settle(cost(1_000_000));
        let said = meter.reserve(cost(600_000)).unwrap_err().to_string();
        assert_eq!(said, "the budget of $1.500000 cost is used up: $1.000000 spent, $0.600000 needed");
    }

    #[test]
    fn what_was_used_before_counts_here_and_not_above() {
        let parent = Meter::new(limited(100));
        let taken_up = parent.child(limited(50));
        taken_up.carry_over(tokens(45));
        assert!(taken_up.reserve(tokens(6)).is_err());
        assert_eq!((taken_up.free(Resource::Tokens), parent.spent().tokens), (Some(5), 0));
    }

    #[test]
    fn whoever_is_told_to_wait_is_told_when_to_ask_again() {
        // Of two children, one asks for more than there is at the top: what it cannot have, nobody may wait for.
        let top = Meter::new(limited(50));
        let shared = top.child(limited(100));
        let asks = |amount: u64| {
            let shared = shared.clone();
            move || {
                for _ in 0..2_000 {
                    let freed = shared.freed();
                    match shared.reserve(tokens(amount)) {
                        Ok(held) => drop(held),
                        Err(exceeded) if shared.may_be_freed(&exceeded) => {
                            // Nothing else is ever set aside but by the two, each for a moment.
                            let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
                            while !freed.is_cancelled() {
                                assert!(std::time::Instant::now() < until, "it waits for ever: {exceeded:?}");
                                std::thread::yield_now();
                            }
                        }
                        Err(_) => {}
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(asks(80));
            scope.spawn(asks(30));
        });
        assert_eq!((top.reserved(), shared.reserved()), (Amount::default(), Amount::default()));
    }

    #[test]
    fn many_at_once_never_hold_more_than_there_is() {
        let parent = Meter::new(limited(1_000));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let child = parent.child(Budget::default());
                scope.spawn(move || {
                    for _ in 0..500 {
                        if let Ok(held) = child.reserve(tokens(7)) {
                            held.settle(tokens(3));
                        }
                    }
                });
            }
        });
        let spent = parent.spent().tokens;
        assert!(spent <= 1_000 && spent > 990, "{spent}");
        assert_eq!(parent.reserved(), Amount::default());
    }
}
