//! What one tenant's guests leave to another's. Orders of events, told by channels and locks, and no times.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;

/// Long enough for anything that may happen in a test, and an end for a test that would never have one.
const PATIENCE_MS: u64 = 60_000;

/// Spins, and asks now and then whether it may end: for another key each time, since a call is told the same of one key
/// however often it asks.
fn spins_until_found() -> Vec<u8> {
    guests::guest(&format!(
        "(loop $ask
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $ask (i32.and (local.get $i) (i32.const 0x3fff)))
           (i32.store (i32.const 8192) (i32.and (i32.shr_u (local.get $i) (i32.const 14)) (i32.const 0x7f7f7f7f)))
           (call $lookup (local.get $source) (local.get $source_len) (i32.const 8192) (i32.const 4) (i32.const 4096))
           (br_if $ask (i32.eqz (i32.load8_u (i32.const 4100)))))
         {}",
        guests::ECHO
    ))
}

/// Finds a key once it is let go, and knows of none before.
#[derive(Default)]
struct Leash {
    asked: AtomicBool,
    let_go: AtomicBool,
}

impl References for Leash {
    fn lookup(&self, _: &str, _: &str) -> Lookup {
        self.asked.store(true, Ordering::SeqCst);
        if self.let_go.load(Ordering::SeqCst) { Lookup::Found("1".into()) } else { Lookup::KnownMissing }
    }
}

impl Leash {
    fn until_asked(&self) {
        while !self.asked.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }
}

fn endless() -> Limits {
    Limits { fuel: u64::MAX / 4, host_calls_limit: u64::MAX, deadline_ms: PATIENCE_MS, ..limits() }
}

fn run_as(sandbox: &Sandbox, tenant: &str, module: &Module, references: &dyn References) -> Run {
    let context = Context { tenant: TenantId::new(tenant).unwrap(), ..context() };
    let call = Call { context: &context, document: &document("k", "{}"), deadline_ms: None };
    sandbox.transform(module, &[call], Isolation::Document, &endless(), references).remove(0)
}

#[test]
fn a_guest_that_never_ends_lets_another_tenants_guest_have_the_only_core() {
    let (sandbox, _dir) = sandbox_with(Settings { computing: 1, ..small() });
    let spinner = sandbox.load(&spins_until_found(), ModuleClass::Standard).unwrap();
    let echo = sandbox.load(&guests::guest(guests::ECHO), ModuleClass::Standard).unwrap();
    let leash = Leash::default();
    std::thread::scope(|scope| {
        let spins = scope.spawn(|| run_as(&sandbox, "b", &spinner, &leash));
        leash.until_asked();
        let quiet = run_as(&sandbox, "a", &echo, &NoReferences);
        assert_eq!(emitted(&quiet).len(), 1);
        leash.let_go.store(true, Ordering::SeqCst);
        let spun = spins.join().unwrap();
        assert_eq!(emitted(&spun).len(), 1, "it was under way all the time, and nothing became of that");
    });
}

#[test]
fn fuel_does_not_hang_on_how_often_a_guest_let_others_go_first() {
    let (sandbox, _dir) = sandbox_with(Settings { computing: 1, ..small() });
    let burns = guests::guest(&format!(
        "(local.set $i (i32.const 3000000))
         (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
         {}",
        guests::ECHO
    ));
    let module = sandbox.load(&burns, ModuleClass::Standard).unwrap();
    let alone = run_as(&sandbox, "a", &module, &NoReferences).fuel;
    std::thread::scope(|scope| {
        let others: Vec<_> =
            ["a", "b", "c"].map(|tenant| scope.spawn(|| run_as(&sandbox, tenant, &module, &NoReferences))).into();
        for other in others {
            assert_eq!(other.join().unwrap().fuel, alone);
        }
    });
}

#[test]
fn a_tenant_gets_no_more_slots_than_are_its_and_the_rest_is_there_for_others() {
    // A cap over the number of slots counts as one less than there are.
    for tenant_concurrency in [1, 50] {
        let settings = Settings { concurrency: 2, tenant_concurrency, computing: 3, ..small() };
        let (sandbox, _dir) = sandbox_with(settings);
        let spinner = sandbox.load(&spins_until_found(), ModuleClass::Standard).unwrap();
        let echo = sandbox.load(&guests::guest(guests::ECHO), ModuleClass::Standard).unwrap();
        let leash = Leash::default();
        let done = Mutex::new(Vec::new());
        let run = |tenant, module, references: &dyn References| {
            let run = run_as(&sandbox, tenant, module, references);
            done.lock().unwrap().push(tenant);
            run
        };
        std::thread::scope(|scope| {
            scope.spawn(|| run("b", &spinner, &leash));
            leash.until_asked();
            scope.spawn(|| run("b", &echo, &NoReferences));
            while sandbox.inner.standard.gate.waiting() == 0 && done.lock().unwrap().is_empty() {
                std::thread::yield_now();
            }
            run("a", &echo, &NoReferences);
            assert_eq!(*done.lock().unwrap(), ["a"], "the second guest of `b` still waits for the first one's slot");
            leash.let_go.store(true, Ordering::SeqCst);
        });
        assert_eq!(done.lock().unwrap().len(), 3);
    }
}

/// Says its priority when its guest asks for anything: while it has the slot.
struct Says<'a>(u8, &'a Mutex<Vec<u8>>);

impl References for Says<'_> {
    fn lookup(&self, _: &str, _: &str) -> Lookup {
        self.1.lock().unwrap().push(self.0);
        Lookup::KnownMissing
    }
}

#[test]
fn the_more_urgent_of_a_tenants_schemes_gets_the_slot() {
    let settings = Settings { concurrency: 2, tenant_concurrency: 1, computing: 2, ..small() };
    let (sandbox, _dir) = sandbox_with(settings);
    let spinner = sandbox.load(&spins_until_found(), ModuleClass::Standard).unwrap();
    let asks = sandbox.load(&looks_up_its_key(), ModuleClass::Standard).unwrap();
    let leash = Leash::default();
    let order = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| run_as(&sandbox, "b", &spinner, &leash));
        leash.until_asked();
        for (before, priority) in [2, 9, 5].into_iter().enumerate() {
            let (of_this, asks, order) = (sandbox.with_priority(priority), &asks, &order);
            scope.spawn(move || run_as(&of_this, "b", asks, &Says(priority, order)));
            while sandbox.inner.standard.gate.waiting() == before {
                std::thread::yield_now();
            }
        }
        leash.let_go.store(true, Ordering::SeqCst);
    });
    assert_eq!(*order.lock().unwrap(), [9, 5, 2]);
}

#[test]
fn short_documents_share_a_turn_on_the_core() {
    let (sandbox, _dir) = sandbox_with(small());
    let module = sandbox.load(&guests::guest(guests::ECHO), ModuleClass::Standard).unwrap();
    let documents: Vec<_> = (0..50).map(|number| document(&format!("k{number}"), "{}")).collect();
    let turns = |isolation, turn| {
        let before = sandbox.inner.cores.take_turns_of(turn);
        run_with(&sandbox, &module, &documents, isolation, &limits(), &NoReferences);
        sandbox.inner.cores.take_turns_of(turn) - before
    };
    for isolation in [Isolation::Document, Isolation::Batch] {
        assert_eq!(turns(isolation, Duration::MAX), 1, "{isolation:?}");
    }
    assert_eq!(turns(Isolation::Document, Duration::ZERO), 50, "a turn that is over ends between two documents");
}
