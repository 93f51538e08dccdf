//! The bills that documents should have, asked for at the target by their keys.

use crate::connectors::Job;
use crate::model::{DocumentKey, TargetKey};

use super::super::driver::Parts;
use super::super::gate::Permit;
use super::judge::{Claim, Class, judge};
use super::{BATCH, Broken, Work};

/// One bill to be asked for.
pub(super) struct Question {
    pub(super) document: DocumentKey,
    pub(super) key: TargetKey,
    pub(super) body: String,
    pub(super) id: Option<String>,
    pub(super) claim: Claim,
}

impl Work<'_> {
    pub(super) async fn ask(&mut self, questions: Vec<Question>) -> Result<(), Broken> {
        let mut group: Vec<Question> = Vec::new();
        for question in questions {
            // Two bills of one key never share a question: nobody could say whose the finding is.
            if group.len() == BATCH || group.iter().any(|other| other.key == question.key) {
                self.ask_group(std::mem::take(&mut group)).await?;
            }
            group.push(question);
        }
        self.ask_group(group).await
    }

    async fn ask_group(&mut self, group: Vec<Question>) -> Result<(), Broken> {
        if group.is_empty() {
            return Ok(());
        }
        let mut findings = Vec::new();
        if self.parts.target.capabilities().askable {
            let job = |one: &Question| Job { key: one.key.clone(), body: one.body.clone(), id: one.id.clone() };
            let jobs: Vec<Job> = group.iter().map(job).collect();
            let mut tries = 0;
            loop {
                let permit = self.permit_of_target()?;
                let result = self.parts.target.look_up(&jobs).await;
                drop(permit);
                match result {
                    Ok(found) if found.len() == jobs.len() => break findings = found,
                    Ok(_) => {
                        let words = "the target's answer does not mention every bill that was asked for";
                        return Err(Broken::Off(words.into()));
                    }
                    Err(error) => self.wait_after(&error, &mut tries).await?,
                }
            }
        }
        let findings = findings.into_iter().map(Some).chain(std::iter::repeat(None));
        for (question, finding) in group.into_iter().zip(findings) {
            let Question { document, key, claim, .. } = question;
            let judgement = judge(&claim, finding);
            if judgement.class == Class::Foreign {
                self.foreign.insert(key.clone());
            }
            self.tell(Some(&document), Some(key.as_str()), &claim.word, judgement).await?;
        }
        Ok(())
    }

    pub(super) fn permit_of_target(&self) -> Result<Permit, Broken> {
        let Parts { gates, tenant, destination, scheme, .. } = self.parts;
        gates.enter(tenant, &destination.connection, scheme).ok_or_else(|| self.paused(&destination.connection))
    }
}
