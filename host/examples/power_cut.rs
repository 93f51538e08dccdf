//! Does the store keep its promise when the power goes? `make power-cut` runs this; it needs root and loop devices.
//!
//! A child commits to a store on an ext4 of its own, on a loop device, and prints a line after each acknowledgement. At a
//! random moment the child is stopped, the block device is copied as it stands, and the copy is mounted, which replays
//! its journal as a boot would. The store in it must open, and every acknowledged batch must be there, whole and right.
//! The next cuts go on with the copy, so that a recovered store is cut again. This is kind to the store: no write is
//! reordered and no drive forgets its cache.
//!
//! The child rewrites the store all the time beside its commits, so that some cuts fall into the switch.
//!
//! At the end one disk is filled up: the child must end, and what it acknowledged must be there once there is room again.
//!
//! `--sabotage no-syncfs` (with the feature `failpoints`) leaves the sync out, to see that this program would notice.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use cap_std::fs::Dir;
use clap::Parser;
use crossdock::state::{Batch, Key, KeyBuilder, Pace, Settings, SledStore, Store, Table};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal};

#[derive(Parser)]
struct Options {
    /// How often the power goes.
    #[arg(long, default_value_t = 20)]
    cuts: u32,
    /// Repeats a run; printed by each.
    #[arg(long)]
    seed: Option<u64>,
    /// `no-syncfs` leaves out the sync that makes a commit durable. The run must then fail.
    #[arg(long)]
    sabotage: Option<String>,
    /// The child: commits to the store in this directory until it is killed.
    #[arg(long, hide = true)]
    write_to: Option<PathBuf>,
    /// For the child: large values too.
    #[arg(long, hide = true)]
    large: bool,
    /// For the child: the store is rewritten all the time.
    #[arg(long, hide = true)]
    rewrite: bool,
}

/// An ext4 needs room for its journal and a store for its log; copying much more would take longer than the cut.
const IMAGE_BYTES: u64 = 256 << 20;
/// How often one disk is cut before a new one is made.
const GENERATIONS: u32 = 4;

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if let Some(directory) = &options.write_to {
        let work = Work { seed: options.seed.unwrap_or(0), large: options.large, rewrite: options.rewrite };
        return write_until_killed(directory, work).map(|()| ExitCode::SUCCESS);
    }
    let child_environment = match options.sabotage.as_deref() {
        None => None,
        Some("no-syncfs") if cfg!(feature = "failpoints") => Some(("FAILPOINTS", "state::skip_sync=return")),
        Some("no-syncfs") => bail!("--sabotage needs `--features failpoints`"),
        Some(other) => bail!("no sabotage is called {other}"),
    };
    if let Err(why) = can_mount() {
        println!("{why:#}");
        println!("SKIPPED: power cuts need root and loop devices");
        return Ok(ExitCode::SUCCESS);
    }
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let mut broken = 0;
    let mut acknowledged = 0;
    let mut disk = Disk::new()?;
    for cut in 0..options.cuts {
        if cut % GENERATIONS == 0 {
            disk = Disk::new()?;
        }
        // A large value is synced on its own, and on ext4 that takes most other writes along. So every other cut has
        // none: there only the sync after the flush keeps the promise.
        let work = Work { seed: dice.random(), large: cut % 2 == 1, rewrite: true };
        // Some cuts fall into an opening: the first of a new store, or one that recovers.
        let moment = if cut % 5 == 0 { Moment::Opening } else { Moment::Writing };
        let pause_ms = dice.random_range(moment.span_ms());
        let started = Instant::now();
        let found = disk.cut(work, moment, Duration::from_millis(pause_ms), child_environment)?;
        let took = started.elapsed();
        acknowledged += found.acknowledged;
        let with = if work.large { "with" } else { "without" };
        print!("cut {:2}, {moment:?}, {with:>7} large values: {:5} acknowledged, ", cut + 1, found.acknowledged);
        match found.complaint {
            None => println!("all there; opened and read in {} ms; took {took:.1?}", found.check_ms),
            Some(complaint) => {
                broken += 1;
                println!("BROKEN: {complaint}");
                disk = Disk::new()?;
            }
        }
    }
    // Rewrites would make room again.
    let found = fill(Work { seed: dice.random(), large: false, rewrite: false }, child_environment)?;
    acknowledged += found.acknowledged;
    print!("a full disk: {:5} acknowledged, ", found.acknowledged);
    match found.complaint {
        None => println!("all there"),
        Some(complaint) => {
            broken += 1;
            println!("BROKEN: {complaint}");
        }
    }
    println!("{} power cuts, {acknowledged} acknowledged batches, {broken} cuts broke the promise", options.cuts);
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Found {
    acknowledged: u64,
    complaint: Option<String>,
    check_ms: u128,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Opening,
    Writing,
}

impl Moment {
    /// From the child's start, or from its first acknowledgement.
    fn span_ms(self) -> std::ops::Range<u64> {
        match self {
            Moment::Opening => 0..80,
            Moment::Writing => 20..900,
        }
    }
}

/// A disk and all that was acknowledged on it, through all its cuts.
struct Disk {
    place: tempfile::TempDir,
    image: PathBuf,
    history: Vec<(Work, Vec<u64>)>,
}

impl Disk {
    fn new() -> anyhow::Result<Self> {
        let place = tempfile::tempdir()?;
        let image = place.path().join("disk-0.img");
        make_filesystem(&image, IMAGE_BYTES)?;
        Ok(Self { place, image, history: Vec::new() })
    }

    fn cut(
        &mut self,
        work: Work,
        moment: Moment,
        pause: Duration,
        child_environment: Option<(&str, &str)>,
    ) -> anyhow::Result<Found> {
        let after = self.place.path().join(format!("disk-{}.img", self.history.len() + 1));
        let mounted = Mount::new(&self.image, &self.place.path().join("before"))?;
        let mut writer = Writer::start(&mounted.at, work, child_environment)?;
        if moment == Moment::Writing {
            writer.wait_for_the_first(Duration::from_secs(20))?;
        }
        // The moment is the point: the child works meanwhile, and nobody tells it when it ends.
        std::thread::sleep(pause);
        writer.stop()?;
        copy_device(&mounted.device, &after)?;
        let acknowledged = writer.kill()?;
        drop(mounted);
        std::fs::remove_file(&self.image)?;
        self.image = after;

        let count = acknowledged.len() as u64;
        self.history.push((work, acknowledged));
        let mounted = Mount::new(&self.image, &self.place.path().join("after"))?;
        let checking = Instant::now();
        let complaint = check(&mounted.at, &self.history).err().map(|error| format!("{error:#}"));
        Ok(Found { acknowledged: count, complaint, check_ms: checking.elapsed().as_millis() })
    }
}

/// Lets the child write until the disk is full, makes room, and looks.
fn fill(work: Work, child_environment: Option<(&str, &str)>) -> anyhow::Result<Found> {
    let place = tempfile::tempdir()?;
    let image = place.path().join("disk.img");
    make_filesystem(&image, 32 << 20)?;
    let mounted = Mount::new(&image, &place.path().join("full"))?;
    let ballast = mounted.at.join("ballast");
    std::fs::write(&ballast, vec![0xA5; 12 << 20])?;
    let mut writer = Writer::start(&mounted.at, work, child_environment)?;
    let ended_well = writer.wait_for_the_end(Duration::from_secs(60))?;
    let acknowledged = writer.kill()?;
    std::fs::remove_file(&ballast)?;
    let count = acknowledged.len() as u64;
    let checking = Instant::now();
    let complaint = match ended_well {
        true => Some("the child did not notice".into()),
        false => check(&mounted.at, &[(work, acknowledged)]).err().map(|error| format!("{error:#}")),
    };
    Ok(Found { acknowledged: count, complaint, check_ms: checking.elapsed().as_millis() })
}

/// What the child writes. Batch `number` follows from this and the number alone, so the parent can say what is right.
#[derive(Debug, Clone, Copy)]
struct Work {
    seed: u64,
    large: bool,
    rewrite: bool,
}

fn batch_of(work: Work, number: u64) -> Vec<(Table, Key, Vec<u8>)> {
    let mut dice = StdRng::seed_from_u64(work.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let key = |part: u64| KeyBuilder::new().number(work.seed).number(number).number(part).build();
    let mut bytes = |length: usize| -> Vec<u8> {
        let mut bytes = vec![0; length];
        dice.fill(bytes.as_mut_slice());
        bytes
    };
    match number % 8 {
        0 => (0..25)
            .flat_map(|part| [(Table::Subjects, part), (Table::Open, part)])
            .map(|(table, part)| (table, key(part), bytes(200)))
            .collect(),
        1 if work.large => vec![(Table::Bodies, key(0), bytes(200_000)), (Table::Subjects, key(0), bytes(300))],
        // One row that is rewritten all the time, as a cursor is.
        2 => vec![(Table::Cursors, KeyBuilder::new().number(work.seed).build(), number.to_be_bytes().to_vec())],
        _ => vec![(Table::Subjects, key(0), bytes(200))],
    }
}

fn is_overwritten_later(table: Table) -> bool {
    table == Table::Cursors
}

fn write_until_killed(directory: &Path, work: Work) -> anyhow::Result<()> {
    let _scenario = fail::FailScenario::setup();
    let store = open(directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    std::thread::scope(|scope| {
        // A cut falls into a rewrite as often as beside one.
        let rewriting = scope.spawn(|| {
            let pace = Pace { bytes_per_second: u64::MAX, keep_free_bytes: 8 << 20 };
            while work.rewrite && store.health().failure.is_none() {
                // A disk that is nearly full has no room for one.
                let _ = store.rewrite(&pace, &|_| true);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let ended = runtime.block_on(async {
            for first in (0..).step_by(4) {
                // Four at a time, so that there are groups and lone batches after them.
                let commits = (first..first + 4).map(|number| commit_and_say(&store, work, number));
                futures::future::try_join_all(commits).await?;
            }
            Ok(())
        });
        // The store has failed, so this ends as well.
        let _ = rewriting.join();
        ended
    })
}

async fn commit_and_say(store: &SledStore, work: Work, number: u64) -> anyhow::Result<()> {
    let mut batch = Batch::new();
    for (table, key, value) in batch_of(work, number) {
        batch.put(table, key, value);
    }
    store.commit(batch).await?;
    println!("{number}");
    Ok(())
}

fn open(directory: &Path) -> anyhow::Result<SledStore> {
    let dir = Dir::open_ambient_dir(directory, cap_std::ambient_authority())?;
    Ok(SledStore::open(&dir, directory, &Settings::default())?)
}

/// Complains of the first acknowledged batch that is missing or wrong, and of any batch that is torn.
fn check(directory: &Path, history: &[(Work, Vec<u64>)]) -> anyhow::Result<()> {
    let store = open(directory).context("the store does not open")?;
    let mut rows = BTreeMap::new();
    for table in Table::ALL {
        for (key, row) in store.scan(table, &Key::default(), None, usize::MAX).with_context(|| format!("{table:?}"))? {
            rows.insert((table, key), row.value);
        }
    }
    for (work, acknowledged) in history {
        check_work(&rows, *work, acknowledged)?;
    }
    // A store that opens must also be usable.
    let mut batch = Batch::new();
    batch.put(Table::Subjects, KeyBuilder::new().text("after").build(), "the cut");
    futures::executor::block_on(store.commit(batch)).context("the store takes nothing after the cut")?;
    store.close().context("the store does not close")
}

fn check_work(rows: &BTreeMap<(Table, Key), bytes::Bytes>, work: Work, acknowledged: &[u64]) -> anyhow::Result<()> {
    let last = acknowledged.iter().max().copied().unwrap_or(0);
    // The child has at most four batches in work beyond those it was told of.
    for number in 0..=last + 8 {
        let batch = batch_of(work, number);
        let present = |(table, key, value): &&(Table, Key, Vec<u8>)| match rows.get(&(*table, key.clone())) {
            Some(found) if is_overwritten_later(*table) => found.as_ref() >= value.as_slice(),
            Some(found) => found == value,
            None => false,
        };
        let (there, all) = (batch.iter().filter(present).count(), batch.len());
        if acknowledged.contains(&number) {
            ensure!(there == all, "batch {number} was acknowledged and {there} of {all} rows are there");
        }
        ensure!(there == 0 || there == all, "batch {number} is torn: {there} of {all} rows are there");
    }
    Ok(())
}

// The child, seen from the parent.

struct Writer {
    child: Child,
    lines: std::sync::mpsc::Receiver<u64>,
    seen: Vec<u64>,
}

impl Writer {
    fn start(directory: &Path, work: Work, environment: Option<(&str, &str)>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--write-to").arg(directory).arg("--seed").arg(work.seed.to_string());
        command.args(work.large.then_some("--large"));
        command.args(work.rewrite.then_some("--rewrite"));
        // On the full disk it ends with an error, which is no news here.
        command.envs(environment).env("RUST_BACKTRACE", "0").stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let output = BufReader::new(child.stdout.take().context("the child has no output")?);
        let (send, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // A line that is cut off by the kill names no batch.
            for number in output.lines().map_while(Result::ok).map_while(|line| line.parse().ok()) {
                if send.send(number).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines, seen: Vec::new() })
    }

    fn wait_for_the_first(&mut self, at_most: Duration) -> anyhow::Result<()> {
        let first = self.lines.recv_timeout(at_most).context("the child acknowledged nothing")?;
        self.seen.push(first);
        Ok(())
    }

    fn stop(&self) -> anyhow::Result<()> {
        rustix::process::kill_process(self.pid(), Signal::STOP)?;
        // The signal is taken when each thread next meets the kernel; wait until the kernel says so.
        let status = format!("/proc/{}/stat", self.child.id());
        for _ in 0..10_000 {
            let text = std::fs::read_to_string(&status)?;
            if text.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        bail!("the child did not stop")
    }

    /// Whether it ended well.
    fn wait_for_the_end(&mut self, at_most: Duration) -> anyhow::Result<bool> {
        let deadline = Instant::now() + at_most;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.success());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the child goes on on a full disk")
    }

    /// Everything that it said before it was stopped.
    fn kill(mut self) -> anyhow::Result<Vec<u64>> {
        self.child.kill()?;
        self.child.wait()?;
        let mut seen = std::mem::take(&mut self.seen);
        seen.extend(self.lines.iter());
        Ok(seen)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Only where something else went wrong first; it has been waited for otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// Filesystems.

struct Mount {
    at: PathBuf,
    device: PathBuf,
}

impl Mount {
    fn new(image: &Path, at: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(at)?;
        let device = run(Command::new("losetup").args(["--find", "--show"]).arg(image))?;
        let mount = Self { at: at.into(), device: device.trim().into() };
        run(Command::new("mount").args(["-t", "ext4"]).arg(&mount.device).arg(at))?;
        Ok(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Either may not have happened yet; the other must be undone all the same.
        let unmounted = run(Command::new("umount").arg(&self.at));
        let detached = run(Command::new("losetup").arg("--detach").arg(&self.device));
        for error in [unmounted, detached].into_iter().filter_map(Result::err) {
            eprintln!("cleaning up: {error:#}");
        }
    }
}

fn can_mount() -> anyhow::Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "not root");
    let place = tempfile::tempdir()?;
    let image = place.path().join("disk.img");
    make_filesystem(&image, IMAGE_BYTES)?;
    Mount::new(&image, &place.path().join("mounted")).map(drop)
}

fn make_filesystem(image: &Path, length_bytes: u64) -> anyhow::Result<()> {
    std::fs::File::create(image)?.set_len(length_bytes)?;
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1"]).arg(image))
        .map(drop)
}

/// Copies what has reached the device. Read around the page cache of the block device: ext4 keeps its metadata there
/// before the device has it.
fn copy_device(device: &Path, to: &Path) -> anyhow::Result<()> {
    let mut source = std::ffi::OsString::from("if=");
    source.push(device);
    let mut target = std::ffi::OsString::from("of=");
    target.push(to);
    run(Command::new("dd").args([source, target]).args(["iflag=direct", "bs=4M", "conv=sparse", "status=none"]))
        .map(drop)
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
