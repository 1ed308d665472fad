//! A whole state as it is stored, and when that is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::delta::Delta;
use super::value::ChannelValue;
use super::view::StateView;

/// A whole state as it is stored: `{"step": 3, "channels": {"count": 3}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// The super-step after which it was the state.
    pub step: u64,
    /// What the channels hold.
    pub channels: BTreeMap<Arc<str>, ChannelValue>,
}

/// How much was stored since the last base, to tell when another is due. As a base is due only when what came since
/// the last outweighs it, all bases together weigh no more than all deltas; and a state is read from one base and
/// deltas that weigh about as much.
///
/// ```
/// use atomr_agents_state::{AppendList, RunState, SinceBase, StateSchema, Write};
/// use serde_json::json;
///
/// let mut state = RunState::new(&StateSchema::builder().add("log", AppendList).build()?);
/// let (mut since, mut bases) = (SinceBase::default(), 0);
/// for step in 0..10_000 {
///     since.add(&state.apply([Write::new("node", "log", json!(format!("line {step}")))])?);
///     if since.outweighs(&state.snapshot(), 1) {
///         since = SinceBase::default();
///         bases += 1;
///     }
/// }
/// assert!((2..15).contains(&bases), "{bases}");
/// # Ok::<(), atomr_agents_state::StateError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinceBase {
    weight: usize,
}

/// A base below this is not worth the thought.
const SMALL: usize = 4_096;

impl SinceBase {
    /// These deltas were stored.
    pub fn add(&mut self, deltas: &[Delta]) {
        self.weight = self.weight.saturating_add(deltas.iter().map(Delta::weight).sum());
    }

    /// Whether they weigh more than `times` the state (and more than 4 KiB): the greater `times` is, the less is stored
    /// and the more is read.
    #[must_use]
    pub fn outweighs(&self, state: &StateView, times: usize) -> bool {
        self.weight > SMALL && self.weight > state.weight().saturating_mul(times)
    }
}
