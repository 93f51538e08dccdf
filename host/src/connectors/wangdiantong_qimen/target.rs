//! Pushes trades.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::connectors::http::Http;
use crate::connectors::qimen::Gateway;
use crate::connectors::{Answer, Capabilities, Error, Failure, Finding, Job, Resend, Step, Target};
use crate::model::TargetKey;

use super::batches::split;
use super::change;
use super::errors::refine;
use super::settings::{Connection, PUSH, PushOptions};
use super::source::probe;
use super::trade::Trade;
use super::wire;

/// Trades of one account.
#[derive(Debug)]
pub struct Trades {
    gateway: Gateway,
    options: PushOptions,
    /// The longest that one request can take.
    longest_send: Duration,
}

impl Trades {
    pub fn new(connection: &Connection, http: &Http, options: PushOptions) -> Self {
        Self { gateway: connection.gateway(http), options, longest_send: connection.limits().longest_send() }
    }

    /// One request. What it says, it says of all its trades alike.
    async fn push(&self, shop_no: &str, trades: &[&Trade<'_>]) -> Result<Answer, Error> {
        let mut list = String::from("[");
        for (at, trade) in trades.iter().enumerate() {
            if at > 0 {
                list.push(',');
            }
            trade.push_ascii(&mut list);
        }
        list.push(']');
        let mut business = vec![("shop_no", shop_no.to_owned()), ("trade_list", list)];
        if let Some(switch) = self.options.switch {
            business.push(("switch", switch.to_string()));
        }
        let answered = self.gateway.call(PUSH, &business).await.map_err(refine)?;
        Ok(match wire::pushed(&answered)? {
            // Made or changed: an upsert does not tell, and here it is the same.
            Some(count) if count < trades.len() as u64 => {
                tracing::warn!(
                    sent = trades.len(),
                    count,
                    "a push was accepted and counts fewer trades than were sent"
                );
                Answer::Unmentioned
            }
            Some(_) | None => Answer::Done { id: None, next: None },
        })
    }

    /// The trades that can be sent, each with its place; the others are answered at once.
    fn prepare<'a>(jobs: &'a [Job], answers: &mut [Option<Answer>]) -> (Vec<usize>, Vec<Trade<'a>>) {
        let (mut places, mut trades) = (Vec::new(), Vec::new());
        for (place, job) in jobs.iter().enumerate() {
            let trade = Trade::parse(&job.body).and_then(|trade| match trade.tid == job.key {
                true => Ok(trade),
                false => Err(format!("the body's tid is {}", trade.tid)),
            });
            match trade {
                Ok(trade) => {
                    places.push(place);
                    trades.push(trade);
                }
                Err(problem) => answers[place] = Some(refused("invalid_body".into(), problem)),
            }
        }
        (places, trades)
    }

    /// `began` is when the call did.
    pub(super) async fn push_all(&self, jobs: &[Job], began: Instant) -> Result<Vec<Answer>, Error> {
        let mut answers: Vec<Option<Answer>> = vec![None; jobs.len()];
        let (places, trades) = Self::prepare(jobs, &mut answers);
        let batches = split(&trades, self.options.batch_size);
        let is_one_request = batches.len() == 1 && trades.len() == jobs.len();
        let mut stopped: Option<Error> = None;
        for (request, batch) in batches.into_iter().enumerate() {
            let members: Vec<_> = batch.members.iter().map(|at| &trades[*at]).collect();
            // What has not left by now would not be answered within the time that this call was given.
            if stopped.is_none() && began.elapsed() > self.longest_send {
                let detail = "the requests before it took the time of this call".into();
                stopped = Some(Error::Throttled { wait: None, detail });
            }
            let answer = match &stopped {
                Some(error) => Answer::Failed(Failure { may_have_written: false, ..Failure::of(error, request) }),
                None => match self.push(&members[0].shop_no, &members).await {
                    Ok(answer) => answer,
                    // Which trade is meant, the vendor does not say; where there is one, it is that one.
                    Err(Error::Refused { code, message }) if members.len() == 1 => refused(code, message),
                    Err(error) if is_one_request => return Err(error),
                    Err(error) => {
                        let answer = Answer::Failed(Failure::of(&error, request));
                        // A refusal is about these trades. Anything else would meet the next request too.
                        if !matches!(error, Error::Refused { .. }) {
                            stopped = Some(error);
                        }
                        answer
                    }
                },
            };
            for at in batch.members {
                answers[places[at]] = Some(answer.clone());
            }
        }
        Ok(answers.into_iter().map(|answer| answer.unwrap_or(Answer::Unmentioned)).collect())
    }
}

fn refused(code: String, message: String) -> Answer {
    Answer::Refused { code, message, saved: None }
}

fn no_such(code: &str, message: &str) -> Error {
    Error::Unknown { code: code.into(), message: message.into() }
}

#[async_trait]
impl Target for Trades {
    fn capabilities(&self) -> Capabilities {
        let resend = if self.options.resend_lost_writes { Resend::SafeUpsert } else { Resend::Never };
        Capabilities {
            batch_limit: self.options.batch_size,
            updatable: true,
            askable: false,
            resend,
            recognised_by: "tid: a push of a tid that is there changes that trade, and never makes a second".into(),
        }
    }

    /// Error 99 of the vendor's.
    fn own_fields(&self) -> &[&'static str] {
        &["buyer_nick"]
    }

    fn check_change(&self, before: &str, after: &str) -> Result<(), String> {
        change::check(before, after)
    }

    fn key_of(&self, body: &str) -> Result<TargetKey, String> {
        Trade::parse(body).map(|trade| trade.tid)
    }

    async fn write(&self, step: Step, jobs: &[Job]) -> Result<Vec<Answer>, Error> {
        match step {
            Step::Create | Step::Update => self.push_all(jobs, Instant::now()).await,
            Step::Unaudit | Step::Submit | Step::Audit => {
                Err(no_such("no_such_step", "a trade is pushed, and that is all"))
            }
        }
    }

    async fn look_up(&self, _jobs: &[Job]) -> Result<Vec<Finding>, Error> {
        Err(no_such("not_askable", "pushed trades cannot be asked about"))
    }

    /// The last request of a call leaves before the first half is over, and ends before the second is.
    fn request_timeout(&self) -> Duration {
        self.longest_send * 2
    }

    /// The same question as the source's: every push would write something.
    async fn probe(&self) -> Result<(), Error> {
        probe(&self.gateway).await
    }
}
