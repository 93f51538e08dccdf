//! Texts that people write: names, notes, reasons. They end up in lists, logs and terminals.

use crate::model::{is_no_part_of_a_name, is_unseen};

use super::Error;

/// At most `limit` characters, all of which a reader sees.
pub(super) fn check(field: &str, text: &str, limit: usize) -> Result<(), Error> {
    if text.chars().count() > limit {
        return Err(Error::invalid(field, "is too long", format!("write at most {limit} characters")));
    }
    if text.chars().any(is_unseen) {
        let problem = "holds a character that is not seen: of control, of direction, or without ink";
        return Err(Error::invalid(field, problem, "write it in one line of plain text"));
    }
    Ok(())
}

/// As [`check`], of what is told from others by eye; it may be empty.
pub(super) fn name(field: &str, text: &str, limit: usize) -> Result<(), Error> {
    check(field, text, limit)?;
    if text.chars().any(is_no_part_of_a_name) {
        let problem = "holds a blank that is not seen as one or is taken for another";
        return Err(Error::invalid(field, problem, "use the usual blank, or none"));
    }
    Ok(())
}

/// As [`name`], and not empty.
pub(super) fn require(field: &str, text: &str, limit: usize) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::invalid(field, "is empty", "fill it in"));
    }
    name(field, text, limit)
}

/// A name that becomes a part of a key: of a table that modules look things up in.
pub(super) fn key_part(field: &str, text: &str) -> Result<(), Error> {
    /// The same as of a table in the configuration file.
    const LIMIT_BYTES: usize = 128;
    if text.len() > LIMIT_BYTES {
        return Err(Error::invalid(field, "is too long", format!("write at most {LIMIT_BYTES} bytes")));
    }
    require(field, text, LIMIT_BYTES)
}
