//! The store's own rows: its format, its lease, its last revision; and the steps from older formats to this one.

use bytes::Bytes;

use super::batch::{Error, KeyBuilder, Revision, Table};
use super::directory::{self, Directory};
use super::row::{self, Payload, Row};
use super::sum::Sum;

/// The format that this Crossdock writes. A change of [`row`] or of what a table's rows mean is a new number and a step.
pub(super) const FORMAT: u32 = 2;

/// From format `from` to `from + 1`. The changes and the new number are one batch, so a crash leaves the old format or
/// the new one.
pub(super) struct Step {
    pub from: u32,
    pub changes: fn(&sled::Tree) -> Result<sled::Batch, Error>,
}

/// Format 2 sums its rows with another hash.
pub(super) const STEPS: &[Step] = &[Step { from: 1, changes: sum_anew }];

/// The last time that the rows are held to the old sum.
fn sum_anew(tree: &sled::Tree) -> Result<sled::Batch, Error> {
    checked_sum(tree, Sum::of_format_1)?;
    let (lease, last) = (read_number(tree, LEASE_ROW)?.unwrap_or(0), read_number(tree, REVISION_ROW)?.unwrap_or(0));
    let mut batch = sled::Batch::default();
    // With the format's number, in one batch: a store of this format whose sum is the old one counts as damaged.
    write_sum(&mut batch, Sum::of(tree)?, lease, Revision(last));
    Ok(batch)
}

pub(super) const FORMAT_ROW: &str = "format";
const LEASE_ROW: &str = "lease";
pub(super) const REVISION_ROW: &str = "revision";
pub(super) const SUM_ROW: &str = "sum";

/// What the store says of itself when it has been opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub lease: u64,
    pub last: Revision,
    pub sum: Sum,
}

/// Checks the format, migrates an older one, and takes the next lease. All durable on return.
pub(super) fn take_lease(tree: &sled::Tree, directory: &Directory) -> Result<Opened, Error> {
    take_lease_as(tree, directory, FORMAT, STEPS)
}

fn take_lease_as(tree: &sled::Tree, directory: &Directory, known: u32, steps: &[Step]) -> Result<Opened, Error> {
    let noted = directory.noted_lease();
    let found = read_number(tree, FORMAT_ROW)?;
    let lease = read_number(tree, LEASE_ROW)?.unwrap_or(0);
    if lease < noted {
        let detail = format!(
            "the store knows of {lease} openings and there were {noted}, so it lost rows; \
             stop here and restore the whole data directory from a backup"
        );
        return Err(Error::Damaged { detail });
    }
    let last = Revision(read_number(tree, REVISION_ROW)?.unwrap_or(0));
    refuse_a_lost_end(last, directory)?;

    match found {
        Some(found) => migrate(tree, directory, to_format(found)?, known, steps)?,
        None if tree.is_empty() => {}
        None => {
            let detail = "the store has rows and no format number; restore the data directory from a backup";
            return Err(Error::Damaged { detail: detail.into() });
        }
    }
    // What a step made of the rows has a sum of its own.
    let sum = if found == Some(known.into()) { checked_sum(tree, Sum::of)? } else { Sum::of(tree)? };
    let lease = lease + 1;
    let mut batch = sled::Batch::default();
    write_sum(&mut batch, sum, lease, last);
    write_number(&mut batch, FORMAT_ROW, known.into(), lease, last);
    write_number(&mut batch, LEASE_ROW, lease, lease, last);
    apply_durably(tree, directory, batch)?;
    let folder = directory.folder();
    directory.sync_store_files(&folder).map_err(|error| directory::io_failed("syncing the store's files", &error))?;
    directory.note_lease(lease).map_err(|error| directory::io_failed("noting the lease", &error))?;
    Ok(Opened { lease, last, sum })
}

/// The sum of the rows, where it is the one that was kept with them.
fn checked_sum(tree: &sled::Tree, sum_of: fn(&sled::Tree) -> Result<Sum, Error>) -> Result<Sum, Error> {
    let found = sum_of(tree)?;
    // A store of an earlier Crossdock has none; what it holds now is what it is held to from now on.
    let Some(kept) = read_own(tree, SUM_ROW)? else { return Ok(found) };
    if Sum::from_bytes(&kept) == Some(found) {
        return Ok(found);
    }
    let detail = "the rows are not those that were acknowledged: some were lost or are older than they should be; keep \
                  this directory for inspection and restore the whole data directory from a backup";
    Err(Error::Damaged { detail: detail.into() })
}

/// sled opens without the end of its log where it cannot read it.
fn refuse_a_lost_end(last: Revision, directory: &Directory) -> Result<(), Error> {
    let acknowledged = directory.acknowledged().map_err(|error| directory::io_failed("reading the mark", &error))?;
    match acknowledged {
        Some(acknowledged) if acknowledged > last => Err(Error::Damaged {
            detail: format!(
                "the store ends with batch {} and batch {} was acknowledged, so its end was lost or damaged; keep this \
                 directory for inspection and restore the whole data directory from a backup",
                last.0, acknowledged.0
            ),
        }),
        _ => Ok(()),
    }
}

fn migrate(tree: &sled::Tree, directory: &Directory, found: u32, known: u32, steps: &[Step]) -> Result<(), Error> {
    if found > known {
        return Err(Error::Newer { found, known });
    }
    for from in found..known {
        let Some(step) = steps.iter().find(|step| step.from == from) else {
            let detail = format!("the store has format {from} and this Crossdock has no step from there");
            return Err(Error::Open { detail });
        };
        let mut batch = (step.changes)(tree)?;
        let lease = read_number(tree, LEASE_ROW)?.unwrap_or(0);
        let last = Revision(read_number(tree, REVISION_ROW)?.unwrap_or(0));
        write_number(&mut batch, FORMAT_ROW, u64::from(from + 1), lease, last);
        apply_durably(tree, directory, batch)?;
        tracing::info!(from, to = from + 1, "the store was brought to a newer format");
    }
    Ok(())
}

fn apply_durably(tree: &sled::Tree, directory: &Directory, batch: sled::Batch) -> Result<(), Error> {
    tree.apply_batch(batch).map_err(|error| sled_failed(&error))?;
    tree.flush().map_err(|error| sled_failed(&error))?;
    directory.sync().map_err(|error| directory::io_failed("syncing the store", &error))
}

/// What an error of sled's means while the store is in use.
pub(super) fn sled_failed(error: &sled::Error) -> Error {
    match error {
        sled::Error::Io(error) => directory::io_failed("the store", error),
        sled::Error::Corruption { .. } => Error::Damaged { detail: error.to_string() },
        sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) | sled::Error::ReportableBug(_) => {
            Error::Failed { detail: error.to_string() }
        }
        // sled's own fail points, a variant it has only with a feature that some other crate might turn on.
        #[allow(unreachable_patterns)]
        other => Error::Failed { detail: other.to_string() },
    }
}

pub(super) fn own_key(name: &str) -> Vec<u8> {
    row::tree_key(Table::Meta, &KeyBuilder::new().text(name).build())
}

pub(super) fn number_value(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn write_sum(batch: &mut sled::Batch, sum: Sum, lease: u64, revision: Revision) {
    let row = Row { revision, lease, payload: Payload::Inline(Bytes::copy_from_slice(&sum.bytes())) };
    batch.insert(own_key(SUM_ROW), row.encode());
}

fn write_number(batch: &mut sled::Batch, name: &str, number: u64, lease: u64, revision: Revision) {
    let row = Row { revision, lease, payload: Payload::Inline(number_value(number)) };
    batch.insert(own_key(name), row.encode());
}

fn read_number(tree: &sled::Tree, name: &str) -> Result<Option<u64>, Error> {
    let Some(bytes) = read_own(tree, name)? else { return Ok(None) };
    bytes.as_ref().try_into().map(|bytes| Some(u64::from_be_bytes(bytes))).map_err(|_| unreadable(name))
}

fn read_own(tree: &sled::Tree, name: &str) -> Result<Option<Bytes>, Error> {
    let Some(raw) = tree.get(own_key(name)).map_err(|error| sled_failed(&error))? else { return Ok(None) };
    match Row::decode(&raw).map(|row| row.payload) {
        Some(Payload::Inline(bytes)) => Ok(Some(bytes)),
        Some(Payload::File { .. }) | None => Err(unreadable(name)),
    }
}

fn unreadable(name: &str) -> Error {
    Error::Damaged {
        detail: format!("the store's own row `{name}` is unreadable; restore the data directory from a backup"),
    }
}

fn to_format(number: u64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::Damaged { detail: format!("{number} is no format number") })
}

#[cfg(test)]
mod tests {
    use cap_std::fs::Dir;

    use super::*;

    struct Place {
        _temp: tempfile::TempDir,
        directory: Directory,
        db: sled::Db,
    }

    fn place() -> Place {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
        let directory = Directory::open(&dir).unwrap();
        let db = sled::Config::new().path(temp.path().join("store")).open().unwrap();
        Place { _temp: temp, directory, db }
    }

    fn rename_a_to_b(tree: &sled::Tree) -> Result<sled::Batch, Error> {
        let mut batch = sled::Batch::default();
        if let Some(value) = tree.get([1, b'a']).map_err(|error| sled_failed(&error))? {
            batch.remove(&[1, b'a']);
            batch.insert(&[1, b'b'], value);
        }
        Ok(batch)
    }

    fn double_b(tree: &sled::Tree) -> Result<sled::Batch, Error> {
        let mut batch = sled::Batch::default();
        if let Some(value) = tree.get([1, b'b']).map_err(|error| sled_failed(&error))? {
            batch.insert(&[1, b'b'], [value.as_ref(), value.as_ref()].concat());
        }
        Ok(batch)
    }

    fn breaks(_: &sled::Tree) -> Result<sled::Batch, Error> {
        Err(Error::Failed { detail: "the step broke".into() })
    }

    const TWO_STEPS: &[Step] = &[Step { from: 2, changes: double_b }, Step { from: 1, changes: rename_a_to_b }];

    #[test]
    fn grows_the_lease_by_one_at_every_opening() {
        let place = place();
        for lease in 1..4 {
            let opened = Opened { lease, last: Revision(0), sum: Sum::default() };
            assert_eq!(take_lease(&place.db, &place.directory).unwrap(), opened);
        }
    }

    #[test]
    fn refuses_a_newer_format_and_changes_nothing() {
        let place = place();
        take_lease_as(&place.db, &place.directory, 3, &[]).unwrap();
        let before = place.db.checksum().unwrap();
        let error = take_lease_as(&place.db, &place.directory, 2, &[]).unwrap_err();
        assert!(matches!(error, Error::Newer { found: 3, known: 2 }), "{error}");
        assert_eq!(place.db.checksum().unwrap(), before);
    }

    #[test]
    fn brings_an_older_format_here_step_by_step() {
        let place = place();
        take_lease_as(&place.db, &place.directory, 1, &[]).unwrap();
        place.db.insert([1, b'a'], b"x").unwrap();
        let opened = take_lease_as(&place.db, &place.directory, 3, TWO_STEPS).unwrap();
        assert_eq!(opened.lease, 2);
        assert_eq!(place.db.get([1, b'a']).unwrap(), None);
        assert_eq!(place.db.get([1, b'b']).unwrap().unwrap(), b"xx");
        take_lease_as(&place.db, &place.directory, 3, TWO_STEPS).unwrap();
        assert_eq!(place.db.get([1, b'b']).unwrap().unwrap(), b"xx", "a step runs once");
    }

    #[test]
    fn stays_at_the_last_whole_step_when_one_breaks() {
        let place = place();
        take_lease_as(&place.db, &place.directory, 1, &[]).unwrap();
        place.db.insert([1, b'a'], b"x").unwrap();
        let steps = &[Step { from: 1, changes: rename_a_to_b }, Step { from: 2, changes: breaks }];
        assert!(matches!(take_lease_as(&place.db, &place.directory, 3, steps), Err(Error::Failed { .. })));
        assert_eq!(read_number(&place.db, FORMAT_ROW).unwrap(), Some(2));
        assert_eq!(place.db.get([1, b'b']).unwrap().unwrap(), b"x");
        take_lease_as(&place.db, &place.directory, 3, TWO_STEPS).unwrap();
        assert_eq!(place.db.get([1, b'b']).unwrap().unwrap(), b"xx");
    }

    #[test]
    fn refuses_an_older_format_that_no_step_leads_from() {
        let place = place();
        take_lease_as(&place.db, &place.directory, 1, &[]).unwrap();
        let error = take_lease_as(&place.db, &place.directory, 2, &[]).unwrap_err();
        assert!(matches!(error, Error::Open { .. }), "{error}");
    }

    #[test]
    fn this_format_can_be_reached_from_every_older_one() {
        let mut found: Vec<_> = STEPS.iter().map(|step| step.from).collect();
        found.sort_unstable();
        assert_eq!(found, (1..=FORMAT).filter(|from| *from < FORMAT).collect::<Vec<_>>());
    }

    /// As the first format left it: a row, and the sum of that day.
    fn of_format_1(place: &Place) {
        let mut batch = sled::Batch::default();
        batch.insert(&[1, b'a'], b"x");
        place.db.apply_batch(batch).unwrap();
        let sum = Sum::of_format_1(&place.db).unwrap();
        assert_ne!(sum, Sum::of(&place.db).unwrap());
        let mut batch = sled::Batch::default();
        write_sum(&mut batch, sum, 1, Revision(0));
        write_number(&mut batch, FORMAT_ROW, 1, 1, Revision(0));
        place.db.apply_batch(batch).unwrap();
    }

    #[test]
    fn sums_a_store_of_the_first_format_anew_once_it_has_added_up() {
        let place = place();
        of_format_1(&place);
        let sum = take_lease(&place.db, &place.directory).unwrap().sum;
        assert_eq!(sum, Sum::of(&place.db).unwrap());
        assert_eq!(read_number(&place.db, FORMAT_ROW).unwrap(), Some(2));
        assert_eq!(take_lease(&place.db, &place.directory).unwrap().sum, sum);
    }

    #[test]
    fn an_opening_that_ends_between_the_step_and_the_lease_leaves_a_store_that_adds_up() {
        let place = place();
        of_format_1(&place);
        migrate(&place.db, &place.directory, 1, FORMAT, STEPS).unwrap();
        // And here it was killed.
        let opened = take_lease(&place.db, &place.directory).unwrap();
        assert_eq!(opened.sum, Sum::of(&place.db).unwrap());
    }

    #[test]
    fn refuses_a_store_of_the_first_format_that_lost_a_row() {
        let place = place();
        of_format_1(&place);
        place.db.insert([1, b'a'], b"older").unwrap();
        let error = take_lease(&place.db, &place.directory).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }

    #[test]
    fn says_damaged_when_the_store_lost_its_rows() {
        let place = place();
        take_lease(&place.db, &place.directory).unwrap();
        place.db.clear().unwrap();
        let error = take_lease(&place.db, &place.directory).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }

    #[test]
    fn says_damaged_when_rows_have_no_format() {
        let place = place();
        place.db.insert([1, b'a'], b"x").unwrap();
        let error = take_lease(&place.db, &place.directory).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
}
