//! Runs that are spread over hosts which are really apart, with Kafka on another and the state in a folder that all see or on the host of an S3 server, and what networks
//! and hosts do to them: after any of it every sink has what the oracle has, and each dead letter is there once.
//!
//! Ten schedules as a rule, 200 with `MINUTELY_TEST_LONG=1`; `MINUTELY_TEST_SCHEDULES=N` for another number. What lasts does so for 1 s or 6 s, of a time-out of
//! 4 s; in each twentieth schedule for 10 s or 60 s, of 40 s.

mod network;
mod spread;

use crate::common::bucket::Prefix;
use crate::common::kafka::Kafka;
use crate::common::program::files;
use crate::common::rows::{csv, same, sqlite};
use crate::common::stand_in::Interface;
use crate::common::{script, seed};
use crate::killed::{Producer, accounted, topic};
use crate::live::short;
use fastrand::Rng;
use network::{Network, inside};
use spread::{Place, Spread};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// Runs side by side: they wait more than they work.
const LANES: usize = 3;
/// As many numbers of a lane as there are addresses 10.77.LANE.HOST: none below is one of them.
const ADDRESSES: usize = 250;
const BROKER: &str = "10.77.254.1";
const BUCKET: &str = "10.77.253.1";

fn schedules() -> usize {
    let asked =
        std::env::var("MINUTELY_TEST_SCHEDULES").ok().map(|text| text.parse().expect("MINUTELY_TEST_SCHEDULES=N"));
    asked.unwrap_or(if std::env::var_os("MINUTELY_TEST_LONG").is_some() { 200 } else { 10 })
}

/// What happens to a run, and to which of its hosts.
#[derive(Debug)]
enum Trouble {
    /// So many ms on each way, half as many more at most.
    Slow(u32),
    /// So many percent of what is sent.
    Lossy(u32),
    /// It hears nobody, and nobody hears it.
    Cut,
    /// The same of another host alone: both have the rest of the world.
    Apart,
    /// Nobody hears it.
    Mute,
    /// SIGSTOP, and SIGCONT.
    Frozen,
    Killed,
    /// For good; another one comes at another address.
    Lost,
    /// One process after the other is told to stop, and comes back from another file of the same program.
    Rolled,
    /// From two processes of two workers to three of one, or back.
    Reshaped,
}

impl Trouble {
    fn draw(rng: &mut Rng) -> Self {
        match rng.u8(..10) {
            0 => Trouble::Slow(rng.u32(20..=100)),
            1 => Trouble::Lossy(5),
            2 => Trouble::Cut,
            3 => Trouble::Apart,
            4 => Trouble::Mute,
            5 => Trouble::Frozen,
            6 => Trouble::Killed,
            7 => Trouble::Lost,
            8 => Trouble::Rolled,
            _ => Trouble::Reshaped,
        }
    }

    /// Happens, and is over.
    fn happen(&self, run: &mut Spread<'_>, rng: &mut Rng) {
        let at = rng.usize(..run.hosts.len());
        let other = (at + rng.usize(1..run.hosts.len())) % run.hosts.len();
        let (host, other) = (run.hosts[at].name.clone(), run.hosts[other].name.clone());
        // Shorter than what loses a peer, or longer.
        let time = if rng.bool() { run.peer_timeout / 4 } else { run.peer_timeout * 3 / 2 };
        let links = |run: &Spread<'_>, delay_ms, lost| run.network.lock().unwrap().links(&host, delay_ms, lost);
        let between = |run: &Spread<'_>, lost| {
            let mut network = run.network.lock().unwrap();
            network.link(&host, &other, 0, lost);
            network.link(&other, &host, 0, lost);
        };
        eprintln!("{host}: {self:?}, {time:?} if it lasts");
        match self {
            Trouble::Slow(ms) => links(run, *ms, 0),
            Trouble::Lossy(percent) => links(run, 0, *percent),
            Trouble::Cut => links(run, 0, 100),
            Trouble::Apart => between(run, 100),
            Trouble::Mute => run.network.lock().unwrap().link(&host, "*", 0, 100),
            Trouble::Frozen => run.signal(at, "STOP"),
            Trouble::Killed => return run.kill(at),
            Trouble::Lost => return run.replace(at),
            Trouble::Rolled => return roll(run),
            Trouble::Reshaped if run.hosts.len() == 2 => return run.reshape(3, 1),
            Trouble::Reshaped => return run.reshape(2, 2),
        }
        run.pass(time);
        match self {
            Trouble::Frozen => run.signal(at, "CONT"),
            Trouble::Apart => between(run, 0),
            _ => links(run, 0, 0),
        }
    }
}

/// To another copy of the program.
fn roll(run: &mut Spread<'_>) {
    let next = run.path(&format!("minutely-{}", run.ended));
    std::fs::copy(env!("CARGO_BIN_EXE_minutely"), &next).unwrap();
    run.program = next;
    for at in 0..run.hosts.len() {
        run.signal(at, "TERM");
        run.pass(Duration::from_secs(1));
    }
}

/// One run, disturbed and compared.
fn schedule(network: &Mutex<Network>, lane: usize, servers: &Servers, peer_timeout: Duration, mut rng: Rng) {
    let kafka = &servers.kafka;
    let stamps = ["CreateTime", "LogAppendTime"][rng.usize(..2)];
    let topic = topic(kafka, stamps);
    let state = servers.place(&mut rng);
    eprintln!("lane {lane}: {topic} ({stamps}), {state:?}, --peer-timeout {peer_timeout:?}");
    let mut run = Spread::new(network, lane, kafka.uri(&topic), state, peer_timeout);
    match rng.u8(..3) {
        0 => run.reshape(2, 2),
        1 => run.reshape(3, 1),
        _ => run.reshape(4, 1),
    }
    let producer = Producer::start(kafka.writer(&topic), rng.fork());
    for _ in 0..rng.u8(2..=4) {
        run.pass(Duration::from_millis(rng.u64(500..4000)));
        Trouble::draw(&mut rng).happen(&mut run, &mut rng);
    }
    producer.stopped();
    ends(run, kafka, &topic);
}

/// Waits until the whole log is read and final, stops the run, and compares.
fn ends(mut run: Spread<'_>, kafka: &Kafka, topic: &str) {
    let log = kafka.read_back(topic);
    let records: i64 = log.iter().map(|partition| i64::try_from(partition.records.len()).unwrap()).sum();
    let (db, text) = (run.path("minutes.db"), run.path("minutes.csv"));
    run.until("all is read", |_, first| first.read() == records);
    run.until("all is final", |_, first| {
        let rows = sqlite(&db);
        rows.values().map(|cells| cells.count).sum::<i64>() == first.counted()
            && rows.values().all(|cells| cells.state == "final")
    });
    let ended = run.stop().expect("process 0 ran").well();
    let wanted = accounted(&log, &short(), &run.data(0), &ended);
    same("sqlite", &sqlite(&db), &wanted.rows);
    same("csv", &csv(&text), &wanted.rows);
    let others = (1..run.hosts.len()).flat_map(|at| files(&run.data(at)));
    let others: Vec<_> = others.filter(|path| path.to_string_lossy().contains("dead-letters")).collect();
    assert_eq!(others, [""; 0].map(std::path::PathBuf::from), "process 0 alone writes");
    eprintln!("{} rows after {} ends of processes", wanted.rows.len(), run.ended);
    run.leave();
}

#[test]
fn whatever_networks_and_hosts_do_every_row_is_the_oracles() {
    let what = "hosts that are apart";
    if !inside("hosts::whatever_networks_and_hosts_do_every_row_is_the_oracles", what) {
        return;
    }
    let (mut rng, folder) = (seed(), tempfile::tempdir().unwrap());
    let mut network = Network::start(folder.path(), rng.u64(..));
    let servers = Servers::start(&mut network);
    let network = Mutex::new(network);
    let left: Vec<(usize, Rng)> = (1..=schedules()).map(|number| (number, rng.fork())).collect();
    let (left, servers) = (Mutex::new(left), &servers);
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            let (left, network) = (&left, &network);
            scope.spawn(move || {
                loop {
                    let Some((number, rng)) = left.lock().unwrap().pop() else { return };
                    let peer_timeout = Duration::from_secs(if number % 20 == 0 { 40 } else { 4 });
                    schedule(network, number % ADDRESSES, servers, peer_timeout, rng);
                }
            });
        }
    });
}

/// Kafka on a host of its own, and an S3 server on another. They end with the namespaces.
struct Servers {
    kafka: Kafka,
    bucket: Option<(&'static str, String)>,
    _folder: tempfile::TempDir,
}

impl Servers {
    fn start(network: &mut Network) -> Self {
        let folder = tempfile::tempdir().unwrap();
        network.add("broker", BROKER);
        let heap = ["--heap", "512m", "--timeout", "120"];
        let address =
            on("broker", &script("MINUTELY_TEST_KAFKA_SCRIPT", "kafka"), &folder.path().join("kafka"), BROKER, &heap);
        // The one that is there; the other is a second opinion for tests of one host.
        let kinds = [("MINUTELY_TEST_S3_URL", "SeaweedFS", &[][..]), ("MINUTELY_TEST_MOTO_URL", "moto", &["--moto"])];
        let bucket =
            kinds.into_iter().find(|(variable, ..)| std::env::var_os(variable).is_some()).map(|(_, name, kind)| {
                network.add("bucket", BUCKET);
                (
                    name,
                    on(
                        "bucket",
                        &script("MINUTELY_TEST_BUCKET_SCRIPT", "buckets"),
                        &folder.path().join("bucket"),
                        BUCKET,
                        kind,
                    ),
                )
            });
        Servers { kafka: Kafka::at(&address), bucket, _folder: folder }
    }

    /// A state of one's own.
    fn place(&self, rng: &mut Rng) -> Place {
        let in_bucket = rng.bool(); // (drawn in any case: a seed gives the same schedule where there is no server)
        match &self.bucket {
            Some((name, url)) if in_bucket => Place::Bucket(Prefix::on(name, Interface::S3, url.clone())),
            _ => Place::Folder(tempfile::tempdir().unwrap()),
        }
    }
}

/// Starts a server on this host by its script; what it is told of.
fn on(host: &str, script: &Path, folder: &Path, address: &str, more: &[&str]) -> String {
    let mut start = Command::new("ip");
    start
        .args(["netns", "exec", host])
        .arg(script)
        .args(["start", "--address", address, "--dir"])
        .arg(folder)
        .args(more);
    let output = start.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{start:?}: {}", output.status);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
