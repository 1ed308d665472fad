//! Writing and reading what is in frames, place by place.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::BlobId;

/// What can be written into a frame.
pub(in super::super) trait Pack: Sized {
    /// Adds it.
    fn pack(&self, to: &mut Writer);

    /// Takes it.
    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken>;

    /// What it is where the writer knew no such field; `None` if it must be there.
    fn absent() -> Option<Self> {
        None
    }
}

/// What is wrong with bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Broken(pub(in super::super) &'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

const CUT: Broken = Broken("it ends in the middle of a value");

/// Up to so many ids are looked for one by one.
const FEW: usize = 16;

/// Room is made for so many items of a list before they are read. What says that it has more may only say so.
const ROOM: usize = 1_024;

/// Where a frame is written.
#[derive(Debug, Default)]
pub(in super::super) struct Writer {
    pub(in super::super) bytes: Vec<u8>,
    /// The blobs that are named, in the order in which they were first.
    pub(in super::super) refs: Vec<BlobId>,
    /// Where each stands, once they are many.
    places: HashMap<BlobId, usize>,
    /// What the next event is told from.
    pub(super) last: Last,
    /// How deep changes stand in changes, and the deepest of them.
    pub(super) depth: usize,
    pub(in super::super) deepest: usize,
}

/// The number and the time of the event before, or the time of the frame.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Last {
    pub(in super::super) seq: u64,
    pub(in super::super) time_ms: u64,
}

impl Writer {
    /// One whose events are told from `time_ms`.
    pub(in super::super) fn at(time_ms: u64) -> Self {
        Self { last: Last { seq: 0, time_ms }, ..Self::default() }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn text(&mut self, text: &str) {
        text.len().pack(self);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// The place of a blob among those that are named.
    pub(super) fn place(&mut self, id: BlobId) -> usize {
        let known = if self.refs.len() < FEW {
            self.refs.iter().position(|known| *known == id)
        } else {
            if self.places.is_empty() {
                self.places.extend(self.refs.iter().copied().zip(0..));
            }
            self.places.get(&id).copied()
        };
        known.unwrap_or_else(|| {
            let place = self.refs.len();
            self.refs.push(id);
            if !self.places.is_empty() {
                self.places.insert(id, place);
            }
            place
        })
    }
}

/// Where a frame is read.
#[derive(Debug)]
pub(in super::super) struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
    refs: &'a [BlobId],
    pub(super) last: Last,
    /// How deep changes stand in changes.
    pub(super) depth: usize,
}

impl<'a> Reader<'a> {
    /// Bytes, and the blobs that the entry of the log names.
    pub(in super::super) fn new(bytes: &'a Bytes, refs: &'a [BlobId]) -> Self {
        Self { bytes, at: 0, refs, last: Last::default(), depth: 0 }
    }

    /// Events are told from here on.
    pub(in super::super) fn since(&mut self, time_ms: u64) {
        self.last = Last { seq: 0, time_ms };
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// That nothing is left.
    pub(in super::super) fn end(&self) -> Result<(), Broken> {
        if self.left() == 0 { Ok(()) } else { Err(Broken("there is more in it than it says")) }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Broken> {
        let byte = *self.bytes.get(self.at).ok_or(CUT)?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let end = self.at.checked_add(length).ok_or(CUT)?;
        let taken = self.bytes.get(self.at..end).ok_or(CUT)?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Broken> {
        let length = usize::unpack(self)?;
        self.text_of(length)
    }

    pub(super) fn text_of(&mut self, length: usize) -> Result<&'a str, Broken> {
        std::str::from_utf8(self.take(length)?).map_err(|_| Broken("a text in it is no UTF-8"))
    }

    /// Bytes after their length, without a copy: they keep the whole entry. Events are short, and most of an entry.
    pub(super) fn shared(&mut self) -> Result<Bytes, Broken> {
        let length = usize::unpack(self)?;
        let begin = self.at;
        self.take(length)?;
        Ok(self.bytes.slice(begin..self.at))
    }

    pub(super) fn blob(&self, place: usize) -> Result<BlobId, Broken> {
        self.refs.get(place).copied().ok_or(Broken("it names a blob that its entry does not"))
    }

    /// A field that older writers may not have known.
    pub(super) fn field<T: Pack>(&mut self) -> Result<T, Broken> {
        if self.left() == 0 { T::absent().ok_or(CUT) } else { T::unpack(self) }
    }

    /// How many come, which is no more than what is left can be, and room for them.
    fn room<T>(&mut self) -> Result<(usize, Vec<T>), Broken> {
        let count = usize::unpack(self)?;
        if count > self.left() {
            return Err(CUT);
        }
        Ok((count, Vec::with_capacity(count.min(ROOM))))
    }
}

impl Pack for u64 {
    fn pack(&self, to: &mut Writer) {
        let mut rest = *self;
        while rest >= 0x80 {
            to.byte(rest as u8 | 0x80);
            rest >>= 7;
        }
        to.byte(rest as u8);
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = from.byte()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                break;
            }
            number |= low << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Broken("a number in it is too large"))
    }
}

macro_rules! numbers {
    ($($number:ty)*) => { $(impl Pack for $number {
        fn pack(&self, to: &mut Writer) {
            (*self as u64).pack(to);
        }

        fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
            u64::unpack(from)?.try_into().map_err(|_| Broken("a number in it is too large"))
        }
    })* };
}
numbers! { u32 usize }

impl Pack for bool {
    fn pack(&self, to: &mut Writer) {
        to.byte(u8::from(*self));
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Broken("something in it is neither yes nor no")),
        }
    }
}

macro_rules! texts {
    ($($text:ty)*) => { $(impl Pack for $text {
        fn pack(&self, to: &mut Writer) {
            to.text(self);
        }

        fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
            Ok(from.text()?.into())
        }
    })* };
}
texts! { String Arc<str> }

impl Pack for Box<RawValue> {
    fn pack(&self, to: &mut Writer) {
        to.text(self.get());
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        json(from.text()?)
    }
}

/// A text that is JSON.
pub(super) fn json(text: &str) -> Result<Box<RawValue>, Broken> {
    RawValue::from_string(text.to_owned()).map_err(|_| Broken("a value in it is no JSON"))
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, to: &mut Writer) {
        self.is_some().pack(to);
        if let Some(value) = self {
            value.pack(to);
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        if bool::unpack(from)? { T::unpack(from).map(Some) } else { Ok(None) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Pack> Pack for Box<T> {
    fn pack(&self, to: &mut Writer) {
        (**self).pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        T::unpack(from).map(Self::new)
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    fn pack(&self, to: &mut Writer) {
        self.0.pack(to);
        self.1.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        Ok((A::unpack(from)?, B::unpack(from)?))
    }
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, to: &mut Writer) {
        self.len().pack(to);
        self.iter().for_each(|item| item.pack(to));
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        let (count, mut items) = from.room()?;
        for _ in 0..count {
            items.push(T::unpack(from)?);
        }
        Ok(items)
    }
}

impl<T: Pack> Pack for BTreeMap<String, T> {
    fn pack(&self, to: &mut Writer) {
        self.len().pack(to);
        for (key, value) in self {
            to.text(key);
            value.pack(to);
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Result<Self, Broken> {
        let (count, mut entries) = from.room()?;
        for _ in 0..count {
            entries.push(<(String, T)>::unpack(from)?);
        }
        Ok(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back<T: Pack>(value: &T) -> Result<T, Broken> {
        let mut to = Writer::default();
        value.pack(&mut to);
        let bytes = Bytes::from(to.bytes);
        let mut from = Reader::new(&bytes, &to.refs);
        let value = T::unpack(&mut from)?;
        from.end().map(|()| value)
    }

    #[test]
    fn numbers_come_back_at_every_length() {
        for bits in 0..64 {
            for number in [1_u64 << bits, (1 << bits) - 1, u64::MAX >> bits] {
                assert_eq!(back(&number), Ok(number));
            }
        }
        let read = |bytes: &'static [u8]| u64::unpack(&mut Reader::new(&Bytes::from_static(bytes), &[]));
        assert_eq!(read(&[0xff; 9]), Err(CUT));
        assert_eq!(read(&[0xff; 10]), Err(Broken("a number in it is too large")));
        assert_eq!(u32::unpack(&mut Reader::new(&Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x10]), &[])).ok(), None);
    }

    #[test]
    fn a_list_takes_no_more_room_than_there_are_bytes() {
        let mut to = Writer::default();
        (usize::MAX >> 1).pack(&mut to);
        let bytes = Bytes::from(to.bytes);
        assert_eq!(Vec::<String>::unpack(&mut Reader::new(&bytes, &[])), Err(CUT));
    }

    #[test]
    fn each_blob_has_one_place_however_many_there_are() {
        let ids: Vec<BlobId> = (0_u32..100).map(|number| BlobId::of(&number.to_le_bytes())).collect();
        let mut to = Writer::default();
        for _ in 0..2 {
            let places: Vec<usize> = ids.iter().map(|id| to.place(*id)).collect();
            assert_eq!(places, (0..100).collect::<Vec<_>>());
        }
        assert_eq!(to.refs, ids);
    }
}
