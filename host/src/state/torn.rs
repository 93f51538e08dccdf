//! What an opening makes of a store whose files were cut off, garbled or lost: either every batch that was acknowledged is
//! there, or it is refused with what to do. Never a panic, never an empty store, never an older one.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use futures::executor::block_on;

use super::conformance::{contents, key, open};
use super::*;

/// sled's segments.
const SEGMENT: u64 = 512 << 10;

/// How the store was left.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Left {
    Closed,
    /// As a kill leaves it: its files, copied while nothing was written.
    Killed,
}

/// What may come of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    /// Every acknowledged batch is there.
    Whole,
    Refused,
    /// One or the other: where sled keeps what is its own affair.
    Either,
}

struct Place {
    _temp: tempfile::TempDir,
    path: PathBuf,
    /// Every row as it was acknowledged.
    expected: Vec<(Table, Key, Stored)>,
}

/// A store of some segments, with large values, some rows overwritten and some gone.
fn place(left: Left) -> Place {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("data");
    fs::create_dir(&path).unwrap();
    let store = open(&path).unwrap();
    for round in 0..3_u8 {
        for first in (0..600_u64).step_by(100) {
            let mut batch = Batch::new();
            for number in first..first + 100 {
                batch.put(Table::Bodies, KeyBuilder::new().number(number).build(), vec![round; 3_000]);
            }
            batch.put(Table::Owners, key(&format!("large {round}")), vec![round; 100_000 + usize::from(round)]);
            block_on(store.commit(batch)).unwrap();
        }
    }
    for number in 0..20_u64 {
        let mut batch = Batch::new();
        batch.put(Table::History, KeyBuilder::new().number(number).build(), vec![b'h'; 500]);
        batch.remove(Table::Bodies, KeyBuilder::new().number(number * 2).build());
        block_on(store.commit(batch)).unwrap();
    }
    let expected = contents(&store);
    let path = match left {
        Left::Closed => {
            store.close().unwrap();
            path
        }
        Left::Killed => {
            let killed = temp.path().join("killed");
            copy(&path, &killed);
            killed
        }
    };
    Place { _temp: temp, path, expected }
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

fn log(path: &Path) -> (File, u64) {
    let file = OpenOptions::new().read(true).write(true).open(path.join("store/db")).unwrap();
    let length = file.metadata().unwrap().len();
    (file, length)
}

fn cut_log(path: &Path, bytes: u64) {
    let (file, length) = log(path);
    file.set_len(length.saturating_sub(bytes)).unwrap();
}

/// Where the last byte lies that is not sled's filling.
fn end_of_log(path: &Path) -> u64 {
    let bytes = fs::read(path.join("store/db")).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64
}

fn flip(path: &Path, at: u64, count: u64) {
    let (file, _) = log(path);
    let mut bytes = vec![0; count as usize];
    file.read_exact_at(&mut bytes, at).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0x5A);
    file.write_all_at(&bytes, at).unwrap();
}

fn snapshots(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path.join("store")).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("snap."));
    found.sort();
    found
}

fn a_large_value(path: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> =
        fs::read_dir(path.join("blobs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found.remove(0)
}

#[track_caller]
fn check(what: &str, left: Left, outcome: Outcome, damage: fn(&Path)) {
    let place = place(left);
    damage(&place.path);
    let found = open(&place.path);
    let name = format!("{what}, {left:?}");
    match found {
        Ok(store) => {
            let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| contents(&store)));
            let same = whole.is_ok_and(|found| found == place.expected);
            assert!(same, "{name}: opened, and not every acknowledged batch is there");
            assert_ne!(outcome, Outcome::Refused, "{name}");
        }
        Err(error) => {
            let Error::Damaged { detail } = &error else { panic!("{name}: {error}") };
            assert!(detail.contains("backup"), "{name}: says what to do: {detail}");
            assert_ne!(outcome, Outcome::Whole, "{name}: {error}");
        }
    }
}

type Damage = (&'static str, Outcome, fn(&Path));

/// Where sled's own layout decides whether a byte matters, both are right, and a third thing never is.
const CASES: &[Damage] = &[
    ("untouched", Outcome::Whole, |_| {}),
    ("the log is a byte short", Outcome::Either, |path| cut_log(path, 1)),
    ("the log is a hundred bytes short", Outcome::Either, |path| cut_log(path, 100)),
    ("the log is a segment short", Outcome::Either, |path| cut_log(path, SEGMENT)),
    ("the log is half as long", Outcome::Refused, |path| cut_log(path, log(path).1 / 2)),
    ("the log is empty", Outcome::Refused, |path| cut_log(path, u64::MAX)),
    ("the end of the log is zero", Outcome::Either, |path| zero(path, end_of_log(path) - 199, 200)),
    ("the last pages of the log are zero", Outcome::Either, |path| zero(path, end_of_log(path) - 65_535, 65_536)),
    ("bits are flipped in the last record", Outcome::Either, |path| flip(path, end_of_log(path) - 100, 4)),
    ("bits are flipped before the last record", Outcome::Either, |path| flip(path, end_of_log(path) - 3_000, 4)),
    ("bits are flipped at the beginning", Outcome::Either, |path| flip(path, 4, 4)),
    ("bits are flipped in the first segment", Outcome::Either, |path| flip(path, 5_000, 4)),
    ("bits are flipped at a quarter", Outcome::Either, |path| flip(path, end_of_log(path) / 4, 4)),
    ("bits are flipped in the middle", Outcome::Either, |path| flip(path, end_of_log(path) / 2, 4)),
    ("bits are flipped at three quarters", Outcome::Either, |path| flip(path, end_of_log(path) / 4 * 3, 4)),
    ("the first segment is zero", Outcome::Either, |path| zero(path, 0, SEGMENT)),
    ("a segment in the middle is zero", Outcome::Either, |path| {
        zero(path, log(path).1 / SEGMENT / 2 * SEGMENT, SEGMENT);
    }),
    ("the newest snapshot is gone", Outcome::Whole, |path| {
        snapshots(path).pop().map(fs::remove_file);
    }),
    ("the newest snapshot is cut off", Outcome::Either, |path| {
        let Some(newest) = snapshots(path).pop() else { return };
        shorten(&newest, fs::metadata(&newest).unwrap().len() / 2);
    }),
    ("the newest snapshot is empty", Outcome::Either, |path| {
        snapshots(path).pop().iter().for_each(|newest| shorten(newest, 0));
    }),
    ("a large value is gone", Outcome::Refused, |path| fs::remove_file(a_large_value(path)).unwrap()),
    ("a large value is cut off", Outcome::Refused, |path| shorten(&a_large_value(path), 10)),
    ("sled's settings are gone", Outcome::Either, |path| fs::remove_file(path.join("store/conf")).unwrap()),
    ("sled's settings are empty", Outcome::Either, |path| fs::write(path.join("store/conf"), "").unwrap()),
    ("the mark is gone", Outcome::Whole, |path| fs::remove_file(path.join("acknowledged")).unwrap()),
    ("the mark is garbled", Outcome::Whole, |path| fs::write(path.join("acknowledged"), "x").unwrap()),
];

fn zero(path: &Path, at: u64, count: u64) {
    log(path).0.write_all_at(&vec![0; count as usize], at).unwrap();
}

fn shorten(file: &Path, length: u64) {
    OpenOptions::new().write(true).open(file).unwrap().set_len(length).unwrap();
}

#[test]
fn a_closed_store_that_was_damaged_has_everything_or_is_refused() {
    CASES.iter().for_each(|(what, outcome, damage)| check(what, Left::Closed, *outcome, *damage));
}

#[test]
fn a_killed_store_that_was_damaged_has_everything_or_is_refused() {
    CASES.iter().for_each(|(what, outcome, damage)| check(what, Left::Killed, *outcome, *damage));
}

/// The end of a log as a power cut leaves it: everything that was acknowledged by then is there, and what was being
/// written is there whole or not at all. The copies are made while the store commits.
#[test]
fn what_was_acknowledged_survives_a_write_that_is_cut_off() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("data");
    fs::create_dir(&path).unwrap();
    let store = open(&path).unwrap();
    let pair = |number: u64| {
        let mut batch = Batch::new();
        for table in [Table::Subjects, Table::History] {
            batch.put(table, KeyBuilder::new().number(number).build(), vec![number as u8; 700]);
        }
        batch
    };
    for number in 0..50 {
        block_on(store.commit(pair(number))).unwrap();
    }
    for cut in [1, 9, 40, 200, 700, 1_500] {
        // The mark of the batch before: as a cut in the middle of the write of the last one finds it.
        let torn = temp.path().join(format!("torn {cut}"));
        let number = 1_000 + cut;
        let mark = fs::read(path.join("acknowledged")).unwrap();
        block_on(store.commit(pair(number))).unwrap();
        copy(&path, &torn);
        fs::write(torn.join("acknowledged"), mark).unwrap();
        zero(&torn, end_of_log(&torn) - cut + 1, cut);
        match open(&torn) {
            Ok(found) => {
                let rows = contents(&found);
                let there = rows.iter().filter(|(_, key, _)| *key == KeyBuilder::new().number(number).build()).count();
                let before: Vec<_> =
                    contents(&store).into_iter().filter(|(.., row)| row.value[0] != number as u8).collect();
                assert!(there == 0 || there == 2, "{cut} bytes: half of a batch");
                assert!(before.iter().all(|row| rows.contains(row)), "{cut} bytes: an acknowledged batch is gone");
            }
            Err(error) => assert!(matches!(error, Error::Damaged { .. }), "{cut} bytes: {error}"),
        }
    }
}
