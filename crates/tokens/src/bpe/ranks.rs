//! The tokens of a vocabulary, and how many of them a piece becomes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use tiktoken_rs::CoreBPE;

/// The rank of what is no token, behind all others.
const NONE: u32 = u32::MAX;
/// The longest piece whose pairs are looked through again for each merge; longer ones are merged from a heap.
const SHORT: usize = 64;

/// The tokens of a vocabulary by their bytes: 3 MB for `cl100k_base`, 5 MB for `o200k_base`.
pub(super) struct Ranks {
    /// All tokens in the order of their ranks.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
    /// The ranks by the tokens' bytes.
    table: HashTable<u32>,
    /// The ranks of tokens of two bytes, by both.
    pairs: Box<[u32]>,
}

impl Ranks {
    /// The tokens of a vocabulary without its marks, which have ranks behind a gap.
    pub(super) fn of(vocabulary: &CoreBPE) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for rank in 0..NONE {
            let Ok(token) = vocabulary.decode_bytes(&[rank]) else { break };
            bytes.extend(token);
            ends.push(u32::try_from(bytes.len()).unwrap_or(NONE));
        }
        let mut ranks = Self {
            bytes,
            table: HashTable::with_capacity(ends.len()),
            ends,
            pairs: vec![NONE; 1 << 16].into_boxed_slice(),
        };
        for rank in 0..ranks.ends.len() as u32 {
            let Ranks { bytes, ends, table, pairs } = &mut ranks;
            let token = token_in(bytes, ends, rank);
            if let Ok(pair) = <[u8; 2]>::try_from(token) {
                pairs[usize::from(u16::from_le_bytes(pair))] = rank;
            }
            table.insert_unique(hash(token), rank, |&rank| hash(token_in(bytes, ends, rank)));
        }
        ranks
    }

    /// The rank of a token; [`NONE`] of what is none.
    fn rank(&self, bytes: &[u8]) -> u32 {
        match <[u8; 2]>::try_from(bytes) {
            Ok(pair) => self.pairs[usize::from(u16::from_le_bytes(pair))],
            Err(_) => self
                .table
                .find(hash(bytes), |&rank| token_in(&self.bytes, &self.ends, rank) == bytes)
                .copied()
                .unwrap_or(NONE),
        }
    }

    /// How many tokens a piece becomes. Every byte is a token; of all pairs of neighbours that make a token together the one of
    /// the lowest rank is merged, the first of equal ones, until there are none.
    pub(super) fn count(&self, piece: &[u8]) -> u64 {
        if piece.len() < 2 || self.rank(piece) != NONE {
            return piece.len().min(1) as u64;
        }
        if piece.len() <= SHORT { self.merged_short(piece) } else { self.merged_long(piece) }
    }

    fn merged_short(&self, piece: &[u8]) -> u64 {
        // Where each token begins, with the end of the last; and the rank of each together with the next.
        let mut starts: [usize; SHORT + 1] = std::array::from_fn(|at| at);
        let mut pairs = [NONE; SHORT];
        for (place, pair) in pairs.iter_mut().zip(piece.windows(2)) {
            *place = self.rank(pair);
        }
        let mut tokens = piece.len();
        while let Some((at, &rank)) = pairs[..tokens - 1].iter().enumerate().min_by_key(|&(_, rank)| rank) {
            if rank == NONE {
                break;
            }
            starts.copy_within(at + 2..=tokens, at + 1);
            pairs.copy_within(at + 1..tokens, at);
            tokens -= 1;
            for at in at.saturating_sub(1)..=at {
                pairs[at] = if at + 2 <= tokens { self.rank(&piece[starts[at]..starts[at + 2]]) } else { NONE };
            }
        }
        tokens as u64
    }

    fn merged_long(&self, piece: &[u8]) -> u64 {
        let length = piece.len();
        // By where a token begins: where it ends, where the one before begins, and its rank together with the next.
        let mut ends: Vec<usize> = (1..=length).collect();
        let mut before: Vec<usize> = (0..length).map(|at| at.saturating_sub(1)).collect();
        let mut pairs: Vec<u32> = piece.windows(2).map(|pair| self.rank(pair)).chain([NONE]).collect();
        let all = pairs.iter().enumerate().filter(|&(_, &rank)| rank != NONE);
        let mut heap: BinaryHeap<_> = all.map(|(at, &rank)| Reverse((rank, at))).collect();
        let mut tokens = length as u64;
        while let Some(Reverse((rank, at))) = heap.pop() {
            // What was merged since has another rank: a token only grows.
            if pairs[at] != rank {
                continue;
            }
            let middle = ends[at];
            let end = ends[middle];
            (ends[at], pairs[middle]) = (end, NONE);
            tokens -= 1;
            if let Some(next) = before.get_mut(end) {
                *next = at;
            }
            // The first token has no other before it.
            for start in [Some(at), (at > 0).then_some(before[at])].into_iter().flatten() {
                let rank = ends.get(ends[start]).map_or(NONE, |&end| self.rank(&piece[start..end]));
                pairs[start] = rank;
                if rank != NONE {
                    heap.push(Reverse((rank, start)));
                }
            }
        }
        tokens
    }
}

/// The bytes of a token.
fn token_in<'a>(bytes: &'a [u8], ends: &[u32], rank: u32) -> &'a [u8] {
    let end = |rank: u32| ends.get(rank as usize).map_or(0, |&end| end as usize);
    let start = rank.checked_sub(1).map_or(0, end);
    bytes.get(start..end(rank)).unwrap_or_default()
}

fn hash(bytes: &[u8]) -> u64 {
    FixedState::default().hash_one(bytes)
}
