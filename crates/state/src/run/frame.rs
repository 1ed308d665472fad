//! One commit of a run: what is written at once.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;

use super::packed::{Broken, DEEPEST, Pack, Reader, Writer};
use crate::{BlobId, Entry, Item, NewEntry, RunLogError, StoreError};

/// The newest format of frames that is known, and the one that is written: fields by their places ([`super::packed`]).
const FRAME_FORMAT: u8 = 2;

/// The format before: JSON, which names each blob by its id.
const JSON: u8 = 1;

/// Bytes before what a frame says: its format and its link in the chain.
const HEAD: usize = 1 + Chain::LEN;

/// The link of a frame: a hash over the link before it, its position, its bytes and, unless they are JSON that names them itself, the
/// blobs that its entry names. A frame that was changed, moved, left out or taken from another run breaks it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Chain([u8; Self::LEN]);

impl Chain {
    const LEN: usize = 16;

    /// The link before the first frame of a run.
    pub(crate) fn start(run: &str) -> Self {
        Self::cut(&blake3::hash(run.as_bytes()))
    }

    fn next(self, at: u64, format: u8, refs: &[BlobId], body: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0).update(&at.to_le_bytes()).update(&[format]);
        // JSON says the ids itself. Every format after it is hashed in this way, so that a newer one is told from damage.
        if format != JSON {
            hasher.update(&(refs.len() as u64).to_le_bytes());
            refs.iter().for_each(|id| _ = hasher.update(id.as_bytes()));
        }
        hasher.update(body);
        Self::cut(&hasher.finalize())
    }

    fn cut(hash: &blake3::Hash) -> Self {
        let mut link = [0; Self::LEN];
        link.copy_from_slice(&hash.as_bytes()[..Self::LEN]);
        Self(link)
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let id: BlobId = format!("{text}{text}").parse().ok()?;
        let mut link = [0; Self::LEN];
        link.copy_from_slice(&id.as_bytes()[..Self::LEN]);
        Some(Self(link))
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One commit of a run.
#[derive(Clone, Debug, Deserialize)]
pub struct Frame {
    /// The token of the lease that it was written under. Never goes back.
    pub epoch: u64,
    /// When, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// A number that no event of this run has had before this frame: whoever goes on after a crash begins there.
    #[serde(default)]
    pub next_seq: u64,
    /// What happened, in order.
    pub items: Vec<Item>,
}

impl Frame {
    /// Its entry at position `at` after the link `chain`, and its own link; an error if it could not be read again.
    pub(crate) fn encode(&self, chain: Chain, at: u64) -> Result<(NewEntry, Chain), RunLogError> {
        let mut to = Writer::at(self.time_ms);
        to.bytes.extend_from_slice(&[0; HEAD]);
        (self.epoch, self.time_ms).pack(&mut to);
        self.next_seq.pack(&mut to);
        self.items.pack(&mut to);
        let Writer { mut bytes, refs, deepest, .. } = to;
        if deepest > DEEPEST {
            let message = format!("the changes of a channel stand in each other more than {DEEPEST} deep");
            return Err(RunLogError::NotJson { message });
        }
        let link = chain.next(at, FRAME_FORMAT, &refs, &bytes[HEAD..]);
        bytes[0] = FRAME_FORMAT;
        bytes[1..HEAD].copy_from_slice(&link.0);
        Ok((NewEntry { body: Bytes::from(bytes), refs }, link))
    }

    /// What [`Self::encode`] wrote behind the head.
    fn unpack(body: &Bytes, refs: &[BlobId]) -> Result<Self, Broken> {
        let mut from = Reader::new(body, refs);
        let (epoch, time_ms) = Pack::unpack(&mut from)?;
        from.since(time_ms);
        let frame = Self { epoch, time_ms, next_seq: Pack::unpack(&mut from)?, items: Pack::unpack(&mut from)? };
        from.end()?;
        Ok(frame)
    }

    /// The blobs that it needs, each once.
    pub(crate) fn refs(&self) -> Vec<BlobId> {
        let mut to = Writer::default();
        self.items.pack(&mut to);
        to.refs
    }

    /// Which links the frame after a damaged one may follow: the one that the damaged frame says it has, and the one that its
    /// bytes give after one of the links `before`.
    pub(crate) fn links_past(entry: &Entry, before: &[Chain]) -> Vec<Chain> {
        let told = entry.body.get(1..HEAD).and_then(|link| link.try_into().ok()).map(Chain);
        let (Some(told), Some(body)) = (told, entry.body.get(HEAD..)) else { return Vec::new() };
        let given = before.iter().map(|chain| chain.next(entry.at, entry.body[0], &entry.refs, body));
        std::iter::once(told).chain(given).collect()
    }

    /// The frame that an entry holds, and its link; `chain` is the link before it, where it is known.
    pub(crate) fn decode(run: &str, entry: &Entry, chain: Option<Chain>) -> Result<(Self, Chain), RunLogError> {
        let corrupt = |message: String| RunLogError::Corrupt { run: run.to_owned(), at: entry.at, message };
        let Some((&format, rest)) = entry.body.split_first() else {
            return Err(corrupt("the frame is empty".to_owned()));
        };
        if rest.len() < Chain::LEN {
            return Err(corrupt("the frame is cut".to_owned()));
        }
        let (link, body) = rest.split_at(Chain::LEN);
        let mut told = [0; Chain::LEN];
        told.copy_from_slice(link);
        let told = Chain(told);
        if chain.is_some_and(|chain| chain.next(entry.at, format, &entry.refs, body) != told) {
            return Err(corrupt(
                "its bytes, or those of the frame before it, are not those that were written".to_owned(),
            ));
        }
        // Only now, so that a damaged byte is not taken for a newer format.
        let frame = match format {
            FRAME_FORMAT => {
                Self::unpack(&entry.body.slice(HEAD..), &entry.refs).map_err(|broken| corrupt(broken.to_string()))
            }
            JSON => serde_json::from_slice(body).map_err(|error| corrupt(error.to_string())),
            newer => {
                let (found, supported) = (u32::from(newer), u32::from(FRAME_FORMAT));
                Err(StoreError::UnsupportedFormat { subject: format!("run {run}"), found, supported }.into())
            }
        };
        Ok((frame?, told))
    }
}

#[cfg(test)]
mod tests {
    use atomr_agents_core::{Event, EventKind, Kind, RunId, Value};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        Begin, Body, Checkpoint, Due, EffectClass, EffectKey, End, Intent, Outcome, RunStatus, StoredDelta,
        StoredError, StoredEvent, note,
    };

    fn body(value: &Value) -> Body {
        Body::of(value).unwrap().into()
    }

    /// A frame in which everything occurs.
    fn frame() -> Frame {
        let (long, other) = (body(&json!("long ".repeat(200))), body(&json!("other ".repeat(200))));
        let (short, key) = (body(&json!({"n": 1})), EffectKey::new(7, "planner/search", 2));
        let turn = RunId::from_bytes([7; 16]);
        let event = |seq, time_ms, kind| {
            let (path, parent) = ("planner".into(), Some(turn));
            let event = Event { run: RunId::from_bytes([9; 16]), seq, index: 0, path, parent, time_ms, kind };
            Item::Event(StoredEvent::of(&event, turn).unwrap())
        };
        let map = |body: &Body| [("a".to_owned(), body.clone()), ("b".to_owned(), long.clone())].into();
        let channels = [
            ("set", StoredDelta::Set(short.clone())),
            ("list", StoredDelta::List(vec![long.clone(), short.clone(), long.clone()])),
            ("map", StoredDelta::Map(map(&other))),
            ("all", StoredDelta::All(vec![StoredDelta::Append(vec![other.clone()]), StoredDelta::Merge(map(&short))])),
            ("replace", StoredDelta::Replace(vec![(300, long.clone())])),
        ];
        let checkpoint = Checkpoint {
            step: 9,
            base: true,
            source: "step".into(),
            channels: channels.into_iter().map(|(name, delta)| (name.to_owned(), delta)).collect(),
            next: vec![
                Due { node: "a".into(), path: String::new(), input: None },
                Due { node: "b".into(), path: "b/1".into(), input: Some(other.clone()) },
            ],
            version: "v".into(),
            note: Some(note(&json!({"joins": [1]})).unwrap()),
        };
        let error = Some(StoredError { kind: Kind::Timeout, message: "too late".into() });
        let mut items = vec![
            Item::Begin(Begin { turn: 3, id: turn, input: long.clone() }),
            Item::Intent(Intent::new(key.clone(), "tool", "search").effect(EffectClass::Once).digest("d".into())),
            Item::Outcome(Outcome { key: key.clone(), bodies: vec![long, short], error: None }),
            Item::Outcome(Outcome { key, bodies: Vec::new(), error: error.clone() }),
            Item::Checkpoint(checkpoint),
            Item::End(End { turn: 3, status: RunStatus::OutcomeUnknown, output: Some(other), error }),
        ];
        items.extend((5..).zip(EventKind::samples()).map(|(seq, kind)| event(seq, 1_000 - seq, kind)));
        Frame { epoch: 4, time_ms: 1_000, next_seq: 17, items }
    }

    fn entry(at: u64, new: NewEntry) -> Entry {
        Entry { at, body: new.body, refs: new.refs }
    }

    #[test]
    fn a_frame_comes_back_and_names_each_blob_once() {
        let (frame, start) = (frame(), Chain::start("r"));
        let (new, link) = frame.encode(start, 2).unwrap();
        assert_eq!((new.refs.len(), frame.refs()), (2, new.refs.clone()));
        let (back, told) = Frame::decode("r", &entry(2, new), Some(start)).unwrap();
        assert_eq!((format!("{back:?}"), told), (format!("{frame:?}"), link));
    }

    #[test]
    fn the_bytes_of_the_format_stay_what_they_are() {
        let (new, _) = frame().encode(Chain::start("r"), 2).unwrap();
        assert_eq!(blake3::hash(&new.body).to_hex()[..32], *"7a90572880e94ad429a27bdf52b41d4b");
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let within = |depth| (0..depth).fold(StoredDelta::Append(Vec::new()), |delta, _| StoredDelta::All(vec![delta]));
        let of = |depth| {
            let channels = [("c".to_owned(), within(depth))].into();
            let items = vec![Item::Checkpoint(Checkpoint { channels, ..Checkpoint::default() })];
            Frame { epoch: 1, time_ms: 1, next_seq: 0, items }.encode(Chain::start("r"), 0)
        };
        let (new, _) = of(DEEPEST - 2).unwrap();
        Frame::decode("r", &entry(0, new), None).unwrap();
        let error = of(DEEPEST - 1).unwrap_err();
        assert!(error.to_string().contains("more than 16 deep"), "{error}");
    }

    #[test]
    fn every_cut_and_every_damaged_byte_is_noticed() {
        let start = Chain::start("r");
        let (new, _) = frame().encode(start, 0).unwrap();
        let whole = entry(0, new);
        let corrupt = |entry: &Entry, chain| {
            let error = Frame::decode("r", entry, chain).unwrap_err();
            assert!(matches!(error, RunLogError::Corrupt { .. }), "{error}");
        };
        for end in 0..whole.body.len() {
            let cut = Entry { body: whole.body.slice(..end), ..whole.clone() };
            corrupt(&cut, Some(start));
            // Where nobody knows what came before, what it says is all there is to see.
            corrupt(&cut, None);
            let mut bytes = whole.body.to_vec();
            bytes[end] ^= 1;
            corrupt(&Entry { body: bytes.into(), ..whole.clone() }, Some(start));
        }
        corrupt(&Entry { refs: whole.refs[..1].to_vec(), ..whole.clone() }, Some(start));
        corrupt(&Entry { refs: vec![whole.refs[1], whole.refs[0]], ..whole.clone() }, Some(start));
        corrupt(&Entry { at: 1, ..whole }, Some(start));
    }

    #[test]
    fn frames_of_the_format_before_are_read_and_those_of_a_newer_one_are_refused() {
        let text = r#"{"epoch":1,"time_ms":9,"items":[{"event":{"n":3,"t":8,"k":{"kind":"lagged","missed":2}}},
            {"checkpoint":{"step":1,"channels":{"n":{"set":{"v":1}}}}},{"intent":{"key":"7:a#0","kind":"tool","subject":"a"}}]}"#;
        let start = Chain::start("r");
        let with = |format: u8| {
            let link = start.next(0, format, &[], text.as_bytes());
            let body = [&[format][..], &link.0, text.as_bytes()].concat().into();
            Frame::decode("r", &Entry { at: 0, body, refs: Vec::new() }, Some(start))
        };
        let (frame, _) = with(1).unwrap();
        let [Item::Event(event), Item::Checkpoint(checkpoint), Item::Intent(intent)] = &frame.items[..] else {
            panic!("{frame:?}");
        };
        assert_eq!(event.event(RunId::new()).unwrap().kind, EventKind::Lagged { missed: 2 });
        assert_eq!((checkpoint.step, intent.effect), (1, EffectClass::Idempotent));
        let newer = with(3).unwrap_err();
        assert!(matches!(newer, RunLogError::Store(StoreError::UnsupportedFormat { found: 3, supported: 2, .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_an_error(bytes: Vec<u8>, refs in 0_u8..4) {
            let refs: Vec<BlobId> = (0..refs).map(|number| BlobId::of(&[number])).collect();
            let body = [&[FRAME_FORMAT][..], &[0; Chain::LEN], &bytes].concat().into();
            if let Ok((frame, _)) = Frame::decode("r", &Entry { at: 0, body, refs }, None) {
                let (again, _) = frame.encode(Chain::start("r"), 0).unwrap();
                let (back, _) = Frame::decode("r", &entry(0, again), None).unwrap();
                prop_assert_eq!(format!("{back:?}"), format!("{frame:?}"));
            }
        }
    }
}
