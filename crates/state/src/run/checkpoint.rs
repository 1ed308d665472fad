//! The state of a run as its checkpoints say it.

use std::collections::BTreeMap;

use atomr_agents_core::Value;

use crate::{Body, Checkpoint, Due, Item, Placed, RunLogError, RunReader, StoredDelta};

/// A channel's value, as bodies.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredChannel {
    /// One value.
    Single(Body),
    /// A list, by element.
    List(Vec<Body>),
    /// A map, by key.
    Map(BTreeMap<String, Body>),
}

/// The whole state after a step: what a checkpoint says together with those before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredState {
    /// The step.
    pub step: u64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Why: `input`, `step`, `update`, `fork`.
    pub source: String,
    /// The channels.
    pub channels: BTreeMap<String, StoredChannel>,
    /// What is due next.
    pub next: Vec<Due>,
    /// The version of the graph that made it.
    pub version: String,
    /// The engine's own notes.
    pub note: Option<Value>,
}

impl StoredState {
    /// The state after the last checkpoint in these frames; `None` if there is none in them.
    ///
    /// # Errors
    /// [`RunLogError::Corrupt`] for one that does not fit those before it.
    pub fn after(frames: &[Placed]) -> Result<Option<Self>, RunLogError> {
        let mut any = false;
        let state = Self::walk(frames, |_| any = true)?;
        Ok(any.then_some(state))
    }

    /// Shows the state after each checkpoint in these frames.
    ///
    /// # Errors
    /// As [`Self::after`].
    pub fn walk(frames: &[Placed], mut each: impl FnMut(&Self)) -> Result<Self, RunLogError> {
        let mut state = Self::default();
        for placed in frames {
            for item in &placed.frame.items {
                let Item::Checkpoint(checkpoint) = item else { continue };
                state.apply(checkpoint, placed.frame.time_ms).map_err(|message| RunLogError::Corrupt {
                    run: placed.run.to_string(),
                    at: placed.at,
                    message,
                })?;
                each(&state);
            }
        }
        Ok(state)
    }

    /// Goes on by one checkpoint.
    ///
    /// # Errors
    /// What is wrong with it, in words: a change that does not fit the channel it is of.
    pub fn apply(&mut self, checkpoint: &Checkpoint, time_ms: u64) -> Result<(), String> {
        if checkpoint.base {
            self.channels.clear();
        }
        for (name, delta) in &checkpoint.channels {
            let before = self.channels.remove(name);
            let after = changed(before, delta).map_err(|what| format!("channel {name:?}: {what}"))?;
            self.channels.insert(name.clone(), after);
        }
        self.step = checkpoint.step;
        self.time_ms = time_ms;
        self.source.clone_from(&checkpoint.source);
        self.next.clone_from(&checkpoint.next);
        self.version.clone_from(&checkpoint.version);
        self.note = match &checkpoint.note {
            Some(raw) => Some(serde_json::from_str(raw.get()).map_err(|error| error.to_string())?),
            None => None,
        };
        Ok(())
    }

    /// The same state as a checkpoint that needs no other before it.
    #[must_use]
    pub fn base(&self) -> Checkpoint {
        let whole = |channel: &StoredChannel| match channel {
            StoredChannel::Single(body) => StoredDelta::Set(body.clone()),
            StoredChannel::List(bodies) => StoredDelta::List(bodies.clone()),
            StoredChannel::Map(bodies) => StoredDelta::Map(bodies.clone()),
        };
        Checkpoint {
            step: self.step,
            base: true,
            source: self.source.clone(),
            channels: self.channels.iter().map(|(name, channel)| (name.clone(), whole(channel))).collect(),
            next: self.next.clone(),
            version: self.version.clone(),
            note: self.note.as_ref().and_then(|note| serde_json::value::to_raw_value(note).ok()),
        }
    }

    /// The values of all channels, read in one go.
    ///
    /// # Errors
    /// As [`RunReader::values`].
    pub async fn values(&self, reader: &RunReader) -> Result<BTreeMap<String, Value>, RunLogError> {
        let mut bodies = Vec::new();
        for channel in self.channels.values() {
            match channel {
                StoredChannel::Single(body) => bodies.push(body),
                StoredChannel::List(list) => bodies.extend(list),
                StoredChannel::Map(map) => bodies.extend(map.values()),
            }
        }
        let mut values = reader.values::<Value>(&bodies).await?.into_iter();
        let mut next = || values.next().unwrap_or_default();
        let mut all = BTreeMap::new();
        for (name, channel) in &self.channels {
            let value = match channel {
                StoredChannel::Single(_) => next(),
                StoredChannel::List(list) => Value::Array(list.iter().map(|_| next()).collect()),
                StoredChannel::Map(map) => Value::Object(map.keys().map(|key| (key.clone(), next())).collect()),
            };
            all.insert(name.clone(), value);
        }
        Ok(all)
    }
}

fn changed(before: Option<StoredChannel>, delta: &StoredDelta) -> Result<StoredChannel, &'static str> {
    Ok(match (delta, before) {
        (StoredDelta::Set(body), _) => StoredChannel::Single(body.clone()),
        (StoredDelta::List(bodies), _) => StoredChannel::List(bodies.clone()),
        (StoredDelta::Append(bodies), None) => StoredChannel::List(bodies.clone()),
        (StoredDelta::Append(bodies), Some(StoredChannel::List(mut list))) => {
            list.extend(bodies.iter().cloned());
            StoredChannel::List(list)
        }
        (StoredDelta::Replace(bodies), Some(StoredChannel::List(mut list))) => {
            for (at, body) in bodies {
                *list.get_mut(*at).ok_or("an element is replaced that it does not have")? = body.clone();
            }
            StoredChannel::List(list)
        }
        (StoredDelta::Map(bodies), _) | (StoredDelta::Merge(bodies), None) => StoredChannel::Map(bodies.clone()),
        (StoredDelta::Merge(bodies), Some(StoredChannel::Map(mut map))) => {
            map.extend(bodies.iter().map(|(key, body)| (key.clone(), body.clone())));
            StoredChannel::Map(map)
        }
        (StoredDelta::All(deltas), mut before) => {
            for delta in deltas {
                before = Some(changed(before, delta)?);
            }
            before.ok_or("a change of nothing")?
        }
        (StoredDelta::Append(_) | StoredDelta::Replace(_), _) => return Err("something was added to what is no list"),
        (StoredDelta::Merge(_), _) => return Err("a key was set in what is no map"),
    })
}

/// The shortest change that makes of `before` what `whole` says: what is new in a list or a map, if that is less than the whole.
pub(crate) fn news(before: Option<&StoredChannel>, whole: &StoredDelta) -> StoredDelta {
    match (before, whole) {
        (Some(StoredChannel::List(before)), StoredDelta::List(after)) if before.len() <= after.len() => {
            let (same, more) = after.split_at(before.len());
            let others = same.iter().enumerate().zip(before).filter(|((_, after), before)| after != before);
            let others: Vec<_> = others.map(|((at, after), _)| (at, after.clone())).collect();
            match (others.len(), more.len()) {
                (0, _) => StoredDelta::Append(more.to_vec()),
                (count, new) if count + new >= after.len() => whole.clone(),
                (_, 0) => StoredDelta::Replace(others),
                _ => StoredDelta::All(vec![StoredDelta::Replace(others), StoredDelta::Append(more.to_vec())]),
            }
        }
        (Some(StoredChannel::Map(before)), StoredDelta::Map(after))
            if before.keys().all(|key| after.contains_key(key)) =>
        {
            let others = after.iter().filter(|(key, after)| before.get(*key) != Some(*after));
            StoredDelta::Merge(others.map(|(key, after)| (key.clone(), after.clone())).collect())
        }
        _ => whole.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn bodies(numbers: &[u8]) -> Vec<Body> {
        numbers.iter().map(|number| Body::of(&json!(number)).unwrap().into()).collect()
    }

    proptest! {
        #[test]
        fn news_make_the_same_of_what_was_there(before: Vec<u8>, mut after: Vec<u8>, kept in 0_usize..20, maps: bool) {
            // Most edits leave much as it is.
            let kept = kept.min(before.len()).min(after.len());
            after[..kept].copy_from_slice(&before[..kept]);
            let map = |all: &[u8]| all.iter().map(|each| format!("{}", each % 8)).zip(bodies(all)).collect();
            let (before, whole) = if maps {
                (StoredChannel::Map(map(&before)), StoredDelta::Map(map(&after)))
            } else {
                (StoredChannel::List(bodies(&before)), StoredDelta::List(bodies(&after)))
            };
            let told = news(Some(&before), &whole);
            prop_assert_eq!(changed(Some(before), &told), changed(None, &whole));
        }
    }

    #[test]
    fn one_more_in_a_long_list_is_one_more() {
        let (before, after) = (bodies(&[1; 100]), bodies(&[1; 101]));
        let list = StoredChannel::List(before);
        assert_eq!(news(Some(&list), &StoredDelta::List(after)), StoredDelta::Append(bodies(&[1])));
        let mut after = bodies(&[1; 101]);
        after[50] = bodies(&[2]).remove(0);
        let two = vec![StoredDelta::Replace(vec![(50, after[50].clone())]), StoredDelta::Append(bodies(&[1]))];
        assert_eq!(news(Some(&list), &StoredDelta::List(after)), StoredDelta::All(two));
        let fewer = StoredDelta::List(bodies(&[1; 99]));
        assert_eq!(news(Some(&list), &fewer), fewer);
        assert_eq!(news(None, &fewer), fewer);
    }
}
