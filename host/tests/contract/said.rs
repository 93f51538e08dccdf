//! Everything that is logged, by the thread that logged it.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

thread_local! {
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Ear;

impl Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        say(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Ear {
    type Writer = Ear;
    fn make_writer(&'a self) -> Ear {
        Ear
    }
}

/// From now on every line of every crate is kept, down to the most talkative level.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        subscriber.with_writer(Ear).finish().init();
    });
}

pub fn say(text: &str) {
    SAID.with_borrow_mut(|said| {
        said.push_str(text);
        said.push('\n');
    });
}

/// What this thread has said so far.
pub fn all() -> String {
    SAID.with_borrow(String::clone)
}
