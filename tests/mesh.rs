//! Processes of a run and everybody else on the network: whoever does not know the key of the run neither ends a process that
//! waits, nor takes another's place, nor holds it up, nor hears anything of the run.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program};
use common::{hosts, two_hosts};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SOURCE: [&str; 4] = ["--source", "sim:?symbols=5&rate=50&history=1m", "--sink", "stdout:"];

fn process(data: &Path, hosts: &str, number: &str) -> Program {
    process_of(data, hosts, ["2", number], &[])
}

/// `of`: how many there are, and which this is.
fn process_of(data: &Path, hosts: &str, of: [&str; 2], more: &[&str]) -> Program {
    Program::start(data, &[&SOURCE[..], &["-n", of[0], "-h", hosts, "-p", of[1]], more].concat(), &[])
}

/// The address of a process in a file for `-h`.
fn address(hosts: &str, process: usize) -> String {
    std::fs::read_to_string(hosts).unwrap().lines().nth(process).unwrap().to_owned()
}

/// A process that waits for others, once it listens.
fn waiting(data: &Path, hosts: &str, of: [&str; 2], more: &[&str]) -> Program {
    let address = address(hosts, of[1].parse().unwrap());
    let mut program = process_of(data, hosts, of, more);
    program.until("it listens", PATIENCE, |_| TcpStream::connect(&address).is_ok());
    program
}

/// What is heard until the other side hangs up, or for ten seconds: then it has not.
fn heard(mut socket: &TcpStream) -> Vec<u8> {
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut all, mut some) = (Vec::new(), [0; 1024]);
    loop {
        match socket.read(&mut some) {
            Ok(0) => return all,
            Ok(n) => all.extend_from_slice(&some[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(e) => panic!("it does not hang up: {e}"),
        }
    }
}

#[test]
fn strangers_neither_end_a_run_that_waits_nor_learn_of_it_nor_hold_it_up() {
    let folder = tempfile::tempdir().unwrap();
    let (data, hosts) = (folder.path().join("data"), two_hosts(folder.path()));
    let address = address(&hosts, 0);
    let mut first = waiting(&data, &hosts, ["2", "0"], &[]);
    let call = || TcpStream::connect(&address).unwrap();

    // A tag that is a guess, an earlier version's first words, garbage, half a word, and silence.
    for says in [
        &[&b"minutel\x02"[..], &[7; 32], &[0; 300]].concat()[..],
        &[&b"minutely"[..], &[7; 32]].concat(),
        &[0; 200],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n                                    ",
        b"minu",
        b"",
    ] {
        let mut socket = call();
        socket.write_all(says).unwrap();
        assert_eq!(heard(&socket).len(), 32, "a challenge, and no more: {says:?}");
    }
    // More who say nothing than are heard at once, for as long as it takes.
    let over = Arc::new(AtomicBool::new(false));
    let flood = {
        let (address, over) = (address.clone(), Arc::clone(&over));
        std::thread::spawn(move || {
            let mut silent: VecDeque<TcpStream> = VecDeque::new();
            while !over.load(Ordering::Relaxed) {
                silent.extend(TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_millis(50)).ok());
                if silent.len() > 800 {
                    silent.pop_front();
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        })
    };
    // Somebody with another data folder, who has another secret.
    let mut other = process(&folder.path().join("other"), &hosts, "1");
    first.until("it says so", PATIENCE, |program| program.said().contains("is sent away"));
    other.until("it waits", Duration::from_secs(60), |program| program.said().contains("waits for process 0"));
    assert!(other.said().contains("it has another key"), "{}", other.said());
    other.terminate();
    other.ended(PATIENCE).well();

    let mut second = process(&data, &hosts, "1");
    first.until("it reads", PATIENCE, |program| program.counted() > 0);
    over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    let said = first.said();
    assert!(said.matches("is sent away").count() < 10, "a line for each would fill a disk: {said}");
    second.until("it still runs", PATIENCE, |_| true);
    first.terminate();
    first.ended(Duration::from_secs(10)).well();
    second.ended(Duration::from_secs(10)).well();
}

/// As many as the limit of open files allows, where that is lower.
#[test]
fn ten_thousand_idle_connections_keep_nobody_out() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _lower = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = usize::try_from(files.saturating_sub(300)).unwrap_or(usize::MAX).min(10_000);
    let folder = tempfile::tempdir().unwrap();
    let (data, hosts) = (folder.path().join("data"), two_hosts(folder.path()));
    let address = address(&hosts, 0).parse().unwrap();
    let mut first = waiting(&data, &hosts, ["2", "0"], &[]);
    let (mut idle, until) = (Vec::with_capacity(most), Instant::now() + PATIENCE);
    while idle.len() < most {
        assert!(Instant::now() < until, "{} of {most} connections", idle.len());
        idle.extend(TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok());
    }
    eprintln!("{most} idle connections");
    let mut second = process(&data, &hosts, "1");
    first.until("it reads", PATIENCE, |program| program.counted() > 0);
    // Those that came first are long gone.
    let mut oldest = &idle[0];
    oldest.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut all = Vec::new();
    let _reset = oldest.read_to_end(&mut all);
    assert!(all.len() <= 32, "{} bytes", all.len());
    drop(idle);
    second.until("it still runs", PATIENCE, |_| true);
    first.stopped();
    second.ended(Duration::from_secs(10)).well();
}

#[test]
fn a_process_that_was_started_otherwise_is_named_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (data, hosts) = (folder.path().join("data"), two_hosts(folder.path()));
    for (more, part) in [
        (&["--job", "other"][..], "job other (here ticks"),
        (&["--job", "ticks", "-w", "2"], "-w 2 (here 1)"),
        (&["--job", "ticks", "--emit", "final"], "--emit final (here changes): processes of one run"),
        (
            &["--job", "ticks", "--checkpoint-interval", "3s", "--audit", "1h"],
            "--audit 1h (here 1d), --checkpoint-interval 3s (here 1s)",
        ),
    ] {
        let first = waiting(&data, &hosts, ["2", "0"], &["--job", "ticks"]);
        let second = process_of(&data, &hosts, ["2", "1"], more);
        let ended = [first, second].map(|one| one.ended(PATIENCE));
        let why = |code: Option<i32>| code == Some(64);
        assert!(why(ended[0].code) && why(ended[1].code), "{ended:#?}");
        assert!(ended[0].said.contains(part), "{ended:#?}");
    }
}

/// A process that was stopped, and whose place another took at another address, comes back.
#[test]
fn a_process_of_an_earlier_start_does_not_take_its_place_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (earlier, later) = (folder.path().join("earlier"), folder.path().join("later"));
    let all = hosts(folder.path(), 4);
    let lines: Vec<String> = std::fs::read_to_string(&all).unwrap().lines().map(str::to_owned).collect();
    let write = |path: &Path, of: [usize; 3]| {
        std::fs::write(path, of.map(|at| lines[at].clone()).join("\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (earlier, later) = (write(&earlier, [0, 1, 2]), write(&later, [0, 3, 2]));
    let mut zero = waiting(&data, &later, ["3", "0"], &[]);
    let mut stopped = waiting(&data, &earlier, ["3", "1"], &[]);
    zero.until("it is connected", PATIENCE, |_| connections(&lines[0], stopped.id()) == 2);
    stopped.signal("STOP");
    let mut instead = waiting(&data, &later, ["3", "1"], &[]);
    zero.until("the other is connected", PATIENCE, |_| connections(&lines[0], instead.id()) == 2);
    stopped.signal("CONT");
    zero.until("it is refused", PATIENCE, |zero| zero.said().contains("process 1 was started again after it"));
    let mut two = process_of(&data, &later, ["3", "2"], &[]);
    zero.until("it reads", PATIENCE, |program| program.counted() > 0);
    instead.until("it still runs", PATIENCE, |_| true);
    two.until("it still runs", PATIENCE, |_| true);
    stopped.until("it only waits", PATIENCE, |_| true);
    stopped.terminate();
    zero.terminate();
    for program in [zero, instead, two, stopped] {
        program.ended(Duration::from_secs(20)).well();
    }
}

/// How many connections a process has to this address.
fn connections(address: &str, process: u32) -> usize {
    let port: u16 = address.rsplit_once(':').unwrap().1.parse().unwrap();
    let inodes: Vec<String> = std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|fd| Some(std::fs::read_link(fd.ok()?.path()).ok()?.to_str()?.strip_prefix("socket:[")?.to_owned()))
        .map(|inode| inode.trim_end_matches(']').to_owned())
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    // 01: established.
    let is = |row: &Vec<&str>| row[2].ends_with(&format!(":{port:04X}")) && row[3] == "01";
    rows.filter(|row| row.len() > 9 && is(row) && inodes.iter().any(|inode| inode == row[9])).count()
}

/// With a key that is given, nothing else need be shared; without it nobody is let in.
#[test]
fn a_key_that_is_given_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = two_hosts(folder.path());
    let key = |name: &str| {
        let path = folder.path().join(name);
        let made = common::program::command().arg("cluster-key").output().unwrap();
        assert!(made.status.success() && made.stdout.len() == 65, "{made:?}");
        std::fs::write(&path, &made.stdout).unwrap();
        rustix::fs::chmod(&path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        (path.to_str().unwrap().to_owned(), String::from_utf8(made.stdout).unwrap())
    };
    let ((file, text), (other_file, _)) = (key("key"), key("other"));
    let data = |name: &str| folder.path().join(name);
    let stateless = ["--state", "none"];
    let with = |file: &'static str| [&stateless[..], &["--cluster-key-file", file]].concat();
    let mut zero = waiting(&data("a"), &hosts, ["2", "0"], &with(file.leak()));
    let mut stranger = process_of(&data("b"), &hosts, ["2", "1"], &with(other_file.leak()));
    zero.until("it says so", PATIENCE, |program| program.said().contains("is sent away"));
    stranger.until("it waits", PATIENCE, |program| program.said().contains("it has another key"));
    assert_eq!(zero.counted(), 0);
    drop(stranger);
    let args = [&SOURCE[..], &["-n", "2", "-h", &hosts], &stateless].concat();
    let variables = [("MINUTELY_CLUSTER_KEY", text.as_str()), ("MINUTELY_PROCESS", "1")];
    let one = Program::start(&data("c"), &args, &variables);
    zero.until("it reads", PATIENCE, |program| program.counted() > 0);
    assert!(!data("a").join("cluster-secret").exists() && !data("c").join("cluster-secret").exists());
    zero.stopped();
    one.ended(Duration::from_secs(10)).well();
}
