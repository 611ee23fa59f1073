//! What becomes of a run when one of its processes dies, stops or is cut off.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, PATIENCE, Program};
use common::{hosts, two_hosts};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SOURCE: [&str; 4] = ["--source", "sim:?symbols=5&rate=50&history=1m", "--sink", "stdout:"];

fn process(data: &Path, hosts: &str, of: [&str; 2], more: &[&str]) -> Program {
    Program::start(data, &[&SOURCE[..], &["-n", of[0], "-h", hosts, "-p", of[1]], more].concat(), &[])
}

/// Processes of a run that reads.
fn reading(data: &Path, hosts: &str, count: usize, more: &[&str]) -> Vec<Program> {
    let mut all: Vec<_> =
        (0..count).map(|at| process(data, hosts, [&count.to_string(), &at.to_string()], more)).collect();
    all[0].until("it reads", PATIENCE, |program| program.counted() > 0);
    all
}

/// With 69, and these words.
fn lost(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    parts.iter().for_each(|part| assert!(ended.said.contains(part), "`{part}` is not in: {}", ended.said));
}

/// Long before `--peer-timeout`, and each says which.
#[test]
fn a_process_that_is_killed_ends_the_others_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = hosts(folder.path(), 3);
    let mut all = reading(&folder.path().join("data"), &hosts, 3, &["--peer-timeout", "10m"]);
    let killed = all.remove(1);
    killed.signal("KILL");
    let began = Instant::now();
    for other in all {
        lost(&other.ended(Duration::from_secs(20)), &["process 1 at 127.0.0.1:", "its connection ended", "last at 20"]);
    }
    eprintln!("all ended after {:?}", began.elapsed());
}

#[test]
fn a_process_that_is_stopped_ends_the_others_after_the_time_out_and_a_short_pause_ends_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = two_hosts(folder.path());
    let mut all = reading(&folder.path().join("data"), &hosts, 2, &["--peer-timeout", "8s"]);
    let (one, mut zero) = (all.remove(1), all.remove(0));
    one.signal("STOP");
    let until = Instant::now() + Duration::from_secs(5);
    zero.until("the pause is over", PATIENCE, |_| Instant::now() > until);
    one.signal("CONT");
    let counted = zero.counted();
    zero.until("it counts more", PATIENCE, |program| program.counted() > counted + 100);
    one.signal("STOP");
    let ended = zero.ended(PATIENCE);
    lost(&ended, &["process 1 at 127.0.0.1:", "is lost: nothing was heard of it since 20", "--peer-timeout"]);
    one.signal("CONT");
    lost(&one.ended(PATIENCE), &["process 0 at 127.0.0.1:"]);
}

/// Process 0 itself pauses: it does not take what it did not hear meanwhile for the others' silence.
#[test]
fn a_process_that_paused_hears_the_others_before_it_judges() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = two_hosts(folder.path());
    let mut all = reading(&folder.path().join("data"), &hosts, 2, &["--peer-timeout", "6s"]);
    let (one, mut zero) = (all.remove(1), all.remove(0));
    for _ in 0..2 {
        let counted = zero.counted();
        zero.signal("STOP");
        let until = Instant::now() + Duration::from_secs(4);
        common::poll("the pause is over", PATIENCE, || (Instant::now() > until).then_some(()));
        zero.signal("CONT");
        zero.until("it counts more", PATIENCE, |program| program.counted() > counted + 100);
    }
    zero.stopped();
    one.ended(Duration::from_secs(10)).well();
}

/// A way to an address that can stop passing on what is sent, in one direction or both.
struct Proxy {
    address: String,
    to_server: Arc<AtomicBool>,
    to_caller: Arc<AtomicBool>,
}

impl Proxy {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (to_server, to_caller) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let cut = (Arc::clone(&to_server), Arc::clone(&to_caller));
        std::thread::spawn(move || {
            for caller in listener.incoming() {
                // It may not listen yet: the caller calls again.
                let (Ok(caller), Ok(server)) = (caller, TcpStream::connect(&server)) else { continue };
                let back = (server.try_clone().unwrap(), caller.try_clone().unwrap());
                pass(caller, server, Arc::clone(&cut.0));
                pass(back.0, back.1, Arc::clone(&cut.1));
            }
        });
        Proxy { address, to_server, to_caller }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, cut: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut some) {
            // A network that is cut says nothing, not even that a process has ended.
            while cut.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
            if to.write_all(&some[..n]).is_err() {
                break;
            }
        }
        while cut.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _gone = to.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
fn processes_that_are_cut_off_from_one_another_end_and_name_each_other() {
    for (both, what) in [(true, "both directions"), (false, "to process 0 alone")] {
        let folder = tempfile::tempdir().unwrap();
        let real = two_hosts(folder.path());
        let lines: Vec<String> = std::fs::read_to_string(&real).unwrap().lines().map(str::to_owned).collect();
        let proxy = Proxy::to(lines[0].clone());
        let through = folder.path().join("through");
        std::fs::write(&through, format!("{}\n{}\n", proxy.address, lines[1])).unwrap();
        let data = folder.path().join("data");
        let more = ["--peer-timeout", "4s"];
        let mut zero = process(&data, &real, ["2", "0"], &more);
        let one = process(&data, through.to_str().unwrap(), ["2", "1"], &more);
        zero.until("it reads", PATIENCE, |program| program.counted() > 0);
        proxy.to_server.store(true, Ordering::Relaxed);
        proxy.to_caller.store(both, Ordering::Relaxed);
        let ended = [zero, one].map(|program| program.ended(PATIENCE));
        lost(&ended[0], &["process 1 at 127.0.0.1:", "nothing was heard of it since 20"]);
        lost(&ended[1], &["process 0 at 127.0.0.1:"]);
        let says = if both { "nothing was heard of it since 20" } else { "ended the run: process 1 at" };
        assert!(ended[1].said.contains(says), "{what}: {}", ended[1].said);
        proxy.to_server.store(false, Ordering::Relaxed);
        proxy.to_caller.store(false, Ordering::Relaxed);
    }
}

/// Another run takes the state over: process 0 ends with its own code and reason, and the other repeats it.
#[test]
fn a_process_that_ends_the_run_tells_the_others_why() {
    let folder = tempfile::tempdir().unwrap();
    let (data, hosts) = (folder.path().join("data"), two_hosts(folder.path()));
    let mut all = reading(&data, &hosts, 2, &["--job", "ticks"]);
    let (one, zero) = (all.remove(1), all.remove(0));
    let mut other = Program::start(&data, &[&SOURCE[..], &["--job", "ticks", "--take-over"]].concat(), &[]);
    let ended = zero.ended(PATIENCE);
    assert_eq!(ended.code, Some(78), "{}", ended.said);
    lost(&one.ended(PATIENCE), &["process 0 at 127.0.0.1:", "ended the run: "]);
    other.until("it still runs", PATIENCE, |_| true);
    other.stopped();
}

/// What a process answers at this path: the status and the text; none while nobody listens.
fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let url = format!("http://{address}{path}");
    common::wait_for(async {
        let answer = reqwest::get(url).await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    })
}

#[test]
fn every_process_says_whether_it_is_ready_and_process_0_shows_all() {
    let folder = tempfile::tempdir().unwrap();
    let (data, hosts) = (folder.path().join("data"), two_hosts(folder.path()));
    let pages = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string());
    let until = |page: &str, status: u16, part: &str| {
        common::poll(part, PATIENCE, || {
            get(page, "/readyz").filter(|(code, text)| *code == status && text.contains(part))
        })
    };
    let one = process(&data, &hosts, ["2", "1"], &["--http", &pages[1]]);
    until(&pages[1], 503, "waits for process 0 of the run");
    let zero = process(&data, &hosts, ["2", "0"], &["--http", &pages[0]]);
    until(&pages[0], 200, "ready");
    until(&pages[1], 200, "ready");
    assert_eq!(get(&pages[1], "/healthz").unwrap().0, 200);
    assert_eq!(get(&pages[1], "/api/status").unwrap().0, 404, "it knows its own part alone");
    let processes = common::poll("bytes of both", PATIENCE, || {
        let status: serde_json::Value = serde_json::from_str(&get(&pages[0], "/api/status")?.1).unwrap();
        let all = status["processes"].as_array().unwrap().clone();
        let exchanged = |one: &serde_json::Value| {
            one["received_bytes"].as_u64() > Some(0) && one["step_age_ms"].is_u64() && one["read"].as_u64() > Some(0)
        };
        (all.len() == 2 && all.iter().all(exchanged)).then_some(all)
    });
    assert!(processes.iter().all(|one| one["alive"] == true), "{processes:?}");
    assert!(processes[0]["heard"].is_null() && processes[1]["heard"].is_number(), "{processes:?}");
    let metrics = get(&pages[0], "/metrics").unwrap().1;
    assert!(metrics.contains("minutely_process_alive_bool{process=\"1\"} 1\n"), "{metrics}");
    zero.stopped();
    one.ended(Duration::from_secs(10)).well();
}
