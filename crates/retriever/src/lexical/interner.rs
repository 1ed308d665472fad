//! Each different word once, as a number.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A word in the table. What is compared first stands in it, so that a short word is found without a look elsewhere.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Its first eight bytes, with zeros behind.
    head: u64,
    len: u32,
    number: u32,
}

/// Words by number, and numbers by word. The bytes stand one word after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Interner {
    text: String,
    /// Where each word ends in `text`.
    ends: Vec<usize>,
    table: HashTable<Entry>,
    hasher: RandomState,
}

impl Interner {
    /// How many words there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The word of a number.
    pub(super) fn word(&self, number: u32) -> &str {
        word(&self.text, &self.ends, number)
    }

    /// The number of a word that is there.
    pub(super) fn find(&self, wanted: &str) -> Option<u32> {
        self.look(wanted, self.hasher.hash_one(wanted.as_bytes()), head(wanted.as_bytes()))
    }

    fn look(&self, wanted: &str, hash: u64, head: u64) -> Option<u32> {
        let same = |entry: &Entry| {
            entry.head == head
                && entry.len as usize == wanted.len()
                && (wanted.len() <= 8 || self.word(entry.number) == wanted)
        };
        self.table.find(hash, same).map(|entry| entry.number)
    }

    /// The number of a word; a new one gets the next.
    #[inline]
    pub(super) fn intern(&mut self, wanted: &str) -> u32 {
        let (hash, head) = (self.hasher.hash_one(wanted.as_bytes()), head(wanted.as_bytes()));
        match self.look(wanted, hash, head) {
            Some(number) => number,
            None => self.keep(wanted, hash, head),
        }
    }

    #[cold]
    fn keep(&mut self, wanted: &str, hash: u64, head: u64) -> u32 {
        let number = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.text.push_str(wanted);
        self.ends.push(self.text.len());
        let (text, ends, hasher) = (&self.text, &self.ends, &self.hasher);
        let entry = Entry { head, len: u32::try_from(wanted.len()).unwrap_or(u32::MAX), number };
        self.table.insert_unique(hash, entry, |entry| hasher.hash_one(word(text, ends, entry.number).as_bytes()));
        number
    }
}

/// The first eight bytes as a number.
fn head(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    }
}

fn word<'a>(text: &'a str, ends: &[usize], number: u32) -> &'a str {
    let at = number as usize;
    let start = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(at).and_then(|end| text.get(start..*end)).unwrap_or("")
}
