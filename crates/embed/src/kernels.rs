//! The inner loops: products of two vectors, chosen for the processor at run time.
//!
//! Unsafe are here: the call of a function that needs AVX2, behind the question whether it is there, and loads of 32 bytes
//! from arrays of 32 bytes.
#![allow(unsafe_code)]

/// What is known of a coded vector beside its codes.
///
/// `score(q, v) = q.scale * v.factor * (codes of q · codes of v) + v.offset`, plus what is the same for all `v`.
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Factors {
    /// What a product of codes is worth; twice as much where scores are distances.
    pub(crate) factor: f32,
    /// What is added: the negative square of the length where scores are distances.
    pub(crate) offset: f32,
    /// The length of what the codes leave out.
    pub(crate) error: f32,
    /// The length of the vector.
    pub(crate) length: f32,
}

/// The codes of a query and what a scan has to know of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    /// As long as the codes of a row.
    pub(crate) codes: &'a [i8],
    /// What a code of the query is worth.
    pub(crate) scale: f32,
    /// By how much the length of a row, multiplied by this, can change a score.
    pub(crate) per_length: f32,
    /// By how much the error of a row, multiplied by this, can change a score.
    pub(crate) per_error: f32,
}

impl Query<'_> {
    #[inline(always)]
    fn score(&self, product: i32, row: &Factors) -> f32 {
        self.scale * row.factor * product as f32 + row.offset
    }

    /// By how much the score by codes can be wrong.
    #[inline(always)]
    pub(crate) fn slack(&self, row: &Factors) -> f32 {
        self.per_length * row.length + self.per_error * row.error
    }
}

/// The codes of many vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coded<'a> {
    pub(crate) codes: &'a [i8],
    pub(crate) factors: &'a [Factors],
    /// How many codes a vector has: a multiple of 32.
    pub(crate) stride: usize,
}

impl<'a> Coded<'a> {
    #[inline(always)]
    pub(crate) fn row(&self, at: usize) -> &'a [i8] {
        let start = at * self.stride;
        self.codes.get(start..start + self.stride).unwrap_or_default()
    }
}

macro_rules! dispatch {
    ($fast:ident, $plain:ident, $($argument:expr),*) => {{
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has AVX2 and FMA, which is all that the function asks for.
            return unsafe { x86::$fast($($argument),*) };
        }
        plain::$plain($($argument),*)
    }};
}

/// The product of two vectors.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dispatch!(dot, dot, a, b)
}

/// The square of the distance of two vectors.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    dispatch!(squared_distance, squared_distance, a, b)
}

/// The highest score that each of the rows from `first` on can have, into `scores`; answers the highest of them.
pub(crate) fn scan(query: &Query<'_>, coded: Coded<'_>, first: usize, scores: &mut [f32]) -> f32 {
    dispatch!(scan, scan, query, coded, first, scores)
}

/// The scores of these rows by their codes, in their order.
pub(crate) fn gather(query: &Query<'_>, coded: Coded<'_>, rows: &[u32], scores: &mut Vec<f32>) {
    dispatch!(gather, gather, query, coded, rows, scores);
}

/// Asks for these numbers before they are read; changes nothing.
pub(crate) fn fetch(values: &[u32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(16) {
        // SAFETY: SSE, which it asks for, is in every processor of this architecture.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

mod plain {
    use super::{Coded, Query};

    /// Eight sums, so that the compiler may use whatever registers there are.
    fn lanes(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
        let mut sums = [0.0f32; 8];
        for (a, b) in a.iter().zip(b) {
            for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                *sum += term(*a, *b);
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b)).sum();
        sums.iter().sum::<f32>() + rest
    }

    pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
        lanes(a, b, |a, b| a * b)
    }

    pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
        lanes(a, b, |a, b| (a - b) * (a - b))
    }

    fn product(a: &[i8], b: &[i8]) -> i32 {
        a.iter().zip(b).fold(0i32, |sum, (a, b)| sum.wrapping_add(i32::from(i16::from(*a) * i16::from(*b))))
    }

    pub(super) fn scan(query: &Query<'_>, coded: Coded<'_>, first: usize, scores: &mut [f32]) -> f32 {
        let mut best = f32::NEG_INFINITY;
        let factors = coded.factors.get(first..).unwrap_or_default();
        for ((at, factors), score) in factors.iter().enumerate().zip(scores) {
            *score = query.score(product(query.codes, coded.row(first + at)), factors) + query.slack(factors);
            best = best.max(*score);
        }
        best
    }

    pub(super) fn gather(query: &Query<'_>, coded: Coded<'_>, rows: &[u32], scores: &mut Vec<f32>) {
        scores.clear();
        scores.extend(rows.iter().map(|row| {
            let factors = coded.factors.get(*row as usize).copied().unwrap_or_default();
            query.score(product(query.codes, coded.row(*row as usize)), &factors)
        }));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Coded, Query};

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(values: &[f32; 8]) -> __m256 {
        // SAFETY: eight numbers are 32 bytes; the load asks for no alignment.
        unsafe { _mm256_loadu_ps(values.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load_codes(values: &[i8; 32]) -> __m256i {
        // SAFETY: 32 bytes; the load asks for no alignment.
        unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sum(values: __m256) -> f32 {
        let four = _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps::<1>(values));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
        let ((a, a_odd), (b, b_odd)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
        let mut sums = [_mm256_setzero_ps(); 4];
        for (a, b) in a.iter().zip(b) {
            for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                *sum = _mm256_fmadd_ps(load(a), load(b), *sum);
            }
        }
        let [mut first, second, third, fourth] = sums;
        for (a, b) in a_odd.iter().zip(b_odd) {
            first = _mm256_fmadd_ps(load(a), load(b), first);
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
        sum(_mm256_add_ps(_mm256_add_ps(first, second), _mm256_add_ps(third, fourth))) + rest
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
        let (mut even, mut odd) = (_mm256_setzero_ps(), _mm256_setzero_ps());
        for (a, b) in a.iter().zip(b) {
            let difference = _mm256_sub_ps(load(a), load(b));
            (even, odd) = (odd, _mm256_fmadd_ps(difference, difference, even));
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum();
        sum(_mm256_add_ps(even, odd)) + rest
    }

    /// The product of codes between -127 and 127, as many as 32 fit in. A pair of products is below 2^15, so nothing is cut.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn product(query: &[i8], row: &[i8]) -> i32 {
        let mut sums = _mm256_setzero_si256();
        let ones = _mm256_set1_epi16(1);
        for (query, row) in query.as_chunks::<32>().0.iter().zip(row.as_chunks::<32>().0) {
            let (query, row) = (load_codes(query), load_codes(row));
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(query), _mm256_sign_epi8(row, query));
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, ones));
        }
        let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn scan(query: &Query<'_>, coded: Coded<'_>, first: usize, scores: &mut [f32]) -> f32 {
        let mut best = f32::NEG_INFINITY;
        let (codes, factors) = (coded.codes.get(first * coded.stride..), coded.factors.get(first..));
        let rows = codes.unwrap_or_default().chunks_exact(coded.stride);
        for ((row, factors), score) in rows.zip(factors.unwrap_or_default()).zip(scores) {
            *score = query.score(product(query.codes, row), factors) + query.slack(factors);
            best = best.max(*score);
        }
        best
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn prefetch(coded: Coded<'_>, row: u32) {
        for line in coded.row(row as usize).chunks(64) {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr());
        }
        if let Some(factors) = coded.factors.get(row as usize) {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(factors).cast());
        }
    }

    /// How many rows are on their way from the memory while one is multiplied.
    const AHEAD: usize = 4;

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn gather(query: &Query<'_>, coded: Coded<'_>, rows: &[u32], scores: &mut Vec<f32>) {
        scores.clear();
        for row in rows.iter().take(AHEAD) {
            prefetch(coded, *row);
        }
        for (at, row) in rows.iter().enumerate() {
            if let Some(next) = rows.get(at + AHEAD) {
                prefetch(coded, *next);
            }
            let factors = coded.factors.get(*row as usize).copied().unwrap_or_default();
            scores.push(query.score(product(query.codes, coded.row(*row as usize)), &factors));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the processor, the sums are those of plain loops.
        #[test]
        fn the_fast_loops_say_what_the_plain_ones_say(
            values in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 0..200),
        ) {
            let (a, b): (Vec<f32>, Vec<f32>) = values.iter().copied().unzip();
            let close = |found: f32, wanted: f64| (f64::from(found) - wanted).abs() <= 1e-3 + 1.0e-5 * 1e6 * a.len() as f64;
            let wanted: f64 = values.iter().map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            prop_assert!(close(dot(&a, &b), wanted) && close(plain::dot(&a, &b), wanted));
            let wanted: f64 = values.iter().map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            prop_assert!(close(squared_distance(&a, &b), wanted) && close(plain::squared_distance(&a, &b), wanted));
        }

        #[test]
        fn products_of_codes_are_exact(
            lines in 1usize..5,
            seed in prop::collection::vec(-127i8..=127, 32 * 4 * 4),
            extreme in prop::bool::ANY,
        ) {
            let stride = lines * 32;
            let codes: Vec<i8> = if extreme { seed.iter().map(|c| if *c < 0 { -127 } else { 127 }).collect() } else { seed };
            let (query, codes) = codes.split_at(stride);
            let rows = codes.len() / stride;
            let factors = vec![Factors { factor: 1.0, ..Factors::default() }; rows];
            let query = Query { codes: query, scale: 1.0, per_length: 0.0, per_error: 0.0 };
            let coded = Coded { codes, factors: &factors, stride };
            let wanted: Vec<f32> = (0..rows)
                .map(|row| {
                    let products = query.codes.iter().zip(coded.row(row)).map(|(a, b)| i32::from(*a) * i32::from(*b));
                    products.sum::<i32>() as f32
                })
                .collect();
            let numbers: Vec<u32> = (0..rows as u32).collect();
            let (mut scanned, mut gathered) = (vec![0.0; rows], Vec::new());
            let best = scan(&query, coded, 0, &mut scanned);
            gather(&query, coded, &numbers, &mut gathered);
            prop_assert_eq!(&scanned, &wanted);
            prop_assert_eq!(&gathered, &wanted);
            prop_assert_eq!(best, wanted.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            plain::scan(&query, coded, 0, &mut scanned);
            plain::gather(&query, coded, &numbers, &mut gathered);
            prop_assert_eq!(&scanned, &wanted);
            prop_assert_eq!(&gathered, &wanted);
        }
    }
}
