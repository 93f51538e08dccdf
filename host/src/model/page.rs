//! How much of a list is handed over at once.

use serde::Serialize;

/// Bytes of one page of any list, as JSON: a page ends before it has more, so that few large entries take no more memory
/// than many small ones.
pub const PAGE_LIMIT_BYTES: usize = 1 << 20;

/// What still fits into a page.
#[derive(Debug, Default)]
pub struct PageRoom {
    /// `None` while the page is empty.
    taken: Option<usize>,
}

impl PageRoom {
    /// Whether an entry of this size belongs to the page. The first one does, however large: the list must go on.
    pub fn takes(&mut self, bytes: usize) -> bool {
        let after = self.taken.unwrap_or(0).saturating_add(bytes);
        if self.taken.is_some() && after > PAGE_LIMIT_BYTES {
            return false;
        }
        self.taken = Some(after);
        true
    }

    /// The same of an entry that is not written out yet.
    pub fn takes_entry(&mut self, entry: &impl Serialize) -> bool {
        let mut counted = Counted(0);
        // What has no JSON form is refused where it is handed over.
        let _ = serde_json::to_writer(&mut counted, entry);
        self.takes(counted.0)
    }
}

/// Counts what is written, and keeps none of it.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_takes_what_fits_and_its_first_entry_in_any_case() {
        let mut room = PageRoom::default();
        assert!(room.takes(PAGE_LIMIT_BYTES - 10) && !room.takes(11) && room.takes(10) && !room.takes(1));
        let mut room = PageRoom::default();
        assert!(room.takes(usize::MAX) && !room.takes(1));
        let mut room = PageRoom::default();
        // Two quotes each.
        let texts = [0, PAGE_LIMIT_BYTES - 4, 0].map(|length| "x".repeat(length));
        assert_eq!(texts.map(|text| room.takes_entry(&text)), [true, true, false]);
    }
}
