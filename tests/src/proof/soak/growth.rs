//! Whether something grows without bound: judged by what it grows with each document, and not with each second.

use super::sampler::Sample;

/// What is too much.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    pub what: &'static str,
    pub of: fn(&Sample) -> u64,
    /// In a thousand documents, over the second half of them.
    pub per_thousand: u64,
}

/// Fewer documents say nothing about growth.
const DOCUMENTS_NEEDED: u64 = 1_000;

/// Growth over the second half of the documents in a thousand of them: from the median of its first third to that of its
/// last, so that neither a peak nor a trough decides. `None` where too little was seen.
pub fn per_thousand(samples: &[Sample], of: fn(&Sample) -> u64) -> Option<u64> {
    let end = samples.last()?.done;
    let half: Vec<&Sample> = samples.iter().filter(|sample| sample.done >= end / 2).collect();
    let third = half.len() / 3;
    let (first, last) = (half.get(..third)?, half.get(half.len() - third..)?);
    let documents = middle(last, |sample| sample.done)?.saturating_sub(middle(first, |sample| sample.done)?);
    if documents < DOCUMENTS_NEEDED {
        return None;
    }
    let grown = middle(last, of)?.saturating_sub(middle(first, of)?);
    Some(grown * 1_000 / documents)
}

fn middle(samples: &[&Sample], of: fn(&Sample) -> u64) -> Option<u64> {
    let mut values: Vec<u64> = samples.iter().map(|sample| of(sample)).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// What is wrong with these samples; that there are too few is wrong as well.
pub fn excess(samples: &[Sample], bound: &Bound) -> Option<String> {
    let Bound { what, of, per_thousand: most } = *bound;
    match per_thousand(samples, of) {
        None => Some(format!("{what}: the {} looks say nothing about its growth", samples.len())),
        Some(grown) if grown > most => Some(format!("{what} grows by {grown} in a thousand documents, over {most}")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Bound = Bound { what: "memory", of: |sample| sample.resident_kib, per_thousand: 100 };

    /// A hundred looks, a hundred documents apart.
    fn samples(resident_kib: impl Fn(u64) -> u64) -> Vec<Sample> {
        let sample = |at: u64| Sample { done: at * 100, resident_kib: resident_kib(at), ..Sample::default() };
        (0..100).map(sample).collect()
    }

    #[test]
    fn what_grows_with_every_document_is_found_and_what_settles_is_not() {
        assert!(excess(&samples(|at| 1_000 + at * 20), &BOUND).is_some(), "200 in a thousand");
        assert_eq!(excess(&samples(|at| 1_000 + at * 5), &BOUND), None, "50 in a thousand");
        assert_eq!(excess(&samples(|at| 1_000 + at.min(50) * 1_000), &BOUND), None, "a cache that is full");
    }

    #[test]
    fn a_single_peak_is_no_growth() {
        assert_eq!(excess(&samples(|at| if at == 97 { 90_000 } else { 1_000 }), &BOUND), None);
    }

    #[test]
    fn nothing_seen_is_not_good() {
        assert!(excess(&[], &BOUND).is_some());
        assert!(excess(&samples(|_| 1)[..8], &BOUND).is_some());
    }
}
