//! Two thousand documents through a vendor that misbehaves, with the engine killed in the middle.

use std::time::{Duration, Instant};

use super::books::Books;
use super::configuration::Settings;
use super::programs::Programs;
use super::wait::{Waiting, until};
use super::world::{SCHEME, World};
use super::{Failure, Result};

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub documents: usize,
}

/// What a run found.
pub struct Outcome {
    pub books: Books,
    /// Writes whose fate nobody knew when the engine was killed, and how many of them were asked about afterwards.
    pub in_doubt: usize,
    pub cleared_up: usize,
    pub world: World,
}

/// The half that is written before the kill, and the rest after it, each on a machine that is busy with other things.
const HALF_PATIENCE: Duration = Duration::from_secs(90);
const REST_PATIENCE: Duration = Duration::from_secs(120);

impl Plan {
    /// `say` is told what happens, a line at a time.
    pub fn run(&self, programs: &Programs, say: &mut dyn FnMut(&str)) -> Result<Outcome> {
        let began = Instant::now();
        let mut say = |text: String| say(&format!("{:>5.1} s  {text}", began.elapsed().as_secs_f32()));
        let Self { seed, documents } = self;
        let settings = Settings::default();
        let mut world = World::new(programs, &self.simulator(), &settings)?;
        say(format!("the vendors are up: {documents} sale-outs, seed {seed}, with faults switched on"));

        let mut engine = world.start()?;
        say("the engine serves".to_owned());
        let half = documents * 45 / 100;
        let reached = until(HALF_PATIENCE, "half of the bills at the target", || {
            if let Some(status) = engine.has_ended() {
                return Err(Waiting::InVain(Failure::new(format!("the engine ended by itself: {status}"))));
            }
            let held = world.simulator.held()?.bills.len();
            if held >= half { Ok(()) } else { Err(Waiting::on(format!("{held} of {half} bills"))) }
        });
        reached.map_err(|failure| engine.tell(failure))?;
        engine.kill()?;
        let held = world.simulator.held()?.bills.len();
        let before = world.product.ledger(SCHEME)?;
        let in_doubt: Vec<&String> = before
            .iter()
            .filter(|(_, entry)| entry.targets.iter().any(|bill| matches!(bill.state.as_str(), "sent" | "asking")))
            .map(|(key, _)| key)
            .collect();
        say(format!("SIGKILL: {held} bills at the target, {} writes in doubt", in_doubt.len()));

        let mut engine = world.start()?;
        say("the engine serves again".to_owned());
        world.wait_until_done(&mut engine, REST_PATIENCE)?;
        say("nothing is under way any more".to_owned());
        let status = engine.terminate()?;
        if !status.success() {
            return Err(engine.tell(Failure::new(format!("after SIGTERM the engine ended with {status}"))));
        }
        say("SIGTERM: the engine ended in order".to_owned());
        let evidence = world.evidence()?;
        let verified = |key: &String| evidence.ledger.get(key).is_some_and(|e| e.targets.iter().any(|b| b.verified));
        let (doubted, cleared_up) = (in_doubt.len(), in_doubt.iter().filter(|key| verified(key)).count());
        Ok(Outcome { books: world.balance(&evidence), in_doubt: doubted, cleared_up, world })
    }

    fn simulator(&self) -> Vec<String> {
        let some = (self.documents / 100).max(2).to_string();
        let fixed = [
            // The source: asks to wait, answers late, serves a page twice.
            "throttle=1,system=jushuitan_qimen,count=1,after=3",
            "late_answer=200,system=jushuitan_qimen,probability=0.1",
            "page_twice,system=jushuitan_qimen,count=1,after=7",
            // The target: every way to lose an answer, refusals within a batch, a lost session.
            "late_answer=250,operation=batchsave,probability=0.5",
            "drop_after_commit,operation=batchsave,count=2,after=4",
            "drop_before,operation=batchsave,count=1,after=6",
            "commit_after_drop=400,operation=batchsave,count=1,after=8",
            "throttle,operation=batchsave,count=1,after=9",
            "refuse_every=7,operation=batchsave,count=1,after=5",
            "session_lost,operation=batchsave,count=1,after=12",
        ];
        let mut arguments = vec!["--documents".to_owned(), self.documents.to_string()];
        arguments.extend(["--seed".to_owned(), self.seed.to_string()]);
        arguments.extend(["--movers".to_owned(), some.clone(), "--cancel".to_owned(), some]);
        arguments.extend(fixed.into_iter().flat_map(|fault| ["--fault".to_owned(), fault.to_owned()]));
        arguments
    }
}
