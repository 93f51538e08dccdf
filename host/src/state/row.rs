//! How one row lies in the store: a header that says when, under which lease and where, then the bytes or their digest.

use bytes::Bytes;

use super::batch::{Key, Revision, Table};

/// Values longer than this lie in a file of their own. A typical document is 2 to 20 kB and stays inline, where one sync
/// covers it; from 128 KiB on sled would make a file of its own out of it, which it never syncs.
pub(super) const INLINE_LIMIT_BYTES: usize = 64 << 10;

const HEADER_BYTES: usize = 8 + 8 + 1;
const INLINE: u8 = 0;
const FILE: u8 = 1;
/// From format 2 on: four bytes of the length, and the bytes as an LZ4 block.
const PACKED: u8 = 2;

/// Shorter values are written as they are: there is little to gain, and they are most of the rows.
const PACKED_FROM_BYTES: usize = 512;

/// SHA-256 of a value that lies in a file.
pub(super) type Digest = [u8; 32];

/// Where the bytes of a row are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    Inline(Bytes),
    File { digest: Digest, length_bytes: u64 },
}

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub revision: Revision,
    pub lease: u64,
    pub payload: Payload,
}

/// What a row's header says: all that a commit wants to know of the rows that it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub revision: Revision,
    /// The file that the row needs.
    pub file: Option<Digest>,
}

impl Head {
    /// `None` where the bytes are no row.
    pub fn read(raw: &[u8]) -> Option<Self> {
        let (header, rest) = raw.split_first_chunk::<HEADER_BYTES>()?;
        let (revision, _) = header.split_first_chunk::<8>()?;
        let file = match header[HEADER_BYTES - 1] {
            INLINE | PACKED => None,
            FILE => Some(rest.get(8..)?.try_into().ok()?),
            _ => return None,
        };
        Some(Self { revision: Revision(u64::from_be_bytes(*revision)), file })
    }
}

impl Row {
    pub fn head(&self) -> Head {
        let file = match &self.payload {
            Payload::Inline(_) => None,
            Payload::File { digest, .. } => Some(*digest),
        };
        Head { revision: self.revision, file }
    }

    pub fn encode(&self) -> Vec<u8> {
        let packed = match &self.payload {
            Payload::Inline(bytes) => pack(bytes),
            Payload::File { .. } => None,
        };
        let tail = match (&self.payload, &packed) {
            (_, Some(packed)) => 4 + packed.len(),
            (Payload::Inline(bytes), None) => bytes.len(),
            (Payload::File { .. }, None) => 8 + 32,
        };
        let mut out = Vec::with_capacity(HEADER_BYTES + tail);
        out.extend_from_slice(&self.revision.0.to_be_bytes());
        out.extend_from_slice(&self.lease.to_be_bytes());
        match &self.payload {
            Payload::Inline(bytes) if let Some(packed) = packed => {
                out.push(PACKED);
                // No longer than INLINE_LIMIT_BYTES.
                out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                out.extend_from_slice(&packed);
            }
            Payload::Inline(bytes) => {
                out.push(INLINE);
                out.extend_from_slice(bytes);
            }
            Payload::File { digest, length_bytes } => {
                out.push(FILE);
                out.extend_from_slice(&length_bytes.to_be_bytes());
                out.extend_from_slice(digest);
            }
        }
        out
    }

    /// `None` where the bytes are no row.
    pub fn decode(raw: &[u8]) -> Option<Self> {
        let (revision, rest) = raw.split_first_chunk::<8>()?;
        let (lease, rest) = rest.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let payload = match *kind {
            INLINE => Payload::Inline(Bytes::copy_from_slice(rest)),
            PACKED => Payload::Inline(unpack(rest)?),
            FILE => {
                let (length, rest) = rest.split_first_chunk::<8>()?;
                Payload::File { digest: rest.try_into().ok()?, length_bytes: u64::from_be_bytes(*length) }
            }
            _ => return None,
        };
        Some(Self { revision: Revision(u64::from_be_bytes(*revision)), lease: u64::from_be_bytes(*lease), payload })
    }
}

/// A document is JSON that says the same names in every line: a third of its bytes are left, and what a commit costs is the
/// bytes that it moves.
fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    if !(PACKED_FROM_BYTES..=INLINE_LIMIT_BYTES).contains(&bytes.len()) {
        return None;
    }
    let packed = lz4_flex::block::compress(bytes);
    (packed.len() + packed.len() / 8 < bytes.len()).then_some(packed)
}

fn unpack(rest: &[u8]) -> Option<Bytes> {
    let (length, packed) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok().filter(|length| *length <= INLINE_LIMIT_BYTES)?;
    let bytes = lz4_flex::block::decompress(packed, length).ok()?;
    (bytes.len() == length).then(|| bytes.into())
}

/// The first byte of the rows that say which rows need a file: this byte, the digest, the row's own key. They let a file
/// be found to be garbage without reading the whole store. No table has this number.
const FILE_USE: u8 = 0xFF;

/// A row's key in the one tree: the table's number, then the key.
pub(super) fn tree_key(table: Table, key: &Key) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.0.len());
    out.push(table as u8);
    out.extend_from_slice(&key.0);
    out
}

pub(super) fn file_use_prefix(digest: &Digest) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + digest.len());
    out.push(FILE_USE);
    out.extend_from_slice(digest);
    out
}

pub(super) fn file_use_key(digest: &Digest, tree_key: &[u8]) -> Vec<u8> {
    let mut out = file_use_prefix(digest);
    out.extend_from_slice(tree_key);
    out
}

/// The file and the row's own key.
pub(super) fn file_use_parts(key: &[u8]) -> Option<(Digest, &[u8])> {
    let (digest, tree_key) = key.strip_prefix(&[FILE_USE])?.split_first_chunk::<32>()?;
    Some((*digest, tree_key))
}

/// The prefix of all of them.
pub(super) const FILE_USES: [u8; 1] = [FILE_USE];

/// Whether the row says which row needs a file, and is no row of a table.
pub(super) fn is_file_use(tree_key: &[u8]) -> bool {
    tree_key.first() == Some(&FILE_USE)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn check(payload: Payload) {
        let row = Row { revision: Revision(7), lease: u64::MAX, payload };
        assert_eq!(Head::read(&row.encode()), Some(row.head()));
        assert_eq!(Row::decode(&row.encode()), Some(row));
    }

    #[test]
    fn reads_back_what_it_wrote() {
        check(Payload::Inline(Bytes::new()));
        check(Payload::Inline(Bytes::from_static(b"body")));
        check(Payload::Inline(Bytes::from(vec![b'a'; PACKED_FROM_BYTES])));
        check(Payload::Inline(Bytes::from(vec![b'a'; INLINE_LIMIT_BYTES])));
        let noise: Vec<u8> =
            (0..4_000_u32).flat_map(|number| Sha256::digest(number.to_be_bytes())[..4].to_vec()).collect();
        check(Payload::Inline(Bytes::from(noise)));
        check(Payload::File { digest: [9; 32], length_bytes: 200_000 });
    }

    #[test]
    fn what_says_the_same_again_takes_little() {
        let body = r#"{"sku_id":"A-1","qty":"2","price":"9.90"},"#.repeat(50);
        let row = Row { revision: Revision(7), lease: 1, payload: Payload::Inline(Bytes::from(body.clone())) };
        assert!(row.encode().len() * 3 < body.len());
        // A length that is not what comes out is no row: nothing is handed out that was not put in.
        let mut other = row.encode();
        other[HEADER_BYTES + 3] += 1;
        assert_eq!(Row::decode(&other), None);
        other[HEADER_BYTES] = 0xff;
        assert_eq!(Row::decode(&other), None);
    }

    #[test]
    fn refuses_bytes_that_are_no_row() {
        let check = |raw: &[u8]| assert_eq!((Row::decode(raw), Head::read(raw)), (None, None));
        check(b"");
        check(&[0; 16]);
        let mut unknown_kind = vec![0; 17];
        unknown_kind[16] = 3;
        check(&unknown_kind);
        let mut short_digest = vec![0; 17 + 8 + 31];
        short_digest[16] = FILE;
        check(&short_digest);
    }

    #[test]
    fn no_table_has_the_number_of_the_file_uses() {
        assert!(Table::ALL.iter().all(|table| *table as u8 != FILE_USE));
    }
}
