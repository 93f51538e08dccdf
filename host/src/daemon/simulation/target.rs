//! A scheme's target: writes and questions, and all that may become of them on the way.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use crate::connectors::{Answer, Capabilities, Difference, Error as VendorError, Finding, Job, Step, Target};
use crate::model::{Digest, DocumentKey, SchemeId, TargetKey};
use crate::pipeline::step::Sabotage;
use crate::pipeline::subject::{Fate, Phase};

use super::plan::{Kind, QUEUE_TIMEOUT, TIMEOUT};
use super::story::PRIVATE;
use super::vendor::Vendor;

pub struct SimTarget {
    pub vendor: Arc<Vendor>,
    pub scheme: SchemeId,
    pub priority: u8,
    pub updatable: bool,
    pub sabotage: Sabotage,
}

/// What becomes of a request that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Luck {
    Answered,
    /// Carried out at once, and the answer is lost.
    LostAfter,
    /// The answer is lost, and it is carried out so much later.
    LostBefore(Duration),
    /// Lost, and never carried out.
    Lost,
    /// The answer mentions all but the first.
    OneShort,
    Throttled(Duration),
    CredentialsRefused,
    /// The session ended over it; whether it was carried out, nobody says.
    SessionLost {
        carried_out: bool,
    },
    ServerError {
        carried_out: bool,
    },
    /// Refused as a whole, where one of them is bad.
    RefusedWhole,
}

impl SimTarget {
    fn luck(&self, jobs: &[Job]) -> Luck {
        let air = &self.vendor.air;
        let refused = jobs.iter().any(is_refused);
        if refused && air.chance.one_in(2) {
            return Luck::RefusedWhole;
        }
        if !air.trouble() {
            return Luck::Answered;
        }
        let carried_out = air.chance.one_in(2);
        match air.chance.below(24) {
            0 | 1 => Luck::LostAfter,
            // Up to the deadline, and for the time to settle beyond it.
            2 | 3 => Luck::LostBefore(air.chance.up_to(air.carries_out_within - Duration::from_millis(100))),
            4 => Luck::Lost,
            5 => Luck::OneShort,
            6 => Luck::Throttled(air.chance.up_to(Duration::from_secs(120))),
            7 if air.chance.one_in(3) => Luck::CredentialsRefused,
            8 => Luck::SessionLost { carried_out },
            9 => Luck::ServerError { carried_out },
            _ => Luck::Answered,
        }
    }

    /// What leaves must be what the ledger says is about to leave, and surely so.
    fn check_intents(&self, step: Step, jobs: &[Job]) {
        let air = &self.vendor.air;
        let ledger = air.ledger(&self.vendor.tenant, &self.scheme);
        for job in jobs {
            let document = DocumentKey::new(job.body.split('|').nth(1).unwrap_or_default()).unwrap();
            let subject = ledger.subject(&document).unwrap().unwrap_or_default();
            let intended = subject.versions.iter().any(|version| match &version.phase {
                Phase::Writing { targets } => targets.iter().any(|write| {
                    let intended = matches!(write.fate, Fate::Intended { .. }) && write.step == step;
                    intended && write.key == job.key && write.body == Digest::of(&job.body)
                }),
                _ => false,
            });
            // With the intent left out on purpose, what follows from it is to be seen, not this.
            if !intended && self.sabotage != Sabotage::NoIntent {
                air.story.violation(format!("{step:?} of {} left, and no durable intent says so", job.body));
            }
        }
    }

    fn answer(&self, step: Step, job: &Job) -> Answer {
        if is_refused(job) {
            let message = format!("no such material in {{\"receiver_mobile\":\"{PRIVATE}\"}}");
            return Answer::Refused { code: "8".into(), message, saved: None };
        }
        match self.vendor.carry_out(step, job, self.shown_after()) {
            Ok(next) => Answer::Done { id: Some(format!("id of {}", job.key)), next },
            Err((code, message)) => Answer::Refused { code, message, saved: None },
        }
    }

    fn shown_after(&self) -> Duration {
        match self.vendor.air.bad_luck(4) {
            true => self.vendor.air.chance.up_to(Duration::from_secs(4)),
            false => Duration::ZERO,
        }
    }

    fn carry_out_all(&self, step: Step, jobs: &[Job], shown_after: Duration) {
        for job in jobs.iter().filter(|job| !is_refused(job)) {
            // Whether it is refused now, nobody hears.
            let _ = self.vendor.carry_out(step, job, shown_after);
        }
    }

    fn lost(&self, after: Duration) -> VendorError {
        VendorError::AnswerLost { host: self.vendor.label(), after, detail: "reset".into() }
    }
}

fn is_refused(job: &Job) -> bool {
    job.body.contains("|refused|")
}

#[async_trait]
impl Target for SimTarget {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch_limit: 8,
            updatable: self.updatable,
            askable: self.vendor.kind.is_askable(),
            resend: self.vendor.kind.resend(),
            recognised_by: "key".into(),
        }
    }

    fn key_of(&self, body: &str) -> Result<TargetKey, String> {
        TargetKey::new(body.split('|').next().unwrap_or_default()).map_err(|error| error.to_string())
    }

    async fn write(&self, step: Step, jobs: &[Job]) -> Result<Vec<Answer>, VendorError> {
        let air = self.vendor.air.clone();
        let exchange = self.vendor.enter(Some(&self.scheme), self.priority).await?;
        if air.bad_luck(20) {
            let (host, detail) = (self.vendor.label(), "connection refused".into());
            return exchange.ends(Err(VendorError::Unreachable { host, detail }));
        }
        let names: Vec<&str> = jobs.iter().map(|job| job.body.as_str()).collect();
        let luck = self.luck(jobs);
        air.story.say(format!("{}: {step:?} {names:?} arrives: {luck:?}", self.vendor.label()));
        self.check_intents(step, jobs);
        let who = format!("{}/{}", self.vendor.tenant, self.scheme);
        let arrived = Instant::now();
        let request = self.vendor.arrives(&who, jobs, arrived + air.carries_out_within);
        let took = air.chance.up_to(if air.trouble() { TIMEOUT } else { Duration::from_millis(20) });
        // The target's own work goes on when whoever asked has died.
        let work = Work { vendor: self.vendor.clone(), step, jobs: jobs.to_vec(), request };
        let (answered, answer) = tokio::sync::oneshot::channel();
        let (target, late) = (self.clone_for_work(), air.chance.up_to(took));
        tokio::spawn(async move { work.carry_out(&target, luck, late, answered).await });
        sleep(took).await;
        let detail = || format!("tell {{\"receiver_mobile\":\"{PRIVATE}\"}} to wait");
        let result = match luck {
            Luck::Answered | Luck::OneShort => Ok(answer.await.expect("the target answers")),
            Luck::LostAfter | Luck::LostBefore(_) | Luck::Lost => Err(self.lost(took)),
            Luck::Throttled(wait) => Err(VendorError::Throttled { wait: Some(wait), detail: detail() }),
            Luck::CredentialsRefused => Err(VendorError::CredentialsRefused { detail: "expired".into() }),
            Luck::SessionLost { .. } => Err(VendorError::SessionLost { detail: "expired".into(), sent: true }),
            Luck::ServerError { .. } => {
                Err(VendorError::Server { host: self.vendor.label(), status: 502, detail: detail() })
            }
            Luck::RefusedWhole => Err(VendorError::Refused { code: "7".into(), message: "one is bad".into() }),
        };
        exchange.ends(result)
    }

    async fn look_up(&self, jobs: &[Job]) -> Result<Vec<Finding>, VendorError> {
        let air = self.vendor.air.clone();
        let exchange = self.vendor.enter(Some(&self.scheme), self.priority).await?;
        sleep(air.chance.up_to(Duration::from_millis(800))).await;
        if air.bad_luck(8) {
            return exchange.ends(Err(self.lost(Duration::from_millis(800))));
        }
        let now = Instant::now();
        let books = self.vendor.books.lock().unwrap();
        let find = |job: &Job| {
            let bills = books.bills.get(job.key.as_str()).into_iter().flatten();
            let Some(bill) = bills.into_iter().find(|bill| bill.shown_at <= now) else { return Finding::Absent };
            let id = format!("id of {}", job.key);
            if bill.body == job.body {
                let next = [Some(Step::Submit), Some(Step::Audit), None][usize::from(bill.stage)];
                return Finding::Ours { id, next };
            }
            let audited = self.vendor.kind == Kind::Chain && bill.stage == 2;
            let next = Some(if audited { Step::Unaudit } else { Step::Update });
            let (intended, found) = (job.body.clone(), bill.body.clone());
            Finding::Differs { id, next, differences: vec![Difference { field: "body".into(), intended, found }] }
        };
        let found: Vec<Finding> = jobs.iter().map(find).collect();
        for (job, finding) in jobs.iter().zip(&found) {
            let finding = match finding {
                Finding::Absent => "absent".to_owned(),
                Finding::Ours { next, .. } => format!("ours, next {next:?}"),
                Finding::Differs { differences, .. } => format!("differs: {}", differences[0].found),
            };
            air.story.say(format!("{}: asked for {}: {finding}", self.vendor.label(), job.body));
        }
        drop(books);
        exchange.ends(Ok(found))
    }

    fn request_timeout(&self) -> Duration {
        QUEUE_TIMEOUT + TIMEOUT
    }

    async fn probe(&self) -> Result<(), VendorError> {
        Ok(())
    }
}

impl SimTarget {
    fn clone_for_work(&self) -> Self {
        let (vendor, scheme) = (self.vendor.clone(), self.scheme.clone());
        Self { vendor, scheme, priority: self.priority, updatable: self.updatable, sabotage: self.sabotage }
    }
}

/// A request at the target.
struct Work {
    vendor: Arc<Vendor>,
    step: Step,
    jobs: Vec<Job>,
    request: u64,
}

impl Work {
    async fn carry_out(
        self,
        target: &SimTarget,
        luck: Luck,
        late: Duration,
        answered: tokio::sync::oneshot::Sender<Vec<Answer>>,
    ) {
        let Work { vendor, step, jobs, request } = self;
        match luck {
            Luck::Answered | Luck::OneShort => {
                sleep(late).await;
                let mut answers: Vec<Answer> = jobs.iter().map(|job| target.answer(step, job)).collect();
                if luck == Luck::OneShort {
                    answers[0] = Answer::Unmentioned;
                }
                // Whoever asked may have died.
                let _ = answered.send(answers);
            }
            Luck::LostAfter => target.carry_out_all(step, &jobs, target.shown_after()),
            Luck::SessionLost { carried_out: true } | Luck::ServerError { carried_out: true } => {
                sleep(late).await;
                target.carry_out_all(step, &jobs, Duration::ZERO);
            }
            Luck::LostBefore(wait) => {
                sleep(wait).await;
                target.carry_out_all(step, &jobs, Duration::ZERO);
            }
            // Nobody can know, so it counts as coming until it cannot come any more.
            Luck::Lost | Luck::SessionLost { .. } | Luck::ServerError { .. } => return,
            Luck::Throttled(_) | Luck::CredentialsRefused | Luck::RefusedWhole => {}
        }
        vendor.ends(request);
    }
}
