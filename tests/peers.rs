//! What becomes of a run when one of its processes dies, stops or is cut off.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, PATIENCE, Program};
use common::{hosts, now, rfc3339, two_hosts};
use minutely_dataflows::time::SECOND;
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

/// A setting of the unit for a process of several.
fn of_unit(name: &str) -> String {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/minutely@.service");
    let text = std::fs::read_to_string(unit).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("the unit has no {name}")).to_owned()
}

/// A process that is started again whenever it ends, as the unit says.
struct Supervised {
    program: Option<Program>,
    start: Box<dyn Fn() -> Program>,
    /// When it was last seen to have ended.
    ended: Instant,
    started: Instant,
    starts: u32,
    /// How it ended, each time but when it was killed.
    codes: Vec<i32>,
}

impl Supervised {
    fn of(start: impl Fn() -> Program + 'static) -> Self {
        let (program, now) = (Some(start()), Instant::now());
        Supervised { program, start: Box::new(start), ended: now, started: now, starts: 1, codes: Vec::new() }
    }

    fn look(&mut self, restart: Duration) {
        if let Some(program) = self.program.take_if(|program| program.has_ended()) {
            self.ended = Instant::now();
            self.codes.extend(program.ended(PATIENCE).code);
        }
        if self.program.is_none() && self.ended.elapsed() >= restart {
            self.program = Some((self.start)());
            (self.started, self.starts) = (Instant::now(), self.starts + 1);
        }
    }
}

/// The goal of a restart: from when the last process is there again until all are ready, and something more is committed.
const GOING_AGAIN: Duration = Duration::from_secs(10);

/// Each of three is killed in its turn, and the others end with 69: a supervisor has the run going again, with every option of peers as it is by default.
#[test]
fn a_run_is_going_again_soon_after_the_last_process_has_returned() {
    assert_eq!(of_unit("Restart"), "always");
    let restart = Duration::from_secs(of_unit("RestartSec").parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (data, hosts) = (folder.path().join("data"), hosts(folder.path(), 3));
    let pages: Vec<String> =
        (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()).collect();
    let mut all: Vec<Supervised> = (0..3)
        .map(|at| {
            let (data, hosts, page) = (data.clone(), hosts.clone(), pages[at].clone());
            Supervised::of(move || process(&data, &hosts, ["3", &at.to_string()], &["--http", &page]))
        })
        .collect();
    let ready = || pages.iter().all(|page| get(page, "/readyz").is_some_and(|(code, _)| code == 200));
    let manifests = || {
        let number = |path: &std::path::PathBuf| path.to_str()?.split_once("manifest/")?.1.parse::<u64>().ok();
        common::program::files(&data).iter().filter_map(number).max().unwrap_or(0)
    };
    common::poll("all are ready", PATIENCE, || ready().then_some(()));
    for killed in 0..3 {
        let starts: Vec<u32> = all.iter().map(|one| one.starts).collect();
        let committed = manifests();
        all[killed].program.as_ref().unwrap().signal("KILL");
        common::poll("the run is going again", PATIENCE, || {
            all.iter_mut().for_each(|one| one.look(restart));
            let again = all.iter().zip(&starts).all(|(one, before)| one.starts > *before && one.program.is_some());
            (again && ready() && manifests() > committed).then_some(())
        });
        let took = all.iter().map(|one| one.started).max().unwrap().elapsed();
        let starts: Vec<u32> = all.iter().zip(&starts).map(|(one, before)| one.starts - before).collect();
        eprintln!("process {killed} was killed: going again {took:?} after the last one's return, starts {starts:?}");
        assert!(took <= GOING_AGAIN, "{took:?} after the last one's return, starts {starts:?}");
    }
    assert!(all.iter().all(|one| !one.codes.is_empty() && one.codes.iter().all(|code| *code == 69)));
    let programs: Vec<_> = all.into_iter().map(|one| one.program.unwrap()).collect();
    programs[0].terminate();
    programs.into_iter().for_each(|program| drop(program.ended(PATIENCE).well()));
}

/// A disk that hangs, a machine that is moved: with `--peer-timeout` as it is by default, 20 s end nobody, and what was counted is right.
#[test]
fn a_process_that_pauses_20_seconds_ends_nobody_and_the_rows_are_right() {
    if common::needs("a process that pauses 20 s", "MINUTELY_TEST_LONG").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, hosts) = (folder.path().join("data"), hosts(folder.path(), 3));
    let sink = format!("sqlite:{}", folder.path().join("minutes.db").display());
    let run = ["--source", "sim:?symbols=5&rate=50&history=1m&seed=7", "--sink", &sink, "--job", "paused"];
    let run = [&run[..], &["--window", "2s", "--lateness", "2s"]].concat();
    let started =
        |at: usize| Program::start(&data, &[&run[..], &["-n", "3", "-h", &hosts, "-p", &at.to_string()]].concat(), &[]);
    let mut all: Vec<_> = (0..3).map(started).collect();
    all[0].until("it reads", PATIENCE, |program| program.counted() > 0);
    for paused in [1, 0] {
        let began = now();
        all[paused].signal("STOP");
        let until = Instant::now() + Duration::from_secs(20);
        all[2].until("the pause is over", PATIENCE, |_| Instant::now() > until);
        all[paused].signal("CONT");
        let after = rfc3339(began.plus(30 * SECOND).0);
        all[0].until("it is through the pause", PATIENCE, |program| program.w() > after);
        all.iter_mut().for_each(|one| one.until("it still runs", PATIENCE, |_| true));
    }
    all[0].terminate();
    all.into_iter().for_each(|one| drop(one.ended(PATIENCE).well()));
    let mut verify = common::program::command();
    let output = verify.arg("verify").args(&run).arg("--data").arg(&data).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    // Two pauses and the minute before them, 5 symbols in windows of 2 s.
    let equal = said.split_once(" equal, 0 missing, 0 different, 0 extra").and_then(|(before, _)| {
        before.rsplit(|c: char| !c.is_ascii_digit() && c != ',').next()?.replace(',', "").parse::<u32>().ok()
    });
    assert!(equal.is_some_and(|rows| rows > 200), "{said}");
}
