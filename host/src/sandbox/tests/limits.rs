//! Each limit: at it passes, one past it is stopped, with an error that names it. `docs/limits.md` lists these tests.

use super::guests::{ECHO, guest, guest_with};
use super::*;

#[test]
fn parks_the_document_when_the_guest_runs_out_of_fuel() {
    let run = run(&guest("(loop $l (br $l)) unreachable"), &Limits { fuel: 100_000, ..limits() });
    check_fault(&run, "guest_fuel_exhausted", "fuel", 100_000);
    assert_eq!(run.fuel, 100_000);
}

#[test]
fn a_tank_that_is_just_not_empty_is_enough_and_an_empty_one_is_not() {
    let echo = guest(ECHO);
    let fuel = run(&echo, &limits()).fuel;
    assert!(run(&echo, &Limits { fuel: fuel + 1, ..limits() }).verdict.is_ok());
    check_fault(&run(&echo, &Limits { fuel, ..limits() }), "guest_fuel_exhausted", "fuel", fuel);
}

#[test]
fn a_guest_with_fuel_left_meets_the_deadline_and_that_is_not_its_fault() {
    let run = run(&guest("(loop $l (br $l)) unreachable"), &Limits { fuel: u64::MAX / 4, deadline_ms: 30, ..limits() });
    check_fault(&run, "guest_deadline", "deadline_ms", 30);
    let fault = run.verdict.unwrap_err().fault();
    assert!(matches!(fault.disposition, crate::fault::Disposition::Retry { .. }));
}

#[test]
fn the_interpreter_class_has_fuel_and_a_deadline_of_its_own() {
    let echo = guest(ECHO);
    let taken = run(&echo, &limits()).fuel;
    let run = |settings: Settings, component: &[u8], class: ModuleClass| {
        let (sandbox, _dir) = sandbox_with(settings);
        let module = sandbox.load(component, class).unwrap();
        let (limits, document) = (Limits::of(sandbox.settings(), class), document("k1", r#"{"amount":1.50}"#));
        run_with(&sandbox, &module, &[document], Isolation::Document, &limits, &NoReferences).remove(0)
    };
    let fuel = |fuel, interpreter_fuel| Settings { fuel, interpreter_fuel, ..small() };
    assert!(run(fuel(taken, taken + 1), &echo, ModuleClass::Interpreter).verdict.is_ok());
    let past = run(fuel(taken + 1, taken), &echo, ModuleClass::Interpreter);
    check_fault(&past, "guest_fuel_exhausted", "fuel", taken);
    assert!(run(fuel(taken + 1, taken), &echo, ModuleClass::Standard).verdict.is_ok());

    let spins = guest("(loop $l (br $l)) unreachable");
    let most = u64::MAX / 4;
    let deadlines = Settings { interpreter_deadline_ms: 30, deadline_ms: 3_600_000, ..fuel(most, most) };
    check_fault(&run(deadlines, &spins, ModuleClass::Interpreter), "guest_deadline", "deadline_ms", 30);
}

#[test]
fn a_call_may_bring_a_deadline_of_its_own() {
    let module = sandbox().load(&guest("(loop $l (br $l)) unreachable"), ModuleClass::Standard).unwrap();
    let (context, document) = (context(), document("k", "{}"));
    let call = Call { context: &context, document: &document, deadline_ms: Some(20) };
    let limits = Limits { fuel: u64::MAX / 4, deadline_ms: 3_600_000, ..limits() };
    let run = sandbox().transform(&module, &[call], Isolation::Document, &limits, &NoReferences).remove(0);
    check_fault(&run, "guest_deadline", "deadline_ms", 20);
}

/// Grows by so many pages beyond the four it starts with, and traps where it gets none.
fn grows(pages: u32) -> Vec<u8> {
    guest(&format!("(if (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)) (then unreachable)) {ECHO}"))
}

#[test]
fn memory_up_to_the_limit_is_granted_and_a_page_more_is_not() {
    let limits = Limits { memory_limit_bytes: 20 << 16, ..limits() };
    let full = run(&grows(16), &limits);
    assert_eq!((full.verdict.is_ok(), full.memory_bytes, full.denials), (true, 20 << 16, vec![]));
    let over = run(&grows(17), &limits);
    check_fault(&over, "guest_memory_exhausted", "memory_limit_bytes", 20 << 16);
    assert_eq!(over.denials, [Denial { resource: Resource::Memory, limit: 20 << 16, wanted: 21 << 16 }]);
}

#[test]
fn a_guest_that_does_without_the_memory_it_was_denied_is_no_fault() {
    let run = run(&guest(&format!("(drop (memory.grow (i32.const 9000))) {ECHO}")), &limits());
    assert_eq!((run.verdict.is_ok(), run.denials.len()), (true, 1));
}

#[test]
fn asking_for_more_than_a_memory_can_ever_be_does_not_lower_the_count() {
    // wasmtime reports this one as failed without asking first; taking back the last grant would hand out memory twice.
    let hog = guest(&format!(
        "(if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
         (drop (memory.grow (i32.const -1)))
         (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)) {ECHO}"
    ));
    let run = run(&hog, &Limits { memory_limit_bytes: 20 << 16, fuel: u64::MAX / 4, ..limits() });
    check_fault(&run, "guest_memory_exhausted", "memory_limit_bytes", 20 << 16);
}

#[test]
fn a_memory_that_starts_too_large_is_denied_as_well() {
    let run = run(&guest(ECHO), &Limits { memory_limit_bytes: 3 << 16, ..limits() });
    check_fault(&run, "guest_memory_exhausted", "memory_limit_bytes", 3 << 16);
}

#[test]
fn table_elements_up_to_the_limit_are_granted_and_one_more_is_not() {
    let grows = |elements: u32| {
        guest_with(
            "",
            "(table $t 0 funcref)",
            &format!(
                "(if (i32.eq (table.grow $t (ref.null func) (i32.const {elements})) (i32.const -1)) (then unreachable)) {ECHO}"
            ),
        )
    };
    let limits = Limits { table_elements_limit: 500, ..limits() };
    // The component's own adapters have a small table as well, and it counts.
    let adapters = u32::try_from(run(&grows(501), &limits).denials[0].wanted - 501).unwrap();
    assert!(run(&grows(500 - adapters), &limits).verdict.is_ok());
    check_fault(&run(&grows(501 - adapters), &limits), "guest_table_exhausted", "table_elements_limit", 500);
}

#[test]
fn memory_and_tables_are_counted_over_the_whole_store() {
    use wasmtime::ResourceLimiter;
    let mut limiter = crate::sandbox::limiter::Limiter::new(100, 10, &ClassLimits::standard());
    assert!(limiter.memory_growing(0, 60, None).unwrap());
    assert!(limiter.memory_growing(0, 40, None).unwrap(), "another memory, and the limit is reached");
    assert!(!limiter.memory_growing(60, 61, None).unwrap());
    assert!(limiter.table_growing(0, 6, None).unwrap());
    assert!(!limiter.table_growing(0, 5, None).unwrap());
    assert_eq!((limiter.memory_bytes(), limiter.denials().len()), (100, 2));
}

#[test]
fn growing_memory_costs_fuel_by_the_page() {
    let (one, sixteen) = (run(&grows(1), &limits()).fuel, run(&grows(16), &limits()).fuel);
    assert_eq!(sixteen - one, 15 * 255);
}

#[test]
fn endless_recursion_is_stopped() {
    let run = run(&guest_with("", "(func $r (call $r) (drop (memory.size)))", "(call $r) unreachable"), &limits());
    check_fault(&run, "guest_stack_overflow", "stack_limit_bytes", 512 << 10);
}

/// So many bills that are all the same megabyte: the guest's memory would never notice.
fn megabytes(count: u32) -> Vec<u8> {
    guest(
        &r#"(local $at i32)
        (local.set $body (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1048576)))
        (memory.fill (local.get $body) (i32.const 49) (i32.const 1048576))
        (local.set $at (call $alloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.const BYTES)))
        (local.set $i (local.get $at))
        (loop $l
          (i32.store (local.get $i) (local.get $key)) (i32.store offset=4 (local.get $i) (local.get $key_len))
          (i32.store offset=8 (local.get $i) (local.get $body)) (i32.store offset=12 (local.get $i) (i32.const 1048576))
          (local.set $i (i32.add (local.get $i) (i32.const 16)))
          (br_if $l (i32.lt_u (local.get $i) (i32.add (local.get $at) (i32.const BYTES)))))
        (call $emit_list (local.get $at) (i32.const COUNT))"#
            .replace("BYTES", &(16 * count).to_string())
            .replace("COUNT", &count.to_string()),
    )
}

#[test]
fn a_guest_that_hands_over_a_gigabyte_is_stopped_while_it_is_lifted() {
    check_fault(&run(&megabytes(1_000), &limits()), "guest_output_too_large", "hostcall_bytes", 9 << 20);
    // Ten are over the crossing's limit; eight cross, and are then too much for an outcome.
    check_fault(&run(&megabytes(10), &limits()), "guest_output_too_large", "hostcall_bytes", 9 << 20);
    check_fault(&run(&megabytes(8), &limits()), "guest_output_too_large", "output_limit_bytes", 8 << 20);
}

#[test]
fn an_output_of_the_limit_passes_and_a_byte_more_does_not() {
    let (echo, body) = (guest(ECHO), r#"{"amount":1.50}"#);
    let bytes = ("k1".len() + body.len()) as u64;
    assert!(run(&echo, &Limits { output_limit_bytes: bytes, ..limits() }).verdict.is_ok());
    let over = run(&echo, &Limits { output_limit_bytes: bytes - 1, ..limits() });
    check_fault(&over, "guest_output_too_large", "output_limit_bytes", bytes - 1);
}

#[test]
fn an_output_of_eight_mebibytes_fits_through_the_crossing() {
    let large = guest(
        r#"(local $at i32)
        (local.set $at (call $alloc (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8388606)))
        (memory.fill (local.get $at) (i32.const 49) (i32.const 8388606))
        (call $emit (local.get $key) (local.get $key_len) (local.get $at) (i32.const 8388606))"#,
    );
    assert_eq!(emitted(&run(&large, &limits()))[0].1.len(), (8 << 20) - 2);
}

#[test]
fn so_many_bills_pass_and_one_more_does_not() {
    let two = guest(
        r#"(i32.store (i32.const 1040) (local.get $key)) (i32.store (i32.const 1044) (i32.const 1))
        (i32.store (i32.const 1048) (local.get $body)) (i32.store (i32.const 1052) (local.get $body_len))
        (i32.store (i32.const 1056) (local.get $key)) (i32.store (i32.const 1060) (i32.const 2))
        (i32.store (i32.const 1064) (local.get $body)) (i32.store (i32.const 1068) (local.get $body_len))
        (call $emit_list (i32.const 1040) (i32.const 2))"#,
    );
    assert!(run(&two, &Limits { output_documents_limit: 2, ..limits() }).verdict.is_ok());
    let over = run(&two, &Limits { output_documents_limit: 1, ..limits() });
    check_fault(&over, "guest_output_too_large", "output_documents_limit", 1);
}

#[test]
fn a_document_of_the_limit_is_taken_and_a_byte_more_never_reaches_the_guest() {
    let (echo, body) = (guest(ECHO), "[1]");
    let run = |limit| run_document(&echo, &Limits { input_limit_bytes: limit, ..limits() }, &document("k", body));
    assert!(run(3).verdict.is_ok());
    check_fault(&run(2), "document_too_large", "input_limit_bytes", 2);
    assert_eq!(run(2).fuel, 0);
}

#[test]
fn parameters_over_the_limit_never_reach_the_guest() {
    let module = sandbox().load(&guest(ECHO), ModuleClass::Standard).unwrap();
    let document = document("k", "{}");
    let run = |bytes: usize| {
        let context = Context { parameters: " ".repeat(bytes).into(), ..context() };
        let call = Call { context: &context, document: &document, deadline_ms: None };
        sandbox().transform(&module, &[call], Isolation::Document, &limits(), &NoReferences).remove(0)
    };
    assert!(run(256 << 10).verdict.is_ok());
    check_fault(&run((256 << 10) + 1), "parameters_invalid", "parameters_limit_bytes", 256 << 10);
}

/// Logs its key so many times.
fn logs(times: u32) -> Vec<u8> {
    guest(&format!(
        "(loop $l
           (call $log (i32.const 0) (local.get $key) (local.get $key_len))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $l (i32.lt_u (local.get $i) (i32.const {times}))))
         {ECHO}"
    ))
}

#[test]
fn a_flood_of_log_lines_is_capped_and_counted_and_changes_nothing() {
    let run = run(&logs(250), &limits());
    assert_eq!((run.verdict.is_ok(), run.logs.len(), run.logs_dropped), (true, 100, 150));
}

#[test]
fn log_bytes_are_capped_too() {
    let run = run(&logs(5), &Limits { log_limit_bytes: 8, ..limits() });
    assert_eq!((run.logs.len(), run.logs_dropped), (4, 1), "four lines of two bytes");
}

#[test]
fn host_calls_up_to_the_limit_pass_and_one_more_does_not() {
    let limits = Limits { host_calls_limit: 50, ..limits() };
    assert!(run(&logs(50), &limits).verdict.is_ok());
    check_fault(&run(&logs(51), &limits), "guest_host_calls_exhausted", "host_calls_limit", 50);
}

#[test]
fn a_host_call_costs_its_price_and_a_unit_a_byte() {
    let per_call = run(&logs(2), &limits()).fuel - run(&logs(1), &limits()).fuel;
    assert!((1_002..1_100).contains(&per_call), "{per_call}");
    let long = run_document(&logs(1), &limits(), &document(&"k".repeat(500), "{}")).fuel;
    let short = run_document(&logs(1), &limits(), &document("kk", "{}")).fuel;
    assert_eq!(long - short, 498);
}

#[test]
fn a_loop_of_host_calls_runs_dry_like_any_other_loop() {
    let run = run(&logs(9_000), &Limits { fuel: 1_000_000, ..limits() });
    check_fault(&run, "guest_fuel_exhausted", "fuel", 1_000_000);
}

#[test]
fn answers_of_look_ups_are_capped_together() {
    let module = sandbox().load(&looks_up_its_key(), ModuleClass::Standard).unwrap();
    let tables = Tables(BTreeMap::from([(("a:b", "k"), Lookup::Found("12345".into()))]));
    let run = |limit| {
        let limits = Limits { lookup_limit_bytes: limit, ..limits() };
        run_with(sandbox(), &module, &[document("k", "{}")], Isolation::Document, &limits, &tables).remove(0)
    };
    assert_eq!(emitted(&run(5))[0].1, "12345");
    check_fault(&run(4), "guest_host_calls_exhausted", "lookup_limit_bytes", 4);
}

#[test]
fn describe_has_fuel_of_its_own() {
    let (sandbox, _dir) = sandbox_with(Settings { describe_fuel: 10, ..small() });
    assert_eq!(sandbox.load(&guest(ECHO), ModuleClass::Standard).unwrap_err(), Error::FuelExhausted { limit: 10 });
}

#[test]
fn more_guests_than_slots_wait_for_their_turn() {
    let module = sandbox().load(&guest(ECHO), ModuleClass::Standard).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let module = &module;
            scope.spawn(move || {
                // Many, so that batches meet between their documents, where each keeps a live instance.
                let documents: Vec<_> = (0..400).map(|n| document(&format!("k{thread}-{n}"), "{}")).collect();
                for run in run_all(module, &documents, Isolation::Batch, &limits()) {
                    emitted(&run);
                }
            });
        }
    });
}
