//! What a model call may use of the budget, set aside before it and counted after it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atomr_agents_core::{
    Amount, BudgetExceeded, CallCtx, EventKind, Meter, ModelRequest, Money, Reservation, Resource,
};
use atomr_agents_inference::{ModelReply, ReplyBuilder};
use atomr_agents_tokens::{ModelLimits, Price, TokenCounter, TokenCounts};

use crate::{AgentError, AgentOptions};

/// Fewer tokens of answer than this are not worth a call, and some providers refuse to write so few.
const MIN_OUTPUT: u64 = 16;

/// Fewer thoughts than this, no provider takes as a limit.
const MIN_THINKING: u32 = 1024;

/// The longest wait for what others have set aside. They are calls under way, which end; one that waits for this very
/// caller, as a model that runs an agent may, does not.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// A model call that the budget holds.
pub(crate) struct Charge<'a> {
    options: &'a AgentOptions,
    ctx: &'a CallCtx,
    model: String,
    reservation: Option<Reservation>,
    /// Tokens of the prompt, counted here; only where tokens or money are limited.
    input: Option<u64>,
}

impl<'a> Charge<'a> {
    /// Sets aside what the call may use at most: the prompt as it is counted here, and the whole answer. What others
    /// have set aside may be given back, so it is waited for; where less is left than the answer could need, the answer
    /// is limited to that.
    pub(crate) async fn reserve(
        options: &'a AgentOptions,
        request: &mut ModelRequest,
        ctx: &'a CallCtx,
    ) -> Result<Self, AgentError> {
        let mut charge = Self { options, ctx, model: request.model.clone(), reservation: None, input: None };
        let Some(meter) = ctx.meter() else { return Ok(charge) };
        if !meter.limits(Resource::Tokens) && !meter.limits(Resource::Cost) {
            let amount = Amount { iterations: 1, ..Amount::default() };
            charge.reservation = Some(hold(meter, ctx, amount, |_| None).await?);
            return Ok(charge);
        }
        let price = options.prices.price(&request.model);
        if price.is_none() && meter.limits(Resource::Cost) {
            let message =
                format!("it limits money, and the price of {} is not known; say it with prices", request.model);
            return Err(AgentError::Config { setting: "budget", message });
        }
        let input = options.counter.count_request(request);
        let mut output = most_output(request)?;
        let caching = !request.cache.is_empty();
        let amount = hold(meter, ctx, worst(input, output, price, caching), |exceeded| {
            let left = exceeded.limit.saturating_sub(exceeded.spent);
            let fits = match exceeded.resource {
                Resource::Tokens => left.saturating_sub(input),
                Resource::Cost => affordable(left, input, output, price?, caching),
                _ => 0,
            };
            if fits < MIN_OUTPUT || fits >= output {
                return None;
            }
            output = fits;
            Some(worst(input, output, price, caching))
        });
        let reservation = amount.await?;
        limit_output(request, output);
        let cost = price.map(|_| reservation.amount().cost);
        ctx.emit(EventKind::BudgetReserved { tokens: reservation.amount().tokens, cost });
        charge.reservation = Some(reservation);
        charge.input = Some(input);
        Ok(charge)
    }

    /// Counts what the call used. Gives what it cost, if the price is known: that of the model that answered, as a
    /// fallback may be another than the one that was asked, or else of that.
    pub(crate) fn settle(self, reply: &ModelReply) -> Option<Money> {
        self.count(&TokenCounts::of(&reply.usage), reply.model.as_deref())
    }

    /// Counts what a call used that broke off: what the provider told, or else what can be seen of it. A call that was
    /// never answered is not counted.
    pub(crate) fn settle_broken(self, reply: &ReplyBuilder) {
        if !reply.has_begun() {
            return;
        }
        let told = TokenCounts::of(reply.usage());
        if told.total() > 0 {
            self.count(&told, reply.model());
            return;
        }
        let text = reply.partial().map(|message| message.text()).unwrap_or_default();
        let output = if self.input.is_some() { self.options.counter.count_text(&self.model, &text) } else { 0 };
        let seen = TokenCounts { uncached_input: self.input.unwrap_or(0), output, ..TokenCounts::default() };
        self.count(&seen, reply.model());
    }

    fn count(self, counts: &TokenCounts, answered: Option<&str>) -> Option<Money> {
        let prices = &self.options.prices;
        let price = answered.and_then(|model| prices.price(model)).or_else(|| prices.price(&self.model));
        let cost = price.map(|price| price.cost_of(counts));
        let Some(reservation) = self.reservation else { return cost };
        let tokens = counts.total();
        reservation.settle(Amount { tokens, cost: cost.unwrap_or_default(), iterations: 1, tool_calls: 0 });
        if self.input.is_some() {
            self.ctx.emit(EventKind::BudgetSpent { tokens, cost });
        }
        cost
    }
}

/// The tool calls of one answer, on the budget: those that were begun by the time it is dropped are counted.
pub(crate) struct ToolCharge {
    reservation: Option<Reservation>,
    begun: AtomicU64,
}

impl ToolCharge {
    /// Sets so many calls aside, or none.
    pub(crate) fn reserve(ctx: &CallCtx, calls: usize) -> Result<Self, BudgetExceeded> {
        let amount = Amount { tool_calls: calls as u64, ..Amount::default() };
        let reservation = ctx.meter().map(|meter| meter.reserve(amount)).transpose()?;
        Ok(Self { reservation, begun: AtomicU64::new(0) })
    }

    /// One of them begins.
    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for ToolCharge {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(Amount { tool_calls: *self.begun.get_mut(), ..Amount::default() });
        }
    }
}

/// Sets `amount` aside, or the smaller one that `less` gives, as soon as the budget holds it.
async fn hold(
    meter: &Meter,
    ctx: &CallCtx,
    mut amount: Amount,
    mut less: impl FnMut(&BudgetExceeded) -> Option<Amount>,
) -> Result<Reservation, AgentError> {
    loop {
        let freed = meter.freed();
        let exceeded = match meter.reserve(amount) {
            Ok(reservation) => return Ok(reservation),
            Err(exceeded) => exceeded,
        };
        if meter.may_be_freed(&exceeded) {
            // The caller's own deadline ends the run above; it counts here where a middleware gave the call a shorter one.
            let patience = ctx.remaining().map_or(MAX_WAIT, |left| left.min(MAX_WAIT));
            tokio::select! {
                () = freed.cancelled() => {}
                () = ctx.cancel.cancelled() => return Err(AgentError::Cancelled),
                () = tokio::time::sleep(patience) => return Err(exceeded.into()),
            }
        } else {
            amount = less(&exceeded).ok_or(exceeded)?;
        }
    }
}

/// How long the answer may be at most.
fn most_output(request: &ModelRequest) -> Result<u64, AgentError> {
    let asked = request.sampling.max_tokens.map(u64::from);
    asked.or_else(|| ModelLimits::of(&request.model).map(|limits| limits.max_output)).ok_or_else(|| {
        let message = format!(
            "it must be set under a budget of tokens or money: how much {} writes at most is not known here",
            request.model
        );
        AgentError::Config { setting: "max_tokens", message }
    })
}

fn counts(input: u64, output: u64, caching: bool) -> TokenCounts {
    let (uncached_input, cache_write) = if caching { (0, input) } else { (input, 0) };
    TokenCounts { uncached_input, cache_write, output, ..TokenCounts::default() }
}

fn worst(input: u64, output: u64, price: Option<Price>, caching: bool) -> Amount {
    let cost = price.map(|price| price.cost_of(&counts(input, output, caching)));
    Amount { tokens: input.saturating_add(output), cost: cost.unwrap_or_default(), iterations: 1, tool_calls: 0 }
}

/// How many tokens of answer, up to `output`, this much money pays for.
fn affordable(left: u64, input: u64, output: u64, price: Price, caching: bool) -> u64 {
    let pays = |tokens: u64| price.cost_of(&counts(input, tokens, caching)) <= Money::from_micro_usd(left);
    let (mut low, mut high) = (0, output);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if pays(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

fn limit_output(request: &mut ModelRequest, output: u64) {
    let sampling = &mut request.sampling;
    let output = u32::try_from(output).unwrap_or(u32::MAX);
    if sampling.max_tokens.is_none_or(|asked| asked > output) {
        sampling.max_tokens = Some(output);
        // Thoughts are a part of the answer.
        if sampling.thinking_budget.is_some_and(|thoughts| thoughts >= output) {
            sampling.thinking_budget = Some(output / 2).filter(|thoughts| *thoughts >= MIN_THINKING);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_money_pays_for_is_found_to_the_token() {
        let price = Price::new(1_000_000, 1_000_000, 10_000_000);
        // 100 tokens read cost 100 micro-USD, each one written 10.
        assert_eq!(affordable(1_100, 100, 5_000, price, false), 100);
        assert_eq!(affordable(1_109, 100, 5_000, price, false), 100);
        assert_eq!(affordable(50, 100, 5_000, price, false), 0);
        assert_eq!(affordable(1_000_000, 100, 5_000, price, false), 5_000);
    }
}
