//! Writes gain bills, and asks what became of them.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Span as Days;
use jiff::civil::Date;
use reqwest::Method;
use serde_json::{Value, json};

use crate::connectors::http::Http;
use crate::connectors::{Answer, Capabilities, DUPLICATE_NUMBER, Error, Finding, Job, Listed, Resend, Step, Target};
use crate::model::TargetKey;

use super::body;
use super::client::{Call, Client};
use super::compare::{Found, finding};
use super::errors::Rejection;
use super::lists::{self, List, Row};
use super::settings::{Connection, Generation, NumberIn, OPERATION, Options, Recognise};

/// Gain bills of one account.
#[derive(Debug)]
pub struct Bills {
    client: Client,
    options: Options,
    paths: Paths,
}

#[derive(Debug)]
struct Paths {
    save: String,
    list: String,
    detail: String,
    date_filter: [String; 2],
}

impl Bills {
    pub fn new(connection: &Connection, http: &Http, options: Options) -> Self {
        let client = connection.client(http);
        // The second generation's paths really say *gail*.
        let (list, detail, dates) = match client.account().generation {
            Generation::V1 => (
                "jdy/inv/inv_check_gain_bill_list",
                "jdy/inv/inv_check_gain_bill_detail",
                ["startbilldate", "endbilldate"],
            ),
            Generation::V2 => (
                "jdy/v2/scm/inv_check_gail_bill",
                "jdy/v2/scm/inv_check_gail_bill_detail",
                ["start_bill_date", "end_bill_date"],
            ),
        };
        let path =
            |own: &Option<String>, usual: &str| own.as_deref().unwrap_or(usual).trim_start_matches('/').to_owned();
        let paths = Paths {
            save: path(&options.save_path, OPERATION),
            list: path(&options.list_path, list),
            detail: path(&options.detail_path, detail),
            date_filter: options.date_filter.clone().unwrap_or(dates.map(str::to_owned)),
        };
        Self { client, options, paths }
    }

    async fn create(&self, job: &Job) -> Result<Answer, Error> {
        match body::key_of(&job.body, &self.options.number_in) {
            Ok(key) if key == job.key => {}
            Ok(key) => return Ok(refused("invalid_body", format!("the body's number is {key}"))),
            Err(problem) => return Ok(refused("invalid_body", problem)),
        }
        let path = self.paths.save.clone();
        let call = Call { method: Method::POST, path, query: Vec::new(), body: job.body.clone() };
        match self.client.write(&call).await {
            Ok(data) => Ok(Answer::Done { id: saved_id(&data), next: None }),
            Err(Rejection::Refused { code, message }) => {
                let taken = self.options.duplicate_words.iter().any(|words| message.contains(words.as_str()));
                Ok(refused(if taken { DUPLICATE_NUMBER } else { &code }, message))
            }
            Err(rejection) => Err(rejection.into_error()),
        }
    }

    async fn find(&self, job: &Job) -> Result<Finding, Error> {
        let intended = body::intended(&job.body);
        let date = intended.as_ref().ok().and_then(|intended| intended.date);
        // The search word first, for it is one page; whether it looks into remarks is not documented, so that nothing
        // was found by it proves nothing.
        let mut rows = Vec::new();
        if self.options.search {
            rows = self.matching(job, vec![("search".into(), job.key.to_string())]).await?;
        }
        if rows.is_empty() {
            let mut filters = Vec::new();
            if let Some(date) = date {
                let days = Days::new().days(self.options.search_days);
                let [first, last] = self.paths.date_filter.clone();
                filters.push((first, date.checked_sub(days).unwrap_or(date).to_string()));
                filters.push((last, date.checked_add(days).unwrap_or(date).to_string()));
            }
            rows = self.matching(job, filters).await?;
        }
        let mut found = Vec::new();
        for row in rows {
            found.push(self.with_lines(row).await?);
        }
        Ok(finding(&intended, &found))
    }

    async fn matching(&self, job: &Job, filters: Vec<(String, String)>) -> Result<Vec<Row>, Error> {
        let list = List { path: self.paths.list.clone(), filters, everything: false };
        let mut rows = lists::all(&self.client, &list, self.options.page_size).await?;
        rows.retain(|row| self.options.number_in.iter().any(|place| carries(row, *place, &job.key)));
        Ok(rows)
    }

    /// A number that the account gave by itself stands first; ours may stand in the remark.
    fn listed(&self, row: &Row) -> Listed {
        let at = |place| body::number_at(row, place).ok().flatten();
        let numbers: Vec<String> = self.options.number_in.iter().filter_map(|place| at(*place)).collect();
        let shown = at(NumberIn::Billno).or_else(|| lists::text(row, "id"));
        Listed {
            number: shown.unwrap_or_else(|| "(no number)".into()),
            keys: numbers.iter().filter_map(|number| TargetKey::new(number).ok()).collect(),
        }
    }

    /// The bill with its lines: as the list shows it, where it does, else by itself.
    async fn with_lines(&self, row: Row) -> Result<Found, Error> {
        let Some(id) = lists::text(&row, "id") else {
            let detail = "a bill on the list has no id".into();
            return Err(Error::Unreadable { detail, bytes: Default::default() });
        };
        if matches!(body::lines(&row), Ok(Some(_))) {
            return Ok(Found::read(id, &row));
        }
        let path = self.paths.detail.clone();
        let call = match self.client.account().generation {
            Generation::V1 => {
                Call { method: Method::POST, path, query: Vec::new(), body: json!({ "id": id }).to_string() }
            }
            Generation::V2 => {
                Call { method: Method::GET, path, query: vec![("id".into(), id.clone())], body: String::new() }
            }
        };
        let data = self.client.ask(&call).await?;
        let Value::Object(mut bill) = data else {
            let detail = "the answer is not a bill".into();
            return Err(Error::Unreadable { detail, bytes: Default::default() });
        };
        for (name, value) in row {
            bill.entry(name).or_insert(value);
        }
        Ok(Found::read(id, &bill))
    }
}

fn carries(row: &Row, place: NumberIn, key: &TargetKey) -> bool {
    matches!(body::number_at(row, place), Ok(Some(number)) if number == key.as_str())
}

fn refused(code: &str, message: String) -> Answer {
    Answer::Refused { code: code.to_owned(), message, saved: None }
}

/// The new bill's id: `ids` in the second generation, `id` in the first.
fn saved_id(data: &Value) -> Option<String> {
    let id = data.get("ids").and_then(|ids| ids.get(0)).or(data.get("id"))?;
    match id {
        Value::String(id) => Some(id.clone()).filter(|id| !id.is_empty()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

#[async_trait]
impl Target for Bills {
    fn capabilities(&self) -> Capabilities {
        let places: Vec<_> = self.options.number_in.iter().map(|place| place.as_str()).collect();
        let places = places.join(" or ");
        let recognised_by = match self.options.recognise {
            Recognise::Number => {
                let days = self.options.search_days;
                format!("our number in {places}, looked for among the bills of {days} days around its date")
            }
            Recognise::None => format!("nothing: the account gives {places} not back"),
        };
        Capabilities {
            batch_limit: 1,
            updatable: false,
            askable: self.options.recognise == Recognise::Number,
            // JDY gives every save a bill of its own: the same bytes twice are two bills.
            resend: Resend::Never,
            recognised_by,
        }
    }

    fn key_of(&self, body: &str) -> Result<TargetKey, String> {
        body::key_of(body, &self.options.number_in)
    }

    async fn write(&self, step: Step, jobs: &[Job]) -> Result<Vec<Answer>, Error> {
        match (step, jobs) {
            (_, []) => Ok(Vec::new()),
            (Step::Create, [job]) => Ok(vec![self.create(job).await?]),
            // Not one of several can be told from the others once an answer is lost.
            (Step::Create, _) => Err(Error::Refused { code: "batch".into(), message: "one bill a request".into() }),
            (Step::Unaudit | Step::Update | Step::Submit | Step::Audit, jobs) => {
                let message = "a gain bill that was written is not changed";
                Ok(jobs.iter().map(|_| refused("not_changeable", message.into())).collect())
            }
        }
    }

    async fn look_up(&self, jobs: &[Job]) -> Result<Vec<Finding>, Error> {
        if self.options.recognise == Recognise::None {
            let message = "recognise is \"none\": no bill of this account can be told to be ours";
            return Err(Error::Unknown { code: "not_askable".into(), message: message.into() });
        }
        let mut findings = Vec::new();
        for job in jobs {
            findings.push(self.find(job).await?);
        }
        Ok(findings)
    }

    async fn bills_of(&self, day: Date) -> Result<Option<Vec<Listed>>, Error> {
        if self.options.recognise == Recognise::None {
            return Ok(None);
        }
        let [first, last] = self.paths.date_filter.clone();
        let filters = vec![(first, day.to_string()), (last, day.to_string())];
        let list = List { path: self.paths.list.clone(), filters, everything: false };
        let rows = lists::all(&self.client, &list, self.options.page_size).await?;
        Ok(Some(rows.iter().map(|row| self.listed(row)).collect()))
    }

    fn request_timeout(&self) -> Duration {
        self.client.longest_call()
    }

    async fn probe(&self) -> Result<(), Error> {
        let today = self.client.now().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).date().to_string();
        let [first, last] = self.paths.date_filter.clone();
        let filters = vec![(first, today.clone()), (last, today)];
        let list = List { path: self.paths.list.clone(), filters, everything: false };
        self.client.ask(&lists::call(&self.client, &list, 1, 1)).await.map(drop)
    }
}
