//! How long documents took, in milliseconds, and what to say of many of them.

use jiff::Timestamp;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies(Vec<u64>);

impl Latencies {
    pub fn new(mut milliseconds: Vec<u64>) -> Self {
        milliseconds.sort_unstable();
        Self(milliseconds)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The least that so many of a hundred did not exceed; 0 of none.
    pub fn percentile(&self, percent: usize) -> u64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }
}

/// Of an earlier instant to a later one; clocks of one machine, so never less than nothing.
pub fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

/// The one in the middle; of an even number the lower one, which was measured.
pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred = Latencies::new((1..=100).rev().collect());
        assert_eq!([50, 99, 100].map(|percent| hundred.percentile(percent)), [50, 99, 100]);
        assert_eq!(Latencies::new(vec![7]).percentile(99), 7);
        assert_eq!(Latencies::default().percentile(99), 0);
    }

    #[test]
    fn the_median_of_an_even_number_is_the_lower_of_the_two() {
        assert_eq!([median(vec![3, 1, 2]), median(vec![4, 1, 3, 2]), median(vec![])], [2, 2, 0]);
    }
}
