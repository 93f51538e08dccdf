//! Writes bills, moves them on, and asks what became of them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::connectors::http::Http;
use crate::connectors::{Answer, Capabilities, Error, Finding, Job, Listed, Resend, Step, Target};
use crate::model::TargetKey;

use super::answers::{Seen, Verdict, Words, attribute, folded, is_refused_whole, refused, settle};
use super::body;
use super::client::{Client, Kind};
use super::compare;
use super::errors::{is_unknown_name, refusal};
use super::settings::{Connection, Options};
use super::wire::{BillState, Call, Operate, Query, Save, Status, service_of};

/// Bills of one form on one account.
#[derive(Debug)]
pub struct Bills {
    client: Client,
    options: Options,
}

/// What the site holds, by folded number.
type Held = HashMap<String, Seen>;

impl Bills {
    pub fn new(connection: &Connection, http: &Http, options: Options) -> Self {
        Self { client: connection.client(http), options }
    }

    /// All rows of a query.
    async fn query(&self, fields: &str, filter: String) -> Result<Vec<Vec<Value>>, Error> {
        let limit = self.options.query_limit;
        let mut rows = Vec::new();
        loop {
            let data = Query {
                form_id: &self.options.form,
                field_keys: fields.to_owned(),
                filter_string: filter.clone(),
                order_string: "FID ASC",
                top_row_count: 0,
                start_row: rows.len(),
                limit,
                sub_system_id: "",
            };
            let body = to_json(&Call { formid: None, data })?;
            let (answer, status) = self.client.call("ExecuteBillQuery", body, Kind::Read).await?;
            if let Some(status) = status {
                return Err(refusal(&status, self.client.account()));
            }
            let Ok(page) = serde_json::from_value::<Vec<Vec<Value>>>(answer) else {
                let detail = "the query's answer is not a list of rows".into();
                return Err(Error::Unreadable { detail, bytes: Default::default() });
            };
            let is_last = page.len() < limit;
            rows.extend(page);
            if is_last {
                return Ok(rows);
            }
        }
    }

    fn filter(&self, jobs: &[&Job]) -> String {
        let quoted: Vec<_> = jobs.iter().map(|job| format!("'{}'", job.key.as_str().replace('\'', "''"))).collect();
        format!("{} in ({})", self.options.key_field, quoted.join(","))
    }

    /// The states that the site holds the jobs' bills in.
    async fn held(&self, jobs: &[&Job]) -> Result<Held, Error> {
        let fields = format!("{},FID,FDocumentStatus", self.options.key_field);
        let mut held = Held::new();
        for row in self.query(&fields, self.filter(jobs)).await? {
            let [number, id, state] = row.as_slice() else { continue };
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let Some(state) = BillState::parse(&text(state)) else { continue };
            let bill = Seen::Bill { id: text(id), state };
            // Two bills of one number: nobody can say which is meant.
            held.entry(folded(&text(number)))
                .and_modify(|seen| {
                    if *seen != bill {
                        *seen = Seen::Unknown;
                    }
                })
                .or_insert(bill);
        }
        Ok(held)
    }

    /// What each job's bill has become, where that is worth a question.
    async fn confirm(&self, jobs: &[&Job], wanted: bool) -> Vec<Seen> {
        if !wanted {
            return vec![Seen::NotAsked; jobs.len()];
        }
        match self.client.ask_in_time(self.held(jobs)).await {
            Ok(held) => {
                let seen = |job: &&Job| held.get(&folded(job.key.as_str())).cloned().unwrap_or(Seen::Absent);
                jobs.iter().map(seen).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "the state of written bills could not be confirmed");
                vec![Seen::Unknown; jobs.len()]
            }
        }
    }

    async fn save(&self, step: Step, jobs: &[&Job], bodies: &[String]) -> Result<Vec<Answer>, Error> {
        let model: Result<Vec<&RawValue>, _> = bodies.iter().map(|body| serde_json::from_str(body)).collect();
        let model = model.map_err(|error| invalid(&error.to_string()))?;
        let data = Save::new(&self.options, step, model);
        let body = to_json(&Call { formid: Some(&self.options.form), data })?;
        let status = self.write_call(step, body).await?;
        if is_refused_whole(&status, jobs.len()) {
            return self.refused_whole(&status, jobs).await;
        }
        let verdicts = attribute(&status, jobs, &self.options);
        let asks = step == Step::Create && self.options.submit_and_audit && self.options.confirm_audit;
        Ok(self.settled(step, jobs, verdicts, asks).await)
    }

    /// That a batch refused as a whole left nothing behind is likely and not documented, so the site is asked.
    async fn refused_whole(&self, status: &Status, jobs: &[&Job]) -> Result<Vec<Answer>, Error> {
        let seen = self.confirm(jobs, true).await;
        if seen.iter().all(|seen| *seen == Seen::Absent) {
            return Err(refusal(status, self.client.account()));
        }
        Ok(vec![Answer::Unmentioned; jobs.len()])
    }

    async fn operate(&self, step: Step, jobs: &[&Job]) -> Result<Vec<Answer>, Error> {
        let ids: Vec<_> = jobs.iter().filter_map(|job| job.id.as_deref()).collect();
        let by_id = ids.len() == jobs.len();
        let data = Operate {
            create_org_id: 0,
            numbers: if by_id { Vec::new() } else { jobs.iter().map(|job| job.key.as_str()).collect() },
            ids: if by_id { ids.join(",") } else { String::new() },
            selected_post_id: 0,
            network_ctrl: "",
            interation_flags: &self.options.interaction_flags,
            ignore_interation_flag: true,
        };
        let body = to_json(&Call { formid: Some(&self.options.form), data })?;
        let status = self.write_call(step, body).await?;
        let verdicts = attribute(&status, jobs, &self.options);
        Ok(self.settled(step, jobs, verdicts, self.options.confirm_audit).await)
    }

    async fn write_call(&self, step: Step, body: String) -> Result<Status, Error> {
        let (_, status) = self.client.call(service_of(step), body, Kind::Write).await?;
        let status = status.ok_or_else(|| Error::Unreadable {
            detail: "the answer has no ResponseStatus".into(),
            bytes: Default::default(),
        })?;
        if !status.is_success() && status.successes().is_empty() && is_unknown_name(&status) {
            return Err(refusal(&status, self.client.account()));
        }
        Ok(status)
    }

    async fn settled(&self, step: Step, jobs: &[&Job], verdicts: Vec<Verdict>, asks: bool) -> Vec<Answer> {
        let seen = self.confirm(jobs, asks).await;
        let account = self.client.account();
        let answers = jobs.iter().zip(verdicts).zip(seen).map(|((job, mut verdict), seen)| {
            if let Some(words) = &mut verdict.error {
                words.message = account.blank(&words.message);
            }
            settle(step, job, verdict, seen, &self.options)
        });
        answers.collect()
    }

    async fn create(&self, jobs: &[Job]) -> Result<Vec<Answer>, Error> {
        let prepared = jobs.iter().map(|job| {
            let key =
                body::key_of(&job.body, &self.options.key_field).map_err(|problem| words("invalid_body", problem))?;
            if key != job.key {
                return Err(words("invalid_body", format!("the body's number is {key}")));
            }
            Ok(job.body.clone())
        });
        self.save_prepared(Step::Create, jobs, prepared.collect()).await
    }

    /// Only over a bill that the site, asked now, holds under this id and not audited.
    async fn update(&self, jobs: &[Job]) -> Result<Vec<Answer>, Error> {
        let all: Vec<_> = jobs.iter().collect();
        let held = self.client.ask_in_time(self.held(&all)).await.map_err(unsent)?;
        let prepared = jobs.iter().map(|job| {
            let Some(id) = job.id.as_deref().and_then(|id| id.parse::<u64>().ok()).filter(|id| *id > 0) else {
                return Err(words("id_missing", "the bill's FID is not known, so it cannot be written over".into()));
            };
            match held.get(&folded(job.key.as_str())) {
                Some(Seen::Bill { id: found, state }) if *found == id.to_string() => {
                    if state.first_step_of_change() != Some(Step::Update) {
                        let message = format!("the bill is {state:?} and is not written over");
                        return Err(words("not_changeable", message));
                    }
                }
                _ => return Err(words("bill_moved", format!("no single bill {id} of this number is there"))),
            }
            body::key_of(&job.body, &self.options.key_field).map_err(|problem| words("invalid_body", problem))?;
            body::with_id(&job.body, id).map_err(|problem| words("invalid_body", problem))
        });
        self.save_prepared(Step::Update, jobs, prepared.collect()).await
    }

    /// Sends what can be sent; the rest is refused here, in its place.
    async fn save_prepared(
        &self,
        step: Step,
        jobs: &[Job],
        prepared: Vec<Result<String, Words>>,
    ) -> Result<Vec<Answer>, Error> {
        let (mut sent_jobs, mut bodies) = (Vec::new(), Vec::new());
        for (job, prepared) in jobs.iter().zip(&prepared) {
            if let Ok(body) = prepared {
                sent_jobs.push(job);
                bodies.push(body.clone());
            }
        }
        let answers = if bodies.is_empty() { Vec::new() } else { self.save(step, &sent_jobs, &bodies).await? };
        let mut answers = answers.into_iter();
        let placed = prepared.into_iter().map(|prepared| match prepared {
            Ok(_) => answers.next().unwrap_or(Answer::Unmentioned),
            Err(words) => refused(words, None),
        });
        Ok(placed.collect())
    }
}

fn words(code: &str, message: String) -> Words {
    Words { code: code.into(), message }
}

fn invalid(detail: &str) -> Error {
    Error::Refused { code: "invalid_body".into(), message: detail.into() }
}

/// A question that failed before a write: whatever became of the question, the write never left.
fn unsent(error: Error) -> Error {
    if !error.may_have_written() {
        return error;
    }
    Error::Unreachable { host: "the site".into(), detail: format!("the question before the write failed: {error}") }
}

fn to_json<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| invalid(&error.to_string()))
}

#[async_trait]
impl Target for Bills {
    fn capabilities(&self) -> Capabilities {
        let recognised_by =
            format!("{} of form {}, asked with ExecuteBillQuery", self.options.key_field, self.options.form);
        Capabilities {
            batch_limit: self.options.batch_size,
            updatable: true,
            askable: true,
            resend: Resend::Never,
            recognised_by,
        }
    }

    fn number_space(&self) -> Option<&str> {
        Some(&self.options.form)
    }

    fn key_of(&self, body: &str) -> Result<TargetKey, String> {
        body::key_of(body, &self.options.key_field)
    }

    async fn write(&self, step: Step, jobs: &[Job]) -> Result<Vec<Answer>, Error> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        match step {
            Step::Create => self.create(jobs).await,
            Step::Update => self.update(jobs).await,
            Step::Submit | Step::Audit | Step::Unaudit => self.operate(step, &jobs.iter().collect::<Vec<_>>()).await,
        }
    }

    async fn look_up(&self, jobs: &[Job]) -> Result<Vec<Finding>, Error> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let all: Vec<_> = jobs.iter().collect();
        let cells = self.query(&compare::field_keys(&self.options), self.filter(&all)).await?;
        let rows: Option<Vec<_>> = cells.iter().map(|cells| compare::row(cells, &self.options)).collect();
        let Some(rows) = rows else {
            let detail = "a row of the query has not the fields that were asked for".into();
            return Err(Error::Unreadable { detail, bytes: Default::default() });
        };
        Ok(jobs.iter().map(|job| compare::find(job, &rows, &self.options)).collect())
    }

    async fn bills_of(&self, day: Date) -> Result<Option<Vec<Listed>>, Error> {
        let field = &self.options.date_field;
        let Ok(next) = day.tomorrow() else { return Ok(Some(Vec::new())) };
        let filter = format!("{field}>='{day}' and {field}<'{next}'");
        let rows = self.query(&format!("{},FID", self.options.key_field), filter).await?;
        let mut bills = Vec::new();
        let mut ids = HashSet::new();
        for row in &rows {
            let [number, id] = row.as_slice() else {
                let detail = "a row of the query has not the fields that were asked for".into();
                return Err(Error::Unreadable { detail, bytes: Default::default() });
            };
            // A bill that is written while the list is read can shift another onto two pages.
            if ids.insert(id.to_string()) {
                let number = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
                bills.push(Listed { keys: TargetKey::new(&number).into_iter().collect(), number });
            }
        }
        Ok(Some(bills))
    }

    /// A write and one question: before it for an update, after it for all else.
    fn request_timeout(&self) -> Duration {
        self.client.longest_call() * 2
    }

    async fn probe(&self) -> Result<(), Error> {
        // No bill has an empty number: the question costs nothing, and still needs the session, the form and the field.
        let filter = format!("{}=''", self.options.key_field);
        self.query(&self.options.key_field, filter).await.map(drop)
    }
}
