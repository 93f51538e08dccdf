//! K3Cloud's own names: services, requests, and the answer that every service gives.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::connectors::Step;
use crate::connectors::qimen::Loose;

use super::settings::Options;

pub const AUTH: &str = "Kingdee.BOS.WebApi.ServicesStub.AuthService.";
pub const FORM: &str = "Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.";

/// The last part of every service's address.
pub fn path_of(service: &str) -> String {
    format!("{service}.common.kdsvc")
}

pub fn service_of(step: Step) -> &'static str {
    match step {
        Step::Create | Step::Update => "BatchSave",
        Step::Submit => "Submit",
        Step::Audit => "Audit",
        Step::Unaudit => "UnAudit",
    }
}

#[derive(Serialize)]
pub struct Call<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formid: Option<&'a str>,
    pub data: T,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Save<'a> {
    need_up_date_fields: [&'a str; 0],
    need_return_fields: [&'a str; 1],
    is_delete_entry: bool,
    sub_system_id: &'a str,
    is_verify_base_data_field: bool,
    is_entry_batch_fill: bool,
    validate_flag: bool,
    number_search: bool,
    is_auto_adjust_field: bool,
    interation_flags: &'a str,
    ignore_interation_flag: bool,
    is_control_precision: bool,
    validate_repeat_json: bool,
    is_auto_submit_and_audit: bool,
    batch_count: u32,
    model: Vec<&'a RawValue>,
}

impl<'a> Save<'a> {
    /// A batch of new bills, or of bills to be written over. Over an old bill nothing is audited in the same call: its
    /// later steps are intents of their own.
    pub fn new(options: &'a Options, step: Step, model: Vec<&'a RawValue>) -> Self {
        Self {
            need_up_date_fields: [],
            need_return_fields: [&options.key_field],
            // The lines that the new version does not have go.
            is_delete_entry: true,
            sub_system_id: "",
            is_verify_base_data_field: options.verify_base_data,
            is_entry_batch_fill: true,
            validate_flag: true,
            number_search: true,
            is_auto_adjust_field: false,
            interation_flags: &options.interaction_flags,
            ignore_interation_flag: true,
            is_control_precision: false,
            // It refuses an identical packet even where the first was refused for a reason mended since.
            validate_repeat_json: false,
            is_auto_submit_and_audit: step == Step::Create && options.submit_and_audit,
            batch_count: 0,
            model,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Operate<'a> {
    pub create_org_id: u32,
    pub numbers: Vec<&'a str>,
    pub ids: String,
    pub selected_post_id: u32,
    pub network_ctrl: &'a str,
    pub interation_flags: &'a str,
    pub ignore_interation_flag: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Query<'a> {
    pub form_id: &'a str,
    pub field_keys: String,
    pub filter_string: String,
    pub order_string: &'a str,
    /// Counted from the first row of the whole result, so anything but 0 spoils the later pages.
    pub top_row_count: usize,
    pub start_row: usize,
    pub limit: usize,
    pub sub_system_id: &'a str,
}

/// The `ResponseStatus` that every service answers with, in one spelling or another.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Status {
    is_success: Loose,
    pub errors: Option<Vec<ErrorEntry>>,
    /// The vendor's spelling.
    pub success_entitys: Option<Vec<SuccessEntry>>,
    msg_code: Loose,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ErrorEntry {
    pub field_name: Loose,
    pub message: Loose,
    #[serde(rename = "DIndex")]
    pub index: Loose,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SuccessEntry {
    pub id: Loose,
    pub number: Loose,
    #[serde(rename = "DIndex")]
    pub index: Loose,
}

impl Status {
    /// The status inside an answer; a query wraps its refusal in two arrays.
    pub fn find(answer: &Value) -> Option<Status> {
        let inner = answer.get(0).and_then(|row| row.get(0)).unwrap_or(answer);
        Status::deserialize(inner.get("Result")?.get("ResponseStatus")?).ok()
    }
    pub fn is_success(&self) -> bool {
        self.is_success.as_str().eq_ignore_ascii_case("true")
    }
    pub fn code(&self) -> i64 {
        self.msg_code.number().unwrap_or(0)
    }
    pub fn errors(&self) -> &[ErrorEntry] {
        self.errors.as_deref().unwrap_or_default()
    }
    pub fn successes(&self) -> &[SuccessEntry] {
        self.success_entitys.as_deref().unwrap_or_default()
    }
    /// All the vendor's words at once.
    pub fn words(&self) -> String {
        let words: Vec<_> = self.errors().iter().map(ErrorEntry::words).collect();
        if words.is_empty() { "the vendor gave no words".into() } else { words.join("; ") }
    }
}

impl ErrorEntry {
    pub fn words(&self) -> String {
        match (self.field_name.as_str(), self.message.as_str()) {
            ("", message) => message.to_owned(),
            (field, message) => format!("{field}: {message}"),
        }
    }
}

/// A bill's `FDocumentStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillState {
    /// Z: kept, not yet a bill.
    Draft,
    /// A: saved.
    Created,
    /// B: submitted, waiting for its audit.
    Submitted,
    /// C.
    Audited,
    /// D: its audit was taken back.
    Reopened,
}

impl BillState {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Z" => BillState::Draft,
            "A" => BillState::Created,
            "B" => BillState::Submitted,
            "C" => BillState::Audited,
            "D" => BillState::Reopened,
            _ => return None,
        })
    }

    /// What a bill of ours in this state still needs.
    pub fn next(self, submit_and_audit: bool) -> Option<Step> {
        match self {
            _ if !submit_and_audit => None,
            BillState::Draft | BillState::Created | BillState::Reopened => Some(Step::Submit),
            BillState::Submitted => Some(Step::Audit),
            BillState::Audited => None,
        }
    }

    /// The first step of changing a bill in this state. One that waits for its audit is in somebody's hands.
    pub fn first_step_of_change(self) -> Option<Step> {
        match self {
            BillState::Draft | BillState::Created | BillState::Reopened => Some(Step::Update),
            BillState::Submitted => None,
            BillState::Audited => Some(Step::Unaudit),
        }
    }
}
