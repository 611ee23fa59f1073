//! What the whole program says and does about records, files and names that are not as they should be.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::poll;
use common::program::{PATIENCE, Program, command};
use common::rows::letters;
use common::web::{ask, json};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A run over one file with this content, into a CSV file.
fn over(home: &Path, content: &[u8], more: &[&str]) -> common::program::Ended {
    std::fs::write(home.join("ticks.jsonl"), content).unwrap();
    let source = format!("file:{}", home.join("ticks.jsonl").display());
    let sink = format!("csv:{}", home.join("m.csv").display());
    Program::run(&home.join("data"), &[&["--source", &source, "--sink", &sink][..], more].concat(), &[])
}

const TICK: &str = r#"{"symbol":"A","price":1,"ts":1767225600000}"#;

#[test]
fn rejected_records_are_explained() {
    let home = tempfile::tempdir().unwrap();
    let lines = [
        r#"{"symbol":"A","price":1}"#,
        r#"{"symbol":"A","price":"1,5","ts":1}"#,
        "",
        r#"{"symbol":"B","price":1}"#,
        TICK,
    ];
    let ended = over(home.path(), (lines.join("\n") + "\n").as_bytes(), &[]).well();
    assert_eq!((ended.done("counted"), ended.done("rejected")), (1, 4));
    for part in [
        "rejected: null ts ×2, first partition ticks.jsonl, offset 0: ts: expected a number of milliseconds, or a time such as \
         2026-01-05T08:00:00Z, found no such field (there are price, symbol); --time-field says which field that is",
        "rejected: type price ×1, first partition ticks.jsonl, offset 1",
        "rejected: json ×1, first partition ticks.jsonl, offset 2: expected one whole JSON text in UTF-8, found nothing (an empty record)",
    ] {
        assert!(ended.said.contains(part), "`{part}` is not in: {}", ended.said);
    }
    assert!(!ended.said.contains("NOTHING COUNTS"), "{}", ended.said);
    let letters = letters(&home.path().join("data"));
    let of = |n: usize| (letters[n]["field"].as_str(), letters[n]["found"].as_str().unwrap());
    assert_eq!(
        (of(0), of(1), of(2).0),
        ((Some("ts"), "no such field (there are price, symbol)"), (Some("price"), "\"1,5\""), None)
    );
}

/// First of all, before the sum that looks like any other.
#[test]
fn a_run_in_which_every_record_is_rejected_says_so_first() {
    let home = tempfile::tempdir().unwrap();
    let more = ["--time-field", "/t/ns", "--time-unit", "ns"];
    let ended = over(home.path(), format!("{TICK}\n{TICK}\n").as_bytes(), &more).well();
    let lines: Vec<&str> = ended.said.lines().filter(|line| !line.contains(" -> ")).collect();
    for part in
        ["NOTHING COUNTS: all 2 records that were read were rejected", "null /t/ns ×2", "offset 0", "--time-field"]
    {
        assert!(lines[0].contains(part), "`{part}` is not in: {}", lines[0]);
    }
    let done = lines.iter().position(|line| line.contains("done: 2 records read")).unwrap();
    assert!(done > 0);
}

#[test]
fn a_unit_of_event_time_that_is_not_plausible_is_said_once() {
    let home = tempfile::tempdir().unwrap();
    let seconds: String =
        (0..50).map(|n| format!("{{\"symbol\":\"A\",\"price\":1,\"ts\":{}}}\n", 1_767_225_600 + n)).collect();
    let ended = over(home.path(), seconds.as_bytes(), &[]).well();
    assert_eq!(ended.said.matches("all 50 event times are before 1990").count(), 1, "{}", ended.said);
    assert!(ended.said.contains("it would be of 2026: is --time-unit right (it would be s)?"), "{}", ended.said);
    assert_eq!(ended.done("counted"), 50, "reading goes on");
    let ended = over(home.path(), seconds.as_bytes(), &["--time-unit", "s", "--job", "right"]);
    assert!(!ended.said.contains("1990"), "{}", ended.said);
}

/// With its key, which is what was wrong.
#[test]
fn a_dead_letter_has_its_key() {
    let home = tempfile::tempdir().unwrap();
    let args = ["--source", "sim:?records=400&broken=20%&partitions=1", "--until-end", "--sink", "stdout:"];
    Program::run(home.path(), &args, &[]).well();
    let letters = letters(home.path());
    assert!(letters.len() > 20, "{}", letters.len());
    for letter in letters {
        let key = STANDARD.decode(letter["key"].as_str().unwrap()).unwrap();
        assert!(!key.is_empty() && key.is_ascii(), "{letter}");
        assert!(letter["expected"].is_string() && letter["found"].is_string(), "{letter}");
    }
}

/// `--max-keys` is about memory: names of 1 KiB count as five windows of ordinary ones.
#[test]
fn long_names_count_for_what_they_take() {
    let home = tempfile::tempdir().unwrap();
    let ticks = |width: usize| -> String {
        let tick = |n: usize| format!("{{\"symbol\":\"{n:0>width$}\",\"price\":1,\"ts\":1767225600000}}\n");
        (0..150).map(tick).collect()
    };
    over(home.path(), ticks(255).as_bytes(), &["--max-keys", "100"]).well();
    std::fs::remove_file(home.path().join("m.csv")).unwrap();
    let ended = over(home.path(), ticks(1024).as_bytes(), &["--max-keys", "100", "--job", "long"]);
    assert_eq!(ended.code, Some(70), "{}", ended.said);
    assert!(ended.said.contains("count as 750, for names are long"), "{}", ended.said);
}

/// Symbols of 5 MB, which once stood in memory for each of their windows.
#[test]
fn symbols_have_a_limit() {
    let home = tempfile::tempdir().unwrap();
    let long = "Q".repeat(5_000_000);
    let lines: Vec<String> =
        (0..6).map(|n| format!("{{\"symbol\":\"{long}{n}\",\"price\":1,\"ts\":1767225600000}}\n")).collect();
    let ended = over(home.path(), (lines.concat() + TICK).as_bytes(), &[]).well();
    assert_eq!((ended.done("counted"), ended.done("rejected")), (1, 6));
    assert!(ended.said.len() < 4000 && ended.said.contains("symbol symbol ×6"), "{}", ended.said);
    assert!(letters(&home.path().join("data")).iter().all(|letter| letter["reason"] == "symbol"));
}

/// What could steer a terminal, or forge a line.
fn hides(text: &str) -> bool {
    text.chars().any(|c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c))
}

#[test]
fn names_of_files_steer_no_terminal_and_forge_no_line() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("a\u{1b}]0;pwned\u{7}\nminutely: done: forged\u{202e}.jsonl");
    std::fs::write(&log, format!("{TICK}\n{TICK}\n")).unwrap();
    let source = format!("file:{}/*.jsonl", home.path().display());
    let (state, sink) = (home.path().join("s"), format!("csv:{}", home.path().join("m.csv").display()));
    let args = ["--source", &source, "--sink", &sink, "--state", state.to_str().unwrap()];
    Program::run(&home.path().join("data"), &args, &[]).well();
    std::fs::write(&log, "x\n").unwrap();
    let ended = Program::run(&home.path().join("data"), &args, &[]);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    assert!(ended.said.contains("a\\u{1b}]0;pwned\\u{7}\\nminutely: done: forged\\u{202e}.jsonl"), "{}", ended.said);
    assert!(!hides(&ended.said) && !ended.said.contains("\nminutely: done: forged"), "{:?}", ended.said);
    for what in [&["show"][..], &["show", "--json"], &["check"]] {
        let shown = command().arg("state").args(what).arg("--state").arg(&state).output().unwrap();
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(!text.is_empty() && !hides(&text) && !text.contains("\nminutely: done"), "{what:?}: {text:?}");
    }
}

#[test]
fn a_lock_is_a_file_of_ours_and_no_link() {
    let home = tempfile::tempdir().unwrap();
    let (state, victim) = (home.path().join("state"), home.path().join("victim"));
    std::fs::create_dir(&state).unwrap();
    std::fs::write(&victim, "precious\n").unwrap();
    std::os::unix::fs::symlink(&victim, state.join("lock")).unwrap();
    let args = ["--state", state.to_str().unwrap()];
    let ended = over(home.path(), TICK.as_bytes(), &args);
    assert_eq!(ended.code, Some(64), "{}", ended.said);
    assert!(ended.said.contains("its lock is not a regular file"), "{}", ended.said);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious\n");

    // What another lock says is shown as no more than a line.
    std::fs::remove_file(state.join("lock")).unwrap();
    std::fs::write(state.join("lock"), "\u{1b}]0;pwned\u{7}\u{1b}[31mprocess 1\nminutely: forged\n").unwrap();
    let lock = std::fs::File::open(state.join("lock")).unwrap();
    lock.lock().unwrap();
    let ended = over(home.path(), TICK.as_bytes(), &args);
    assert_eq!(ended.code, Some(78), "{}", ended.said);
    assert!(ended.said.contains("\\u{1b}[31mprocess 1\\nminutely: forged owns it"), "{}", ended.said);
    assert!(!hides(&ended.said), "{:?}", ended.said);
    drop(lock);
    over(home.path(), TICK.as_bytes(), &args).well();
}

#[test]
fn a_state_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    over(home.path(), TICK.as_bytes(), &["--job", "mine"]).well();
    let mode =
        |name: &str| std::fs::metadata(home.path().join("data/mine").join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("state"), mode("state/lock")), (0o700, 0o600));
}

#[test]
fn help_says_no_values_and_a_secret_that_others_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    for words in
        [&["--help"][..], &["-h"], &["help"], &["state", "show", "--help"], &["produce", "--help"], &["health", "-h"]]
    {
        let mut command = command();
        for name in ["SOURCE", "HTTP", "FROM", "TO", "SINK", "JOB"] {
            command.env(format!("MINUTELY_{name}"), "hunter2");
        }
        let help = String::from_utf8(command.args(words).output().unwrap().stdout).unwrap();
        assert!(help.contains("MINUTELY_") && !help.contains("hunter2"), "{help}");
    }
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    std::fs::write(&token, "0123456789012345678901234567890123456789\n").unwrap();
    let run = |mode| {
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).unwrap();
        let args =
            ["--job", "a", "--http-token-file", token.to_str().unwrap(), "--state", "none", "--http", "127.0.0.1:0"];
        let ended = over(home.path(), TICK.as_bytes(), &args).well();
        std::fs::remove_file(home.path().join("m.csv")).unwrap();
        ended.said.matches("can read the secret").count()
    };
    assert_eq!((run(0o644), run(0o600)), (1, 0));
}

/// One line that is longer than any may be: a dead letter with its beginning, and reading goes on behind it.
#[test]
fn a_line_that_is_too_long_is_one_dead_letter() {
    let home = tempfile::tempdir().unwrap();
    let mut content = format!("{TICK}\n{{\"symbol\":\"").into_bytes();
    content.resize(content.len() + (70 << 20), b'Q');
    let length = content.len() - TICK.len() - 1;
    content.extend(format!("\n{TICK}\n").bytes());
    let ended = over(home.path(), &content, &[]).well();
    assert_eq!((ended.done("counted"), ended.done("rejected")), (2, 1), "{}", ended.said);
    assert!(ended.said.contains("rejected: long ×1") && ended.said.len() < 4000, "{}", ended.said);
    let letter = letters(&home.path().join("data")).remove(0);
    assert_eq!((letter["offset"].as_i64(), letter["reason"].as_str()), (Some(1), Some("long")));
    assert_eq!(letter["raw_of_bytes"].as_u64(), Some(length as u64));
    let raw = STANDARD.decode(letter["raw"].as_str().unwrap()).unwrap();
    assert_eq!((raw.len(), &raw[..13]), (64 << 10, &b"{\"symbol\":\"QQ"[..]));
    // The next run knows the log again, also where that line was the last.
    std::fs::remove_file(home.path().join("m.csv")).unwrap();
    content.truncate(content.len() - TICK.len() - 1);
    for content in [&content[..], &[&content[..], TICK.as_bytes(), b"\n"].concat()] {
        let ended = over(home.path(), content, &["--job", "again"]);
        let again = over(home.path(), content, &["--job", "again"]).well();
        assert!(ended.code == Some(0) && again.said.contains("no new records"), "{} {}", ended.said, again.said);
    }
    std::fs::remove_file(home.path().join("m.csv")).unwrap();
    let fatal = over(home.path(), &content, &["--job", "fatal", "--state", "none", "--on-bad", "fatal"]);
    assert!(fatal.code == Some(65) && fatal.said.contains("offset 1: "), "{}", fatal.said);
}

#[test]
fn a_name_that_is_not_utf8_and_a_compressed_file() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(OsStr::from_bytes(b"t\xff.jsonl")), format!("{TICK}\n")).unwrap();
    std::fs::write(home.path().join("ticks.jsonl"), TICK).unwrap();
    let run = |sink: &str| {
        let (source, sink) =
            (format!("file:{}/t*.jsonl", home.path().display()), format!("csv:{}", home.path().join(sink).display()));
        Program::run(&home.path().join("data"), &["--source", &source, "--sink", &sink], &[])
    };
    let ended = run("a.csv").well();
    assert_eq!(ended.done("counted"), 2, "{}", ended.said);
    std::fs::write(home.path().join("tz.jsonl"), b"\x1f\x8b\x08\0garbage").unwrap();
    let ended = run("b.csv");
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    assert!(ended.said.contains("tz.jsonl: its gzip data is damaged or cut off"), "{}", ended.said);
}

/// Started from another folder, with another way to say where the data is, it goes on with the same dead letters.
#[test]
fn a_relative_data_folder_is_found_again() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("elsewhere")).unwrap();
    let source = format!("file:{}", home.path().join("ticks.jsonl").display());
    let run = |folder: &str, data: &str, more: &[&str]| {
        let mut command = command();
        command
            .args(["--source", &source, "--http", "none", "--sink", "stdout:", "--job", "j", "--data", data])
            .args(more);
        let done = command.current_dir(home.path().join(folder)).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    std::fs::write(home.path().join("ticks.jsonl"), format!("x\n{TICK}\n")).unwrap();
    assert_eq!(run("", "data", &[]).0, Some(0));
    std::fs::write(home.path().join("ticks.jsonl"), format!("x\n{TICK}\ny\n")).unwrap();
    let (code, said) = run("elsewhere", "../data", &[]);
    assert_eq!(code, Some(0), "{said}");
    let offsets: Vec<_> = letters(&home.path().join("data")).iter().map(|letter| letter["offset"].as_i64()).collect();
    assert_eq!(offsets, [Some(0), Some(2)], "neither lost nor twice");
    assert_eq!(std::fs::read_dir(home.path().join("elsewhere")).unwrap().count(), 0);

    // The folder may have been moved; a name in the state leads to no other file than one in it.
    std::fs::rename(home.path().join("data"), home.path().join("moved")).unwrap();
    assert_eq!(run("", "moved", &[]).0, Some(0));
    let state = home.path().join("moved/j/state");
    let (code, said) = run("", "other", &["--state", state.to_str().unwrap()]);
    assert!(
        code == Some(64) && said.contains("dead letters of this state are in") && said.contains("other/j"),
        "{said}"
    );

    // And a state that is not below the current folder is said with the whole path.
    let looked =
        command().args(["state", "show", "--job", "j"]).current_dir(home.path().join("elsewhere")).output().unwrap();
    let said = String::from_utf8(looked.stderr).unwrap();
    assert!(said.contains("/elsewhere/minutely-data/j/state") && looked.status.code() == Some(64), "{said}");
}

#[test]
fn an_input_file_that_is_gone_is_named_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("t1.jsonl"), format!("{TICK}\n")).unwrap();
    std::fs::write(home.path().join("t2.jsonl"), format!("{TICK}\n")).unwrap();
    let (source, sink) =
        (format!("file:{}/t*.jsonl", home.path().display()), format!("csv:{}", home.path().join("m.csv").display()));
    let run = || Program::run(&home.path().join("data"), &["--source", &source, "--sink", &sink], &[]);
    run().well();
    std::fs::remove_file(home.path().join("t1.jsonl")).unwrap();
    let ended = run();
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    for part in ["partition t1.jsonl was read by the run before (1 records)", "put it back", "--job NAME"] {
        assert!(ended.said.contains(part), "`{part}` is not in: {}", ended.said);
    }
}

#[test]
fn the_environment_is_read_as_it_was_meant_or_it_is_said() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("ticks.jsonl"), format!("{TICK}\n")).unwrap();
    let source = format!("file:{}", home.path().join("ticks.jsonl").display());
    let (a, b) = (home.path().join("a.csv"), home.path().join("b c.csv"));
    let run = |sinks: &str| {
        let env = [("MINUTELY_SINK", sinks), ("MINUTELY_WORKERS", "3"), ("MINUTELY_LATENES", "1m")];
        Program::run(&home.path().join("data"), &["--source", &source], &env)
    };
    let ended = run(&format!("csv:{} csv:{}", a.display(), b.display())).well();
    assert!(a.exists() && b.exists(), "{}", ended.said);
    assert!(ended.said.contains("MINUTELY_LATENES is in the environment"), "{}", ended.said);
    assert!(
        ended.said.contains("did you mean MINUTELY_LATENESS?") && !ended.said.contains("MINUTELY_WORKERS"),
        "{}",
        ended.said
    );
    let refused = run(&format!("csv:{},csv:{}", a.display(), b.display()));
    assert!(refused.code == Some(64) && refused.said.contains("separate sinks by spaces"), "{}", refused.said);
}

#[test]
fn usage_names_the_command_that_was_used() {
    let of = |words: &[&str]| {
        let done = command().args(words).output().unwrap();
        let text = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8(text).unwrap())
    };
    for (words, code, part) in [
        (&["health", "--help"][..], 0, "Usage: minutely health"),
        (&["produce", "--help"], 0, "Usage: minutely produce"),
        (&["help", "produce"], 0, "Usage: minutely produce"),
        (&["help"], 0, "Usage: minutely [OPTIONS]\n       minutely <COMMAND>"),
        (&["-h"], 0, "Usage: minutely [OPTIONS]\n       minutely <COMMAND>"),
        (&["-w", "2", "-h"], 0, "Usage: minutely"),
        (&["run", "-h"], 0, "Usage: minutely run [OPTIONS]"),
        (&["help", "run"], 0, "Usage: minutely run [OPTIONS]"),
        (&["state", "--help"], 0, "Usage: minutely state <COMMAND>"),
        (&["state", "-h"], 0, "Usage: minutely state <COMMAND>"),
        (&["state", "show", "-h"], 0, "Usage: minutely state show [OPTIONS]"),
        (&["help", "state", "check"], 0, "Usage: minutely state check [OPTIONS]"),
        (&["produce", "-h"], 0, "Usage: minutely produce [OPTIONS] --to <URI>"),
        (&["-V"], 0, "minutely 0."),
        (&["--version"], 0, "minutely 0."),
        (&["state", "--version"], 0, "minutely 0."),
        (&["state", "show", "-V"], 0, "minutely 0."),
        (&["produce", "-V"], 0, "minutely 0."),
        (&["-h", "hosts", "--wat"], 64, "unexpected argument '--wat'"),
        (&["-n", "2", "-h", "/no/such", "--http", "none"], 64, "-h /no/such: "),
        (&["produce"], 64, "arguments were not provided: --to <URI>; see `minutely produce --help`"),
        (&["--start", "beginning", "--http", "none"], 64, "takes earliest, latest, or a time"),
    ] {
        let (ended, text) = of(words);
        assert!(ended == Some(code) && text.contains(part), "{words:?}: {ended:?}: {text}");
    }
}

/// Wrong variables of one command do not disturb another.
#[test]
fn a_command_reads_its_own_variables() {
    let done = |words: &[&str]| {
        let mut command = command();
        command.args(words).env("MINUTELY_CLOSE", "perhaps").env("MINUTELY_WINDOW", "soon");
        let done = command.output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let (code, said) = done(&["health", "127.0.0.1:1"]);
    assert!(code == Some(69) && said.contains("http://127.0.0.1:1/healthz"), "{said}");
    let (code, said) = done(&["produce", "--to", "kafka://b:1/t", "--rate", "0"]);
    assert!(code == Some(64) && said.contains("--rate 0") && !said.contains("soon"), "{said}");
    for command in [&[][..], &["run"], &["state", "show"]] {
        let (code, said) = done(command);
        assert!(code == Some(64) && said.contains("MINUTELY_CLOSE perhaps: takes true or false"), "{said}");
        assert!(said.contains("in MINUTELY_WINDOW: --window soon: takes a duration"), "{said}");
    }
}

/// While it runs, too; and what the API says has the reasons.
#[test]
fn a_live_run_that_rejects_everything_says_so() {
    let home = tempfile::tempdir().unwrap();
    let args = [
        "--source",
        "sim:?rate=500&broken=50%&history=1m",
        "--value-field",
        "last",
        "--sink",
        "stdout:",
        "--state",
        "none",
        "--http",
        "127.0.0.1:0",
    ];
    let mut program = Program::start(home.path(), &args, &[]);
    program.until("it says so", PATIENCE, |program| program.said().contains("NOTHING COUNTS: all "));
    program.until("the line names reasons", PATIENCE, |program| {
        program.said().contains(" rejected (") && program.said().contains(" ×")
    });
    let address = program.address();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).unwrap();
    for part in [
        "minutely_dead_letters_total{reason=\"json\",field=\"\"}",
        "minutely_dead_letters_total{reason=\"null\",field=\"last\"}",
        "\nminutely_nothing_counts_bool 1\n",
    ] {
        assert!(metrics.contains(part), "{part}: {metrics}");
    }
    // It is alive, and not ready; who asks needs no token, so no text of a record is in the answer.
    let health = ask(&address, "GET /healthz", &[]);
    assert_eq!(health.status, 200);
    let ready = poll("it is not ready", PATIENCE, || {
        let ready = ask(&address, "GET /readyz", &[]);
        ready.body.contains("NOTHING COUNTS").then_some(ready)
    });
    assert_eq!(ready.status, 503);
    for said in [&health.body, &ready.body] {
        assert!(said.contains("NOTHING COUNTS: all ") && said.contains(" ×") && !said.contains("found"), "{said}");
    }
    let status = json(&address, "/api/status");
    assert_eq!(status["nothing_counts"]["why"], "rejected");
    assert!(status["nothing_counts"]["text"].as_str().unwrap().contains("first partition sim/"), "{status}");
    let letter = &status["dead_letters"]["recent"][0];
    assert!(letter["found"].is_string() && letter["key"].is_string() && letter["element"].is_null(), "{letter}");
    program.stopped();
}
