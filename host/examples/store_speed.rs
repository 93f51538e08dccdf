//! How many durable commits a second the store takes, beside a bare append with `fdatasync` on the same disk.
//! `docs/decisions/store.md` holds what it said. Run it optimised and on a quiet machine.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cap_std::fs::Dir;
use clap::Parser;
use crossdock::state::{Batch, KeyBuilder, Settings, SledStore, Store, Table};
use futures::StreamExt;

#[derive(Parser)]
struct Options {
    /// A folder on the disk to measure; a new one is made in it and removed.
    directory: PathBuf,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

const ROUND: Duration = Duration::from_secs(1);
const VALUE_BYTES: usize = 200;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let place = tempfile::tempdir_in(&options.directory)?;
    let dir = Dir::open_ambient_dir(place.path(), cap_std::ambient_authority())?;
    let store = SledStore::open(&dir, place.path(), &Settings::default())?;
    let mut file = std::fs::File::create(place.path().join("append"))?;
    let mut number = 0;
    let mut seen: [Vec<f64>; 4] = Default::default();
    for _ in 0..options.rounds {
        seen[0].push(per_second(|| {
            file.write_all(&[7; VALUE_BYTES])?;
            Ok(file.sync_data().map(|()| 1)?)
        })?);
        seen[1].push(per_second(|| commit_at_once(&store, &mut number, 1, 1))?);
        seen[2].push(per_second(|| commit_at_once(&store, &mut number, 200, 50))?);
        seen[3].push(per_second(|| {
            let batch = batch(&mut number, 50);
            Ok(futures::executor::block_on(store.commit(batch)).map(|_| 1)?)
        })?);
    }
    let names = ["append and fdatasync", "one row, one caller", "one row, 50 callers", "batch of 50 rows, one caller"];
    for (name, mut rates) in names.into_iter().zip(seen) {
        rates.sort_by(f64::total_cmp);
        let (least, median, most) = (rates[0], rates[rates.len() / 2], rates[rates.len() - 1]);
        println!("{name:30} {median:7.0} commits/s ({least:.0} to {most:.0})");
    }
    Ok(store.close()?)
}

fn commit_at_once(store: &SledStore, number: &mut u64, commits: usize, callers: usize) -> anyhow::Result<u32> {
    let batches: Vec<_> = (0..commits).map(|_| batch(number, 1)).collect();
    let mut done = futures::stream::iter(batches).map(|batch| store.commit(batch)).buffer_unordered(callers);
    futures::executor::block_on(async {
        let mut count = 0;
        while let Some(outcome) = done.next().await {
            outcome?;
            count += 1;
        }
        Ok(count)
    })
}

fn batch(number: &mut u64, rows: usize) -> Batch {
    let mut batch = Batch::new();
    for _ in 0..rows {
        *number += 1;
        batch.put(Table::Subjects, KeyBuilder::new().number(*number).build(), vec![7; VALUE_BYTES]);
    }
    batch
}

fn per_second(mut act: impl FnMut() -> anyhow::Result<u32>) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < ROUND {
        count += act()?;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}
