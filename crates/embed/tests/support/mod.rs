//! Vectors for the tests, the same everywhere.
#![allow(dead_code, clippy::unwrap_used)] // helpers of tests fail as tests do; no test uses all of them

use atomr_agents_embed::Vectors;

/// Numbers between -1 and 1 that are the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn value(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub(crate) fn vectors(&mut self, count: usize, dim: usize) -> Vectors {
        Vectors::new(dim, (0..count * dim).map(|_| self.value()).collect()).unwrap()
    }

    /// Vectors around `clusters` middles, as embeddings of texts lie.
    pub(crate) fn clustered(&mut self, count: usize, dim: usize, clusters: usize) -> Vectors {
        let middles = self.vectors(clusters, dim);
        let mut values = Vec::with_capacity(count * dim);
        for _ in 0..count {
            let middle = middles.row(self.next() as usize % clusters).unwrap();
            values.extend(middle.iter().map(|value| value + 0.5 * self.value()));
        }
        Vectors::new(dim, values).unwrap()
    }
}
