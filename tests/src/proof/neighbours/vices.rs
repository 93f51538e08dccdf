//! What the noisy tenant's modules do. Each has a scheme of its own, so that as many as may run at once.

use crate::proof::guests;

pub struct Vice {
    pub scheme: String,
    body: String,
    /// Of the fault that its documents park with.
    pub code: &'static str,
    /// Further keys of the scheme.
    pub keys: &'static str,
    /// Over the source with the large documents.
    pub large: bool,
}

impl Vice {
    pub fn component(&self) -> Vec<u8> {
        // Text for the one that floods the log.
        guests::component(&format!("(data (i32.const 8192) \"{}\")", "noise ".repeat(170)), &self.body)
    }
}

const FOR_EVER: &str = "(loop $for_ever (br $for_ever)) unreachable";
/// Writes to each byte of sixty mebibytes, and then wants more and more.
const HOG: &str = "(drop (memory.grow (i32.const 896)))
    (memory.fill (i32.const 4194304) (i32.const 7) (i32.const 58720256))
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
const FLOOD: &str = "(loop $more (call $log (i32.const 2) (i32.const 8192) (i32.const 1020)) (br $more)) unreachable";

pub fn all() -> Vec<Vice> {
    let vice = |scheme: &str, body: &str, code| Vice {
        scheme: scheme.to_owned(),
        body: body.to_owned(),
        code,
        keys: "",
        large: false,
    };
    let mut all: Vec<Vice> =
        (1..=4).map(|number| vice(&format!("loops-{number}"), FOR_EVER, "guest_fuel_exhausted")).collect();
    // More fuel than its time burns. Each of its documents has that time once, and five times as much twice.
    all.push(Vice {
        keys: "limits = { fuel = 1000000000000, deadline_ms = 200 }",
        ..vice("late", FOR_EVER, "guest_deadline")
    });
    all.push(vice("hog", HOG, "guest_memory_exhausted"));
    all.push(vice("flood", FLOOD, "guest_host_calls_exhausted"));
    all.push(Vice { large: true, ..vice("rejects", &guests::rejects(), "rejected") });
    all
}
