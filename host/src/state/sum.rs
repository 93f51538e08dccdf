//! A sum over every row, kept with the rows: what an opening finds must add up to it.
//!
//! Where a part in the middle of sled's log cannot be read, sled opens with the rows as they were before, or without them,
//! and says nothing. The sum says it. It does not hang on the order of the rows, so a commit changes it by the rows that
//! it changes, and is as atomic as they are.

use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use super::batch::{Error, Table};
use super::format::sled_failed;
use super::row;

/// Wraps around; a row that goes takes away what it brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum(u128);

impl Sum {
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_add(share(key, value));
    }

    pub fn take(&mut self, key: &[u8], value: &[u8]) {
        self.0 = self.0.wrapping_sub(share(key, value));
    }

    pub fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u128::from_be_bytes(bytes)))
    }

    /// Of all rows as they are. Reads every one of them.
    pub fn of(tree: &sled::Tree) -> Result<Self, Error> {
        Self::over(tree, share)
    }

    /// The same as format 1 had it.
    pub fn of_format_1(tree: &sled::Tree) -> Result<Self, Error> {
        Self::over(tree, share_of_format_1)
    }

    fn over(tree: &sled::Tree, share: fn(&[u8], &[u8]) -> u128) -> Result<Self, Error> {
        let mut sum = Self::default();
        for found in tree.range::<&[u8], _>([Table::Meta as u8 + 1].as_slice()..) {
            let (key, value) = found.map_err(|error| sled_failed(&error))?;
            if counts(&key) {
                sum.0 = sum.0.wrapping_add(share(&key, &value));
            }
        }
        Ok(sum)
    }
}

/// The store's own rows change with every opening, and those that say which files are needed follow from the others.
pub(super) fn counts(key: &[u8]) -> bool {
    key.first().is_some_and(|table| *table != Table::Meta as u8) && !row::is_file_use(key)
}

/// It answers for disks, not for people: whoever can write the store can write its sum. So it need not be hard to forge,
/// and is a twentieth of what SHA-256 costs, which was a fifth of a commit.
fn share(key: &[u8], value: &[u8]) -> u128 {
    xxh3_128_with_seed(value, xxh3_64(key))
}

fn share_of_format_1(key: &[u8], value: &[u8]) -> u128 {
    let mut hash = Sha256::new();
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(value);
    let digest: [u8; 32] = hash.finalize().into();
    let (first, _) = digest.split_first_chunk::<16>().expect("a digest has more than sixteen bytes");
    u128::from_be_bytes(*first)
}
