//! Ten thousand vectors in clusters, their index, and the nearest of one of them: exactly, and through the graph.
//!
//! `cargo run --release -p atomr-agents-embed --example nearest`

use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

use atomr_agents_embed::{IndexOptions, VectorIndex, Vectors};

const COUNT: u64 = 10_000;
const DIM: usize = 64;

/// Numbers between -1 and 1 that look like any others.
fn value(seed: u64) -> f32 {
    let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let dim = DIM as u64;
    let of = |row: u64| (0..dim).map(move |at| value(row % 100 * dim + at) + 0.3 * value((row + 1000) * dim + at));
    let vectors = Vectors::new(DIM, (0..COUNT).flat_map(of).collect())?;
    let ids: Vec<u64> = (0..COUNT).collect();
    let mut out = std::io::stdout().lock();
    for (name, exact_below) in [("exact", usize::MAX), ("graph", 1000)] {
        let index = VectorIndex::new(DIM, IndexOptions { exact_below, ..IndexOptions::default() })?;
        let started = Instant::now();
        index.insert(&ids, &vectors)?;
        let (built, started) = (started.elapsed(), Instant::now());
        let found = index.find(vectors.row(42).unwrap_or_default(), 5, None)?;
        let found_in = started.elapsed();
        let nearest: Vec<u64> = found.iter().map(|found| found.id).collect();
        writeln!(out, "{name}: built in {built:?}, ef {:?}; nearest of 42 in {found_in:?}: {nearest:?}", index.ef())?;
    }
    Ok(())
}
