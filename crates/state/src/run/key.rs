//! Names of effects.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use atomr_agents_core::EffectClass;

/// Which effect of a run: its step (the super-step of a graph, the turn of an agent), the path of the node or agent that
/// performs it, and that one's own count. It is the same at every attempt, also after a crash, as none of the three
/// depends on what finishes first.
///
/// ```
/// use atomr_agents_state::EffectKey;
///
/// let key = EffectKey::new(7, "planner/search", 0);
/// assert_eq!(key.to_string(), "7:planner/search#0");
/// assert_eq!("7:planner/search#0".parse(), Ok(key));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EffectKey {
    /// The step.
    pub step: u64,
    /// Who performs it.
    pub path: String,
    /// The performer's own count, from 0.
    pub index: u32,
}

impl EffectKey {
    /// A key of these parts.
    #[must_use]
    pub fn new(step: u64, path: &str, index: u32) -> Self {
        Self { step, path: path.to_owned(), index }
    }

    /// What a tool hands to the service that it calls, so that a second attempt does nothing: a hash of the run, this
    /// key and the tool's version, in hex. A fork is another run and has other keys.
    #[must_use]
    pub fn idempotency(&self, run: &str, version: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [run, &self.path, version] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.update(&self.step.to_le_bytes()).update(&self.index.to_le_bytes());
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}#{}", self.step, self.path, self.index)
    }
}

/// A text that is no [`EffectKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of an effect is written step:path#index, such as 7:planner#0")]
pub struct BadEffectKey;

impl FromStr for EffectKey {
    type Err = BadEffectKey;

    fn from_str(text: &str) -> Result<Self, BadEffectKey> {
        let (step, rest) = text.split_once(':').ok_or(BadEffectKey)?;
        let (path, index) = rest.rsplit_once('#').ok_or(BadEffectKey)?;
        let step = step.parse().map_err(|_| BadEffectKey)?;
        let index = index.parse().map_err(|_| BadEffectKey)?;
        Ok(Self { step, path: path.to_owned(), index })
    }
}

impl Serialize for EffectKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EffectKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
