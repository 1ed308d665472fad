//! Each different word once, as a number.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Words by number, and numbers by word. The bytes stand one word after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Interner {
    text: String,
    /// Where each word ends in `text`.
    ends: Vec<usize>,
    table: HashTable<u32>,
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
        let hash = self.hasher.hash_one(wanted.as_bytes());
        self.table.find(hash, |number| self.word(*number) == wanted).copied()
    }

    /// The number of a word; a new one gets the next.
    pub(super) fn intern(&mut self, wanted: &str) -> u32 {
        let hash = self.hasher.hash_one(wanted.as_bytes());
        let (text, ends) = (&mut self.text, &mut self.ends);
        if let Some(number) = self.table.find(hash, |number| word(text, ends, *number) == wanted) {
            return *number;
        }
        let number = u32::try_from(ends.len()).unwrap_or(u32::MAX);
        text.push_str(wanted);
        ends.push(text.len());
        let hasher = &self.hasher;
        self.table.insert_unique(hash, number, |number| hasher.hash_one(word(text, ends, *number).as_bytes()));
        number
    }
}

fn word<'a>(text: &'a str, ends: &[usize], number: u32) -> &'a str {
    let at = number as usize;
    let start = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(at).and_then(|end| text.get(start..*end)).unwrap_or("")
}
