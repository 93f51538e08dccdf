//! A capsule as a file: JSON, indented, with the number of its format.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::Capsule;

/// Raised with every change that an older reader would not understand.
pub const FORMAT: u32 = 1;
/// The most that a capsule may be. A document, its bills and its look-ups have 16 MiB together, escaped at worst twice
/// that; an interpreter's component is 24 MiB as text.
pub const CAPSULE_LIMIT_BYTES: usize = 64 << 20;

/// Why a text is not a capsule that can be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{0}")]
    Unreadable(#[from] std::io::Error),
    #[error(
        "line {line}, column {column}: {problem}; the file is cut off or was changed: capture the document again with \
         `crossdock document capsule`"
    )]
    Garbled { line: usize, column: usize, problem: String },
    #[error("this is not a capsule: it has no `format`; `crossdock document capsule` writes one")]
    NoCapsule,
    #[error(
        "the capsule has format {found}, written by crossdock {writer}, and this is crossdock {own}, which knows \
         formats up to {FORMAT}; replay it with crossdock {writer} or newer",
        own = env!("CARGO_PKG_VERSION")
    )]
    Newer { found: u64, writer: String },
    #[error("it would be {bytes} bytes, and a capsule has at most {CAPSULE_LIMIT_BYTES}; {hint}")]
    TooLarge { bytes: usize, hint: &'static str },
}

/// What can be read of a capsule of any format.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: Value,
    #[serde(default)]
    engine: Value,
}

impl Capsule {
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let mut text = String::new();
        // One byte more than there may be, so that a larger file is not taken for one that was cut off.
        File::open(path)?.take(CAPSULE_LIMIT_BYTES as u64 + 1).read_to_string(&mut text)?;
        if text.len() > CAPSULE_LIMIT_BYTES {
            return Err(FileError::TooLarge { bytes: text.len(), hint: "this is not one" });
        }
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Result<Self, FileError> {
        // The number first: nothing else of a newer format may mean what it means here.
        let head: Head = serde_json::from_str(text).map_err(|error| garbled(&error))?;
        let format = head.format.as_u64().ok_or(FileError::NoCapsule)?;
        if format > u64::from(FORMAT) {
            let writer = head.engine["crossdock"].as_str().unwrap_or("of a later release").to_owned();
            return Err(FileError::Newer { found: format, writer });
        }
        serde_json::from_str(text).map_err(|error| garbled(&error))
    }

    /// The file's text.
    pub fn to_text(&self) -> Result<String, FileError> {
        let mut text = serde_json::to_string_pretty(self).expect("texts, numbers and names are JSON");
        text.push('\n');
        if text.len() > CAPSULE_LIMIT_BYTES {
            let hint = match self.module.component {
                Some(_) => "leave the component out, without --with-module",
                None => "the document with its bills and look-ups is too large to be carried about",
            };
            return Err(FileError::TooLarge { bytes: text.len(), hint });
        }
        Ok(text)
    }
}

fn garbled(error: &serde_json::Error) -> FileError {
    // serde_json puts the place at the end of its words, too.
    let words = error.to_string();
    let problem = words.split(" at line ").next().unwrap_or_default().to_owned();
    FileError::Garbled { line: error.line(), column: error.column(), problem }
}
