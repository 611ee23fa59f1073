//! Many clients of `--http` at once: the run does not wait for them, and their number costs no more than it may.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::poll;
use common::program::{PATIENCE, Program};
use common::web::{ask, get, json, serving, try_ask};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Set when dropped, however a test ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Keeps this many connections open that ask nothing, until `over`.
fn idle(address: &str, most: usize, over: &AtomicBool) {
    let mut sockets: Vec<TcpStream> = Vec::new();
    let mut byte = [0];
    while !over.load(Ordering::Relaxed) {
        // Nothing to read: it is still open.
        sockets.retain_mut(|socket| socket.read(&mut byte).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock));
        while sockets.len() < most {
            let Ok(socket) = TcpStream::connect(address) else { break };
            socket.set_nonblocking(true).unwrap();
            sockets.push(socket);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn more_idle_connections_than_open_files_do_not_stop_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let token = "correct.horse.battery.staple";
    let args = ["--source", "sim:?symbols=5&rate=100&history=2m", "--http", "127.0.0.1:0"];
    let program = Program::with_open_files(256, folder.path(), &args, &[("MINUTELY_HTTP_TOKEN", token)]);
    let (at, over) = (program.address(), AtomicBool::new(false));
    let bearer = format!("Authorization: Bearer {token}");
    poll("it is ready", PATIENCE, || (ask(&at, "GET /readyz", &[]).status == 200).then_some(()));
    // (Among so many callers one may be sent away before it is answered.)
    let answered = |path: &str| poll("an answer", PATIENCE, || try_ask(&at, &format!("GET {path}"), &[&bearer]).ok());
    let metric = |name: &str| -> u64 {
        let metrics = answered("/metrics").body;
        let line =
            metrics.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{metrics}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    std::thread::scope(|scope| {
        let _over = Over(&over);
        scope.spawn(|| idle(&at, 300, &over));
        poll("all places are taken", PATIENCE, || (metric("minutely_http_connections") >= 64).then_some(()));
        let (began, seen) = (Instant::now(), program.counted());
        let mut last = metric("minutely_commits_total");
        for _ in 0..3 {
            last = poll("it commits", PATIENCE, || Some(metric("minutely_commits_total")).filter(|seq| *seq > last));
            assert_eq!(answered("/healthz").status, 200);
        }
        poll("it reads", PATIENCE, || (program.counted() > seen).then_some(()));
        assert!(began.elapsed() < PATIENCE / 4, "three commits took {:?}", began.elapsed());
    });
    assert!(!program.said().contains("open files"), "{}", program.said());
    program.stopped();
}

#[test]
fn readers_that_do_not_read_cost_a_bounded_amount_of_memory() {
    const MOST: u64 = 256 << 20;
    let folder = tempfile::tempdir().unwrap();
    let (program, at) =
        serving(folder.path(), &["--source", "sim:?history=60m&symbols=1000&rate=300", "--sink", "stdout:"], &[]);
    poll("there are rows for a whole page", PATIENCE, || {
        let page = json(&at, "/api/minutes?limit=10000");
        (page["rows"].as_array().unwrap().len() == 10_000).then_some(())
    });
    let before = program.memory();
    // Most of them ask for more than the kernel holds.
    let asked = ["/api/minutes?format=csv", "/api/minutes?limit=10000", "/api/minutes?format=csv", "/api/stream"];
    let stalled: Vec<TcpStream> = (0..800)
        .map(|n| {
            let mut socket = TcpStream::connect(&at).unwrap();
            write!(socket, "GET {} HTTP/1.1\r\nHost: {at}\r\n\r\n", asked[n % 4]).unwrap();
            socket
        })
        .collect();
    // Whoever reads is served all the same, and whole.
    for _ in 0..10 {
        poll("it answers", PATIENCE, || {
            let answer = ask(&at, "GET /api/minutes?limit=10000", &[]);
            assert!(answer.status == 200 || answer.status == 503, "{}", answer.body);
            let page = (answer.status == 200).then(|| serde_json::from_str::<serde_json::Value>(&answer.body).unwrap());
            page.map(|page| assert_eq!(page["rows"].as_array().unwrap().len(), 10_000))
        });
        let grown = program.memory().saturating_sub(before);
        assert!(grown < MOST, "{} MiB more", grown >> 20);
    }
    assert_eq!(get(&at, "/healthz"), "ok");
    drop(stalled);
    program.stopped();
}
