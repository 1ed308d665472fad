//! A channel while writes are reduced into it: a copy, so that an error changes nothing.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use atomr_agents_core::Value;

use super::delta::{Change, Delta};
use super::error::ReduceError;
use super::list::SharedList;
use super::map::SharedMap;
use super::reducer::{BuiltIn, Reducer};
use super::value::ChannelValue;

/// What a check of a write answers.
type Checked = Result<(), ReduceError>;

/// A channel while writes are reduced into it.
#[derive(Debug)]
pub(crate) struct Draft {
    before: ChannelValue,
    value: ChannelValue,
    /// Positions of `before` that hold something else now.
    replaced: BTreeSet<usize>,
}

impl Draft {
    pub(crate) fn new(value: ChannelValue) -> Self {
        Self { before: value.clone(), value, replaced: BTreeSet::new() }
    }

    pub(crate) fn into_value(self) -> ChannelValue {
        self.value
    }

    /// Reduces one write; `check` sees what is about to be in the channel: each item of a list, each value of a map, or
    /// the whole value.
    pub(crate) fn fold_built_in(
        &mut self,
        built_in: BuiltIn,
        incoming: Value,
        check: &mut dyn FnMut(&Value) -> Checked,
    ) -> Result<(), ReduceError> {
        match &mut self.value {
            ChannelValue::Single(slot) => {
                if built_in == BuiltIn::MaxByTimestamp && !newer(slot, &incoming)? {
                    return Ok(());
                }
                check(&incoming)?;
                *slot = Arc::new(incoming);
            }
            ChannelValue::List(list) => {
                let items = match incoming {
                    Value::Null => Vec::new(),
                    Value::Array(items) => items,
                    one => vec![one],
                };
                for item in items {
                    if built_in == BuiltIn::AppendMessages && !item.is_object() {
                        let advice = r#"write {"role": "user", "content": "…"}, or an array of such"#;
                        return Err(ReduceError::wrong(&item, "messages, which are objects", advice));
                    }
                    check(&item)?;
                    self.replaced.extend(list.put(Arc::new(item)));
                }
            }
            ChannelValue::Map(map) => match incoming {
                Value::Null => {}
                Value::Object(entries) => {
                    for (key, value) in entries {
                        check(&value)?;
                        self.replaced.extend(map.put(key.into(), Arc::new(value)));
                    }
                }
                other => return Err(ReduceError::wrong(&other, "an object", r#"write {"key": value}"#)),
            },
        }
        Ok(())
    }

    /// Lets a reducer of the user's make the new value.
    pub(crate) fn fold_custom(
        &mut self,
        reducer: &dyn Reducer,
        incoming: Value,
        check: &mut dyn FnMut(&Value) -> Checked,
    ) -> Result<(), ReduceError> {
        let current = self.value.clone().into_shared();
        // The reducer has nothing but a shared value of ours, so that nothing can be left half done in it.
        let reduced = catch_unwind(AssertUnwindSafe(|| reducer.reduce(&current, incoming)))
            .unwrap_or_else(|panic| Err(ReduceError::Panicked { message: said(&*panic) }))?;
        check(&reduced)?;
        self.value = ChannelValue::Single(Arc::new(reduced));
        Ok(())
    }

    /// What the channel holds now, and what is new in it. `grows` if a whole new value may be the old one with more.
    pub(crate) fn finish(self, channel: &Arc<str>, grows: bool, deltas: &mut Vec<Delta>) -> ChannelValue {
        let mut tell = |change| deltas.push(Delta { channel: Arc::clone(channel), change });
        match (&self.before, &self.value) {
            (ChannelValue::List(before), ChannelValue::List(list)) => {
                self.list_changes(before, list).into_iter().for_each(tell);
            }
            (ChannelValue::Map(before), ChannelValue::Map(map)) => {
                let changed = self.changed_entries(before, map);
                if !changed.is_empty() {
                    tell(Change::Merge(changed));
                }
            }
            (before, value) if before == value => {}
            (ChannelValue::Single(before), ChannelValue::Single(value)) => {
                let grown = if grows { Change::growth(before, value) } else { None };
                tell(grown.unwrap_or_else(|| Change::Set(Arc::clone(value))));
            }
            (_, value) => tell(Change::Set(value.clone().into_shared())),
        }
        self.value
    }

    fn list_changes(&self, before: &SharedList, list: &SharedList) -> Vec<Change> {
        let old = before.len();
        let replaced = self.replaced.range(..old).filter(|at| before.get(**at) != list.get(**at));
        let mut changes: Vec<Change> =
            replaced.filter_map(|at| Some(Change::Replace { at: *at, value: list.shared(*at)? })).collect();
        if list.len() > old {
            changes.push(Change::Append(list.shared_from(old)));
        }
        changes
    }

    fn changed_entries(&self, before: &SharedMap, map: &SharedMap) -> SharedMap {
        let mut changed = SharedMap::default();
        let replaced = self.replaced.range(..before.len()).copied();
        for at in replaced.chain(before.len()..map.len()) {
            if let Some((key, value)) = map.entry(at)
                && before.get(key) != Some(value)
            {
                changed.put(Arc::clone(key), Arc::clone(value));
            }
        }
        changed
    }
}

/// Whether `incoming` takes the place of `current`.
fn newer(current: &Value, incoming: &Value) -> Result<bool, ReduceError> {
    if incoming.is_null() {
        return Ok(false);
    }
    let Some(stamp) = stamp(incoming) else {
        let advice = r#"write {"ts_ms": 1700000000000, …}"#;
        return Err(ReduceError::wrong(incoming, "an object with an integer `ts_ms`", advice));
    };
    Ok(self::stamp(current).is_none_or(|current| stamp >= current))
}

fn stamp(value: &Value) -> Option<i128> {
    let stamp = value.get("ts_ms")?;
    stamp.as_i64().map(i128::from).or_else(|| stamp.as_u64().map(i128::from))
}

/// What somebody said who panicked.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}
