//! How much disk the store takes while documents come and go and as many stay as before: each round writes documents as
//! the pipeline does (a body, four lines of history, its subject rewritten with each), and removes as many of the oldest.
//! `docs/decisions/store.md` holds what it said.

use std::path::PathBuf;

use cap_std::fs::Dir;
use clap::Parser;
use crossdock::state::{Batch, KeyBuilder, Pace, Settings, SledStore, Store, Table};
use futures::executor::block_on;

#[derive(Parser)]
struct Options {
    /// A folder on the disk to measure; a new one is made in it and removed.
    directory: PathBuf,
    /// Documents that live at once.
    #[arg(long, default_value_t = 10_000)]
    documents: u64,
    /// Of one body.
    #[arg(long, default_value_t = 4_000)]
    body_bytes: usize,
    /// How often the whole population is replaced.
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// Rewrite the store after this round.
    #[arg(long)]
    rewrite_after: Option<u64>,
}

/// Documents in one batch, as in a round of the driver's.
const ROUND: u64 = 50;
const LINES: u64 = 4;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let place = tempfile::tempdir_in(&options.directory)?;
    let dir = Dir::open_ambient_dir(place.path(), cap_std::ambient_authority())?;
    let store = SledStore::open(&dir, place.path(), &Settings::default())?;
    println!("round  live MB  disk MB  disk/live");
    for round in 0..options.rounds {
        for first in (0..options.documents).step_by(ROUND as usize) {
            let numbers = || (first..first + ROUND).map(|number| round * options.documents + number);
            for step in 0..=LINES {
                write(&store, numbers(), step, options.body_bytes)?;
            }
            if round > 0 {
                remove(&store, numbers().map(|number| number - options.documents))?;
            }
        }
        show(&store, &round.to_string())?;
        if options.rewrite_after == Some(round) {
            let began = std::time::Instant::now();
            let done = store.rewrite(&Pace::default(), &|_| true)?;
            println!("rewritten in {:?}, commits held for {:?}", began.elapsed(), done.held);
            show(&store, "after")?;
        }
    }
    store.close()?;
    drop(store);
    let began = std::time::Instant::now();
    let store = SledStore::open(&dir, place.path(), &Settings::default())?;
    println!("opened again, every row read, in {:?}", began.elapsed());
    Ok(store.close()?)
}

/// Step 0 receives the documents; each further one adds a line and rewrites the subject.
fn write(store: &SledStore, numbers: impl Iterator<Item = u64>, step: u64, body_bytes: usize) -> anyhow::Result<()> {
    let mut batch = Batch::new();
    for number in numbers {
        if step == 0 {
            batch.put(
                Table::Bodies,
                KeyBuilder::new().number(number.reverse_bits()).build(),
                bytes(number, body_bytes),
            );
            batch.put(Table::Open, KeyBuilder::new().number(number).build(), bytes(number, 30));
        } else {
            batch.put(Table::History, KeyBuilder::new().number(number).number(step).build(), bytes(number, 300));
        }
        if step == LINES {
            batch.remove(Table::Open, KeyBuilder::new().number(number).build());
        }
        batch.put(Table::Subjects, KeyBuilder::new().number(number).build(), bytes(number + step, 600));
    }
    block_on(store.commit(batch))?;
    Ok(())
}

fn remove(store: &SledStore, numbers: impl Iterator<Item = u64>) -> anyhow::Result<()> {
    let mut batch = Batch::new();
    for number in numbers {
        batch.remove(Table::Bodies, KeyBuilder::new().number(number.reverse_bits()).build());
        batch.remove(Table::Subjects, KeyBuilder::new().number(number).build());
        for step in 1..=LINES {
            batch.remove(Table::History, KeyBuilder::new().number(number).number(step).build());
        }
    }
    block_on(store.commit(batch))?;
    Ok(())
}

/// Bytes that no page compresses away, the same for the same number.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(length)
    .collect()
}

fn show(store: &SledStore, name: &str) -> anyhow::Result<()> {
    let space = store.space()?;
    let mb = |bytes: u64| bytes >> 20;
    let tenths = space.disk_bytes * 10 / space.live_bytes.max(1);
    println!("{name:>5} {:8} {:8} {:7}.{}", mb(space.live_bytes), mb(space.disk_bytes), tenths / 10, tenths % 10);
    Ok(())
}
