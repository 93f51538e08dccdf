//! How much room there is on the disk of the data directory, and whether that is enough to go on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one look at the disk is believed. A page is some megabytes, and a disk takes some hundreds a second.
const BELIEVED: Duration = Duration::from_secs(1);
/// The part of the reserve below which nothing is worked off any more: what is left then is for the answers to requests
/// that are under way, and for the store's own segments, of eight mebibytes each.
const CRITICAL_PART: u64 = 4;
/// The part of a mark by which there must be more before the mark counts as passed again.
const CLEARANCE_PART: u64 = 10;

/// The room that is kept free. The larger of the two counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reserve {
    pub bytes: u64,
    /// Of the whole file system.
    pub percent: u8,
}

impl Reserve {
    fn of(self, total_bytes: u64) -> u64 {
        self.bytes.max(total_bytes / 100 * u64::from(self.percent.min(100)))
    }
}

/// Free and whole room of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// Less room than there should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Low {
    pub free_bytes: u64,
    /// What should be free.
    pub reserve_bytes: u64,
}

/// What one look at the disk says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Nothing more is to be read.
    pub low: Option<Low>,
    /// Nothing more is to be worked off.
    pub is_critical: bool,
    /// What there is, and how much of it should be free; `None` before the disk was ever looked at.
    pub room: Option<Room>,
    pub reserve_bytes: u64,
}

type Measure = dyn Fn() -> Option<Room> + Send + Sync;

/// The disk of the data directory. A clone is the same disk.
#[derive(Clone)]
pub struct Disk(Arc<Inner>);

struct Inner {
    measure: Box<Measure>,
    reserve: Reserve,
    seen: Mutex<Option<(Instant, Look)>>,
}

impl Disk {
    /// The file system that `path` lies on.
    pub fn of(path: PathBuf, reserve: Reserve) -> Self {
        Self::measured_by(reserve, move || {
            let stat = rustix::fs::statvfs(&path).ok()?;
            // What is reserved for root is nobody else's room.
            let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
            Some(Room { free_bytes: bytes(stat.f_bavail), total_bytes: bytes(stat.f_blocks) })
        })
    }

    pub fn measured_by(reserve: Reserve, measure: impl Fn() -> Option<Room> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { measure: Box::new(measure), reserve, seen: Mutex::new(None) }))
    }

    /// Looks at the disk, at most once in [`BELIEVED`]. A disk that cannot be looked at counts as it did before.
    pub fn look(&self) -> Look {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Tokio's clock, so that tests pass a second at once.
        let now = tokio::time::Instant::now().into_std();
        let before = match *seen {
            Some((at, look)) if now.saturating_duration_since(at) < BELIEVED => return look,
            Some((_, look)) => look,
            None => Look::default(),
        };
        let look = (self.0.measure)().map_or(before, |room| judge(room, self.0.reserve, before));
        report(before, look);
        *seen = Some((now, look));
        look
    }
}

fn report(before: Look, look: Look) {
    let (free_bytes, reserve_bytes) = look.low.map_or((0, 0), |low| (low.free_bytes, low.reserve_bytes));
    match (before.low.is_some(), look.low.is_some()) {
        (false, true) => tracing::error!(free_bytes, reserve_bytes, "too little disk left: nothing is read"),
        (true, false) => tracing::info!("there is room on the disk again: reading goes on"),
        (true, true) | (false, false) => {}
    }
    match (before.is_critical, look.is_critical) {
        (false, true) => tracing::error!(free_bytes, "hardly any disk left: nothing is worked off either"),
        (true, false) => tracing::info!("there is room on the disk again: what is stored is worked off"),
        (true, true) | (false, false) => {}
    }
}

fn judge(room: Room, reserve: Reserve, before: Look) -> Look {
    let reserve_bytes = reserve.of(room.total_bytes);
    let is_below = |mark: u64, was_below: bool| {
        let clearance = if was_below { mark / CLEARANCE_PART } else { 0 };
        room.free_bytes < mark.saturating_add(clearance)
    };
    let low = is_below(reserve_bytes, before.low.is_some());
    Look {
        low: low.then_some(Low { free_bytes: room.free_bytes, reserve_bytes }),
        is_critical: is_below(reserve_bytes / CRITICAL_PART, before.is_critical),
        room: Some(room),
        reserve_bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const TOTAL: u64 = 100_000;

    /// What a disk of [`TOTAL`] is worth with each of these amounts free, one after the other.
    #[track_caller]
    fn check(reserve: Reserve, free: &[u64], expected: &[(bool, bool)]) {
        let mut look = Look::default();
        let mut seen = Vec::new();
        for free_bytes in free {
            look = judge(Room { free_bytes: *free_bytes, total_bytes: TOTAL }, reserve, look);
            seen.push((look.low.is_some(), look.is_critical));
        }
        assert_eq!(seen, expected);
    }

    #[test]
    fn reading_stops_at_the_reserve_working_at_a_quarter_and_both_go_on_a_little_above() {
        let reserve = Reserve { bytes: 4_000, percent: 0 };
        let free = [4_000, 3_999, 4_000, 4_399, 1_000, 999, 1_099, 1_100, 4_400, 4_000];
        let expected = [
            (false, false),
            (true, false),
            (true, false),
            (true, false),
            (true, false),
            (true, true),
            (true, true),
            (true, false),
            (false, false),
            (false, false),
        ];
        check(reserve, &free, &expected);
    }

    #[test]
    fn the_larger_of_bytes_and_share_counts() {
        check(Reserve { bytes: 1, percent: 5 }, &[5_000, 4_999], &[(false, false), (true, false)]);
        check(Reserve { bytes: 6_000, percent: 5 }, &[6_000, 5_999], &[(false, false), (true, false)]);
        check(Reserve::default(), &[0], &[(false, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_is_believed_for_a_second_and_a_disk_that_cannot_be_seen_counts_as_before() {
        let free = Arc::new(AtomicU64::new(10));
        let shown = free.clone();
        let disk = Disk::measured_by(Reserve { bytes: 100, percent: 0 }, move || match shown.load(Ordering::Relaxed) {
            u64::MAX => None,
            free_bytes => Some(Room { free_bytes, total_bytes: TOTAL }),
        });
        assert_eq!(disk.look().low, Some(Low { free_bytes: 10, reserve_bytes: 100 }));
        free.store(1_000, Ordering::Relaxed);
        assert!(disk.look().low.is_some(), "looked at again at once");
        free.store(u64::MAX, Ordering::Relaxed);
        tokio::time::advance(BELIEVED).await;
        assert!(disk.look().low.is_some());
        free.store(1_000, Ordering::Relaxed);
        tokio::time::advance(BELIEVED).await;
        let room = Some(Room { free_bytes: 1_000, total_bytes: TOTAL });
        let look = Look { low: None, is_critical: false, room, reserve_bytes: 100 };
        assert_eq!(disk.look(), look, "there is room enough, and it is still shown");
    }

    #[test]
    fn the_disk_of_a_directory_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let disk = |bytes| Disk::of(directory.path().into(), Reserve { bytes, percent: 0 });
        let look = disk(0).look();
        assert!(look.low.is_none() && look.room.is_some_and(|room| room.free_bytes > 0));
        assert!(disk(u64::MAX).look().low.is_some_and(|low| low.free_bytes > 0));
    }
}
