//! The envelope of nearly every answer. `SuccessEntitys` is the vendor's spelling.

use serde_json::{Value, json};

/// The vendor's list, as far as it is used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MsgCode {
    Fine = 0,
    SessionLost = 1,
    Exception = 4,
    FormIdEmpty = 5,
    BadParameter = 8,
    UnknownField = 9,
    NotFound = 10,
    Invalid = 11,
    NotOperable = 12,
    Locked = 13,
    CallLimit = 14,
}

/// One line of `Errors`.
#[derive(Debug, Clone)]
pub struct Line {
    pub field: String,
    pub message: String,
    pub index: usize,
}

#[derive(Debug)]
pub struct Errors {
    pub code: MsgCode,
    pub lines: Vec<Line>,
}

impl Errors {
    pub fn one(code: MsgCode, field: &str, message: &str, index: usize) -> Self {
        Self { code, lines: vec![Line { field: field.to_owned(), message: message.to_owned(), index }] }
    }

    /// An answer in which nothing succeeded.
    pub fn json(&self) -> Value {
        json!({"Result": {"ResponseStatus": status(self, &[])}})
    }
}

/// A bill that an operation succeeded on.
#[derive(Debug, Clone)]
pub struct Success {
    pub fid: u64,
    pub number: String,
    pub index: usize,
}

pub fn status(errors: &Errors, successes: &[Success]) -> Value {
    let failed = !errors.lines.is_empty();
    let lines: Vec<_> = errors
        .lines
        .iter()
        .map(|line| {
            let field = if line.field.is_empty() { Value::Null } else { json!(line.field) };
            json!({"FieldName": field, "Message": line.message, "DIndex": line.index})
        })
        .collect();
    let successes: Vec<_> = successes
        .iter()
        .map(|success| json!({"Id": success.fid, "Number": success.number, "DIndex": success.index}))
        .collect();
    let mut status = json!({
        "IsSuccess": !failed, "Errors": lines, "SuccessEntitys": successes, "SuccessMessages": [],
        "MsgCode": if failed { errors.code as u32 } else { 0 },
    });
    if failed {
        status["ErrorCode"] = json!(500);
    }
    status
}
