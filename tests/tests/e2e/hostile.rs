//! Modules that mean harm, beside one that means well, in one engine over one source.

use vendor_sim::proof::configuration::{Scheme, Settings};
use vendor_sim::proof::world::{SCHEME, World};

use crate::{finish, guests, in_directory, told, world};

struct Vice {
    scheme: &'static str,
    component: Vec<u8>,
    code: &'static str,
    /// What the error must name.
    limit: &'static str,
}

fn vices() -> Vec<Vice> {
    let vice = |scheme, items: &str, body: &str, code, limit| Vice {
        scheme,
        component: guests::component(items, body),
        code,
        limit,
    };
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let recursion = "(func $deeper (param i32) (result i32) (i32.add (call $deeper (local.get 0)) (i32.const 1)))";
    // These mebibytes are really there; the gigabyte is a claim.
    let really = |mebibytes: u32| {
        format!("(drop (memory.grow (i32.const {}))) {}", mebibytes * 16 + 16, guests::emits(mebibytes << 20))
    };
    vec![
        vice("loops", "", "(loop $for_ever (br $for_ever)) unreachable", "guest_fuel_exhausted", "fuel limit 20000000"),
        vice("grows", "", grow, "guest_memory_exhausted", "memory_limit_bytes limit"),
        vice("recurses", recursion, "(call $deeper (i32.const 0))", "guest_stack_overflow", "stack_limit_bytes limit"),
        vice("returns-much", "", &really(40), "guest_output_too_large", "hostcall_bytes limit"),
        vice("claims-a-gigabyte", "", &guests::emits(1 << 30), "guest_trap", "out of bounds of memory"),
    ]
}

/// The scheme that means well first, then one for each vice, all over the same source and target.
fn settings(vices: &[Vice]) -> Settings {
    let hostile = vices.iter().map(|vice| Scheme {
        name: vice.scheme.to_owned(),
        component: Some(format!("{}.wasm", vice.scheme).into()),
        keys: "limits = { fuel = 20000000 }".to_owned(),
        ..Scheme::default()
    });
    Settings { schemes: std::iter::once(Scheme::default()).chain(hostile).collect(), ..Settings::default() }
}

fn check_vice(world: &World, vice: &Vice, documents: usize) {
    let ledger = told(world.product.ledger(vice.scheme));
    assert_eq!(ledger.len(), documents, "{}: documents in the ledger", vice.scheme);
    for (key, entry) in &ledger {
        let story = format!("{} {key}: {}", vice.scheme, entry.story());
        assert_eq!(entry.state, "parked", "{story}");
        assert!(entry.code.as_deref().unwrap_or_default().starts_with(vice.code), "{story}");
        let told = entry.message.as_deref().unwrap_or_default();
        assert!(told.contains(vice.limit), "the error does not name {}: {story}", vice.limit);
    }
}

#[test]
fn hostile_modules_park_their_own_documents_and_nobody_elses() {
    let vices = vices();
    let mut world = world(&["--documents", "20", "--seed", "61"], &settings(&vices));
    for vice in &vices {
        std::fs::write(in_directory(&world, &format!("{}.wasm", vice.scheme)), &vice.component).unwrap();
    }
    let mut engine = told(world.start());
    told(world.wait_until_done(&mut engine, crate::PATIENCE));
    for vice in &vices {
        let open = vendor_sim::proof::wait::until(crate::PATIENCE, "the hostile schemes' end", || {
            let (open, all) = (world.product.under_way(vice.scheme)?, world.product.ledger(vice.scheme)?);
            match (open.values().next(), all.len()) {
                (None, 20) => Ok(()),
                (None, some) => Err(vendor_sim::proof::wait::Waiting::on(format!("{some} of 20 documents read"))),
                (Some(entry), _) => Err(vendor_sim::proof::wait::Waiting::on(entry.story())),
            }
        });
        open.unwrap_or_else(|failure| panic!("{}: {}", vice.scheme, engine.tell(failure)));
        check_vice(&world, vice, 20);
    }
    let written = told(world.product.ledger(SCHEME)).values().filter(|entry| entry.state == "written").count();
    assert!(written > 10, "only {written} documents of the good scheme were written\n{}", engine.log_tail());
    finish(&world, engine);
}
