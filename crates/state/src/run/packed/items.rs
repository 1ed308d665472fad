//! What a frame says, as bytes.

use atomr_agents_core::{EffectClass, Kind, Money, RunId, Usage, Value};

use super::bytes::{Broken, Last, Pack, Reader, Writer, json};
use crate::run::item::StoredKind;
use crate::{
    Begin, Body, Checkpoint, Due, EffectKey, End, Intent, Item, Outcome, RunStatus, StoredDelta, StoredError,
    StoredEvent,
};

/// Changes stand in changes no deeper than that, in what is written as in what is read.
pub(in super::super) const DEEPEST: usize = 16;

/// The fields in the order of their bytes.
macro_rules! fields {
    ($($name:ident { $($field:ident)* })*) => { $(impl Pack for $name {
        fn pack(&self, to: &mut Writer) {
            let Self { $($field),* } = self;
            $($field.pack(to);)*
        }

        fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
            Ok(Self { $($field: Pack::unpack(from)?),* })
        }
    })* };
}
fields! {
    Begin { turn id input }
    Checkpoint { step base source channels next version note }
    Due { node path input }
    EffectKey { step path index }
    End { turn status output error }
    Intent { key kind subject effect digest }
    Outcome { key bodies error }
    StoredError { kind message }
    Usage { input_tokens output_tokens total_tokens cached_input_tokens cache_write_tokens reasoning_tokens raw }
}

/// The variants by the byte that stands before them.
macro_rules! variants {
    ($($name:ident { $($number:literal $variant:ident)* })*) => { $(impl Pack for $name {
        fn pack(&self, to: &mut Writer) {
            to.depth += 1;
            to.deepest = to.deepest.max(to.depth);
            match self {
                $(Self::$variant(inner) => {
                    to.byte($number);
                    inner.pack(to);
                })*
            }
            to.depth -= 1;
        }

        fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
            from.depth += 1;
            if from.depth > DEEPEST {
                return Err(Broken("it is too deep"));
            }
            let value = match from.byte()? {
                $($number => Self::$variant(Pack::unpack(from)?),)*
                _ => return Err(Broken("something in it is of no kind that is known")),
            };
            from.depth -= 1;
            Ok(value)
        }
    })* };
}
variants! {
    Item { 0 Begin 1 Intent 2 Outcome 3 Checkpoint 4 Event 5 End }
    StoredDelta { 0 Set 1 List 2 Map 3 Append 4 Replace 5 Merge 6 All }
}

/// Closed lists whose members have names.
macro_rules! words {
    ($($name:ty, $all:expr;)*) => { $(impl Pack for $name {
        fn pack(&self, to: &mut Writer) {
            to.text(self.as_str());
        }

        fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
            let word = from.text()?;
            let known = $all.iter().find(|known| known.as_str() == word);
            known.copied().ok_or(Broken("a word in it is not known"))
        }
    })* };
}
words! {
    EffectClass, [Self::None, Self::Idempotent, Self::Once];
    Kind, Self::ALL;
    RunStatus, Self::ALL;
}

impl Pack for Body {
    /// One number says whether it is a text or a blob, and its length or its place.
    fn pack(&self, to: &mut Writer) {
        match self {
            Self::Inline(raw) => {
                (raw.get().len() << 1).pack(to);
                to.bytes.extend_from_slice(raw.get().as_bytes());
            }
            Self::Blob(id) => {
                let place = to.place(*id);
                (place << 1 | 1).pack(to);
            }
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        let number = usize::unpack(from)?;
        if number & 1 == 1 {
            return from.blob(number >> 1).map(Self::Blob);
        }
        json(from.text_of(number >> 1)?).map(Self::Inline)
    }
}

impl Pack for StoredEvent {
    fn pack(&self, to: &mut Writer) {
        let last = std::mem::replace(&mut to.last, Last { seq: self.seq, time_ms: self.time_ms });
        apart(last.seq, self.seq).pack(to);
        apart(last.time_ms, self.time_ms).pack(to);
        self.run.pack(to);
        self.parent.pack(to);
        to.text(&self.path);
        self.kind.0.len().pack(to);
        to.bytes.extend_from_slice(&self.kind.0);
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        let seq = together(from.last.seq, u64::unpack(from)?);
        let time_ms = together(from.last.time_ms, u64::unpack(from)?);
        from.last = Last { seq, time_ms };
        let (run, parent, path) = (Pack::unpack(from)?, Pack::unpack(from)?, from.text()?.to_owned());
        Ok(Self { seq, time_ms, run, parent, path, kind: StoredKind(from.shared()?) })
    }
}

/// How far `to` is from `from`, as a number that is small in both directions.
fn apart(from: u64, to: u64) -> u64 {
    let way = to.wrapping_sub(from).cast_signed();
    (way << 1 ^ way >> 63).cast_unsigned()
}

fn together(from: u64, apart: u64) -> u64 {
    let way = (apart >> 1).cast_signed() ^ -((apart & 1).cast_signed());
    from.wrapping_add(way.cast_unsigned())
}

impl Pack for RunId {
    fn pack(&self, to: &mut Writer) {
        to.bytes.extend_from_slice(self.as_bytes());
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        let bytes = from.take(16)?.try_into().map_err(|_| Broken("an id in it is cut"))?;
        Ok(Self::from_bytes(bytes))
    }
}

impl Pack for Money {
    fn pack(&self, to: &mut Writer) {
        self.micro_usd().pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        u64::unpack(from).map(Self::from_micro_usd)
    }
}

impl Pack for Value {
    fn pack(&self, to: &mut Writer) {
        to.text(&self.to_string());
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        serde_json::from_str(from.text()?).map_err(|_| Broken("a value in it is no JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_in_either_direction_is_short_and_comes_back() {
        for (from, to) in [(5, 7), (7, 5), (0, u64::MAX), (u64::MAX, 0), (1 << 63, 0), (3, 3)] {
            assert_eq!(together(from, apart(from, to)), to);
        }
        assert_eq!((apart(7, 5), apart(5, 7)), (3, 4));
    }
}
