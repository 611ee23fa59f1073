//! The whole program without servers: hostile logs in files at any number of workers, the built-in market, bad use.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command, files};
use common::rows::{Wanted, csv, csv_lines, letters, same, same_letters, sqlite};
use common::{draw_rule, poll, rfc3339, rule_args, seed, two_hosts};
use hostile::{Kind, Partition};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::SECOND;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// One file a partition, with or without a newline at the end.
fn write(rng: &mut fastrand::Rng, folder: &Path, log: &[Partition]) {
    for partition in log {
        let lines: Vec<&[u8]> = partition.records.iter().map(|r| r.payload.as_deref().unwrap()).collect();
        let mut text = lines.join(&b'\n');
        // A blank last line is a record only if a newline ends it.
        if !lines.is_empty() && (rng.bool() || lines.last().is_some_and(|line| line.is_empty())) {
            text.push(b'\n');
        }
        std::fs::write(folder.join(&partition.name.log), text).unwrap();
    }
}

#[test]
fn hostile_files_at_any_number_of_workers() {
    let mut rng = seed();
    for _ in 0..2 {
        let rule = draw_rule(&mut rng);
        let log = hostile::log(&mut rng, Kind::File, &rule, 6, 6000);
        let as_of = hostile::BEGAN.plus(1800 * SECOND);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write(&mut rng, folder.path(), &log);
        for workers in [1, 2, 3, 8] {
            let (market, changes) = (rng.bool(), rng.bool());
            eprintln!("workers {workers}, market {market}, changes {changes}");
            let wanted = Wanted::of(&log, &rule, Some(as_of), market);
            let (db, text) = (path(&format!("{workers}.db")), path(&format!("{workers}.csv")));
            let mut args = rule_args(&rule);
            let own = [
                ("--source", format!("file:{}", path("part-*.jsonl").display())),
                ("--sink", format!("sqlite:{}", db.display())),
                ("--sink", format!("csv:{}", text.display())),
                ("--as-of", rfc3339(as_of.0)),
                ("--emit", if changes { "changes" } else { "final" }.into()),
                ("--metrics", if market { "market" } else { "avg" }.into()),
                ("-w", workers.to_string()),
            ];
            args.extend(own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let data = path(&format!("data-{workers}"));
            let ended = Program::run(&data, &args, &[]).well();
            same("sqlite", &sqlite(&db), &wanted.rows);
            same("csv", &csv(&text), &wanted.rows);
            if !changes {
                assert_eq!(csv_lines(&text).len(), wanted.rows.len(), "one row a point");
            }
            same_letters(&letters(&data), &wanted.letters);
            let counts = wanted.counts;
            assert_eq!(ended.done("counted"), counts.counted, "{}", ended.said);
            assert_eq!(ended.done("late"), counts.late, "{}", ended.said);
            assert_eq!(ended.done("rejected"), counts.rejected, "{}", ended.said);
        }
    }
}

/// Runs it with a pipe for its rows.
fn piped(args: &[&str], data: &Path) -> std::process::Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minutely"));
    command
        .args(["--http", "none"])
        .args(args)
        .arg("--data")
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn rows_go_to_stdout_and_a_closed_pipe_ends_the_run_well() {
    let folder = tempfile::tempdir().unwrap();
    let market = ["--source", "sim:?records=20000&seed=7", "--sink", "stdout:", "--emit", "final"];
    let bounded = ["--until-end", "--as-of", "2026-01-05T15:00:00Z"];
    let out = piped(&[&market[..], &bounded].concat(), folder.path()).wait_with_output().unwrap();
    assert!(out.status.success());
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, out.stdout).unwrap();
    let counted: i64 = csv_lines(&path).iter().map(|(_, cells)| cells.count).sum();
    assert_eq!(counted, 20_000, "every record is in one row");

    let mut live = piped(&["--sink", "stdout:"], folder.path());
    let mut some = [0; 100];
    live.stdout.take().expect("piped").read_exact(&mut some).unwrap();
    // The pipe is closed now.
    common::poll("it ends", Duration::from_secs(30), || {
        live.try_wait().unwrap().map(|status| assert!(status.success()))
    });
}

#[test]
fn the_built_in_market_says_the_same_at_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("sim:?seed={}&late=2%&future=1%&broken=2%&duplicate=1%&churn=20%&lag=1:9m", fastrand::u32(..));
    eprintln!("{source}");
    let rows = |workers: &str| {
        let path = folder.path().join(format!("{workers}.csv"));
        let sink = format!("csv:{}", path.display());
        let args =
            ["--source", &source, "--until-end", "--as-of", "2026-03-04T05:06:07Z", "--sink", &sink, "-w", workers];
        let data = folder.path().join(format!("data-{workers}"));
        let ended = Program::run(&data, &args, &[]).well();
        assert!(ended.done("rejected") > 1000 && ended.done("late") > 1000, "{}", ended.said);
        assert_eq!(ended.done("counted"), csv(&path).values().map(|cells| cells.count).sum::<i64>());
        (csv(&path), letters(&data))
    };
    let one = rows("1");
    assert!(rows("5") == one && rows("2") == one);
}

#[test]
fn killed_at_any_moment_it_goes_on_at_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = seed();
    let source = format!("sim:?seed={}&history=3h&rate=2000&late=1%&broken=1%&lag=1:9m", rng.u32(..));
    let run = |name: &str, workers: &str| {
        let data = folder.path().join(name);
        let path = |file: &str| folder.path().join(format!("{name}.{file}"));
        let sinks = [format!("csv:{}", path("csv").display()), format!("sqlite:{}", path("db").display())];
        let fixed =
            ["--until-end", "--as-of", "2026-03-04T05:06:07Z", "--emit", "final", "--checkpoint-interval", "20ms"];
        let args = ["--source", &source, "--sink", &sinks[0], "--sink", &sinks[1], "-w", workers, "--job", "job"];
        Program::start(&data, &[&args[..], &fixed].concat(), &[])
    };
    let state = folder.path().join("killed/job/state");
    let check = || {
        let checked = command().args(["state", "check", "--state"]).arg(&state).output().unwrap();
        let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
        assert!(said.starts_with("ok: ") || said.contains("there is none"), "{said}");
        said
    };
    let whole = run("whole", "2").ended(common::program::PATIENCE).well();
    let mut kills = 0;
    let ended = loop {
        let program = run("killed", ["1", "2", "3", "5"][rng.usize(..4)]);
        if kills < 6 {
            std::thread::sleep(Duration::from_millis(rng.u64(50..1200)));
            drop(program); // kill -9
            check();
            kills += 1;
            continue;
        }
        break program.ended(common::program::PATIENCE).well();
    };
    let path = |name: &str| folder.path().join(name);
    assert_eq!(ended.done("counted"), whole.done("counted"), "{}", ended.said);
    assert_eq!(csv(&path("killed.csv")), csv(&path("whole.csv")));
    assert_eq!(csv_lines(&path("killed.csv")).len(), csv(&path("whole.csv")).len(), "one row a point");
    assert_eq!(sqlite(&path("killed.db")), sqlite(&path("whole.db")));
    assert_eq!(letters(&path("killed")), letters(&path("whole")));
    let again = run("killed", "4").ended(common::program::PATIENCE).well();
    assert!(again.said.contains("no new records"), "{}", again.said);
    assert!(check().starts_with("ok: "));
    assert!(files(&state).iter().all(|file| !file.to_string_lossy().contains('#')), "nothing half written is left");
}

#[test]
fn a_file_may_grow_between_runs_and_must_not_change() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ticks.jsonl");
    let tick = |cents: i64, second: i64| {
        let ms = (hostile::BEGAN.0 / SECOND + second) * 1000;
        format!("{{\"symbol\":\"A\",\"price\":{cents},\"ts\":{ms}}}\n")
    };
    let lines = |cents: i64, seconds: std::ops::Range<i64>| seconds.map(|s| tick(cents, s)).collect::<String>();
    let source = format!("file:{}", log.display());
    let sink = format!("sqlite:{}", folder.path().join("m.db").display());
    let run = |more: &[&str]| {
        let args = ["--source", &source, "--sink", &sink, "--job", "grows", "--keep-open", "-w", "2"];
        Program::run(folder.path(), &[&args[..], more].concat(), &[])
    };
    std::fs::write(&log, lines(1, 0..1000)).unwrap();
    assert_eq!(run(&[]).well().done("counted"), 1000);
    // The last line is half written: it is left to the next run.
    std::fs::write(&log, lines(1, 0..1500) + "{\"symbol\"").unwrap();
    let ended = run(&[]).well();
    assert_eq!((ended.done("counted"), ended.done("rejected")), (1500, 0), "{}", ended.said);
    assert!(ended.said.contains("its last record has no end: it may be half written"), "{}", ended.said);
    std::fs::write(&log, lines(1, 0..1500) + "{\"symbol\":\"A\"}\n" + &lines(1, 1500..2000)).unwrap();
    let ended = run(&[]).well();
    assert_eq!((ended.done("counted"), ended.done("rejected")), (2000, 1), "{}", ended.said);

    std::fs::write(&log, lines(1, 0..1500) + &lines(2, 1500..2500)).unwrap();
    run(&[]).refused(
        65,
        &["ticks.jsonl", "records before offset 2001 are not those that were read", "--accept-changed-log"],
    );
    let ended = run(&["--accept-changed-log"]).well();
    assert!(ended.said.contains("a changed log is accepted"), "{}", ended.said);
    assert_eq!(ended.done("counted"), 2499, "from line 2001 on: {}", ended.said);
}

/// Without `--keep-open` a last line without its end counts as it stands, and is remembered: once it is longer, the log is another one.
#[test]
fn a_last_line_that_counted_and_has_grown_is_another_record() {
    for (name, options) in [("a.csv", &["--format", "csv", "--columns", "ts,symbol,price"][..]), ("a.jsonl", &[])] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join(name);
        let line = |price: &str| match name {
            "a.csv" => format!("{},A,{price}", hostile::BEGAN.0 / 1_000_000),
            _ => format!("{{\"ts\":{},\"symbol\":\"A\",\"price\":{price}}}", hostile::BEGAN.0 / 1_000_000),
        };
        let (source, sink) =
            (format!("file:{}", log.display()), format!("csv:{}", folder.path().join("m.csv").display()));
        let run = |more: &[&str]| {
            let args = ["--source", &source, "--sink", &sink, "--job", "grows", "-w", "2"];
            Program::run(folder.path(), &[&args[..], options, more].concat(), &[])
        };
        let begun = format!("{}\n{}", line("10.5"), line("12"));
        std::fs::write(&log, &begun).unwrap();
        assert_eq!(run(&[]).well().done("counted"), 2);
        let rows = csv_lines(&folder.path().join("m.csv"));
        // Its line end is none of it, be it one byte or two.
        for end in ["", "\n", "\r\n"] {
            std::fs::write(&log, format!("{begun}{end}")).unwrap();
            assert!(run(&[]).well().said.contains("no new records"), "{end:?}");
        }
        let grown = if name == "a.csv" { format!("{begun}34.5\n") } else { format!("{begun}, \n") };
        std::fs::write(&log, grown + &line("11") + "\n").unwrap();
        run(&[]).refused(65, &[name, "records before offset 2 are not those that were read: the one at 1 is another"]);
        // And a file that is too short is found before a sink is touched.
        std::fs::write(&log, line("10.5")).unwrap();
        run(&["--accept-changed-log"])
            .refused(65, &[name, "fewer records than the 2 that were read before", "--job NAME"]);
        assert_eq!(csv_lines(&folder.path().join("m.csv")), rows);
        std::fs::write(&log, format!("{begun}\n{}\n", line("11"))).unwrap();
        assert_eq!(run(&[]).well().done("records"), 3);
    }
}

#[test]
fn a_live_run_stops_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("m.db");
    let sink = format!("sqlite:{}", db.display());
    let args = ["--source", "sim:?rate=2000", "--sink", &sink, "-w", "2"];
    let mut program = Program::start(folder.path(), &args, &[]);
    program.until("it counts", Duration::from_secs(60), |program| program.counted() > 0);
    let ended = program.stopped();
    let forgotten: i64 = sqlite(&db).values().map(|cells| cells.count).sum();
    assert_eq!(forgotten, ended.done("counted"), "what was counted is in the rows: {}", ended.said);
}

#[test]
fn processes_of_a_run_find_one_another_and_nobody_else() {
    const SOURCE: &str = "sim:?symbols=4&rate=100&records=20000&history=10m";
    let folder = tempfile::tempdir().unwrap();
    let hosts = two_hosts(folder.path());
    let alone =
        ["--source", SOURCE, "--until-end", "--as-of", "2026-01-05T10:00:00Z", "--emit", "final", "--sink", "stdout:"];
    let args = |more: &[&'static str]| -> Vec<String> {
        let words = [&alone[..], &["-n", "2", "-h", &hosts], more].concat();
        words.into_iter().map(str::to_owned).collect()
    };
    let start = |data: &str, more: &[&'static str]| {
        let args = args(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Program::start(&folder.path().join(data), &args, &[])
    };
    let waits = |program: &mut Program| program.until("it waits", PATIENCE, |program| program.said().contains(" -> "));

    // Alone, it has nothing to bring to an end.
    let mut waiting = start("waiting", &["-p", "0"]);
    waits(&mut waiting);
    let ended = waiting.stopped();
    assert!(ended.said.contains("stopped before it began"), "{}", ended.said);

    // Somebody else calls first, and is not taken for the other process; one that was started otherwise is told.
    let mut first = start("unlike", &["-p", "0", "-w", "2"]);
    waits(&mut first);
    let address = std::fs::read_to_string(&hosts).unwrap().lines().next().unwrap().to_owned();
    let mut stranger = poll("it listens", PATIENCE, || TcpStream::connect(&address).ok());
    stranger.write_all(&[0; 64]).unwrap();
    first.until("it says so", PATIENCE, |program| program.said().contains("is sent away"));
    let second = start("unlike", &["-p", "1", "-w", "3"]);
    for (program, differs) in [(first, "-w 3 (here 2)"), (second, "-w 2 (here 3)")] {
        let ended = program.ended(PATIENCE);
        assert_eq!(ended.code, Some(64), "{}", ended.said);
        assert!(ended.said.contains(differs), "{}", ended.said);
    }
    let unlike = [start("other", &["-p", "0"]), start("other", &["-p", "1", "--lateness", "1m"])];
    for program in unlike {
        let ended = program.ended(PATIENCE);
        assert_eq!(ended.code, Some(64), "{}", ended.said);
        assert!(ended.said.contains("another option"), "{}", ended.said);
    }

    // Nothing but rows is on stdout, and they are those of one process.
    let running = |data: &str, args: &[String]| {
        let mut command = command();
        command.args(args).arg("--data").arg(folder.path().join(data)).args(["--http", "none"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let rows_of = |run: Child| {
        let done = run.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(text.starts_with("symbol,minute,"), "{text}");
        text.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let first = running("two", &args(&["-p", "0"]));
    let second = start("two", &["-p", "1"]);
    let of_two = rows_of(first);
    second.ended(PATIENCE).well();
    assert_eq!(rows_of(running("one", &alone.map(str::to_owned))), of_two);
    assert!(of_two.len() > 4, "{of_two:?}");
}

/// Refused in one paragraph, with nothing written.
fn refused(args: &[&str], code: i32, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    Program::run(&folder.path().join("data"), args, &[]).refused(code, parts);
    assert_eq!(files(folder.path()), Vec::<std::path::PathBuf>::new(), "nothing is written");
}

#[test]
fn bad_use_says_what_to_do() {
    refused(&["--wat"], 64, &["unexpected argument '--wat'", "minutely --help"]);
    refused(&["frob"], 64, &["unrecognized subcommand 'frob'", "minutely --help"]);
    refused(&["--window", "soon"], 64, &["--window soon", "such as 500ms, 90s, 1h30m or 1d"]);
    refused(&["--source", "file:/nowhere/*.jsonl"], 64, &["no file matches"]);
    refused(&["--sink", "csv:/nowhere/x.csv"], 64, &["/nowhere", "make the folder first"]);
    refused(&["--sink", "influxdb1:nowhere"], 64, &["give it as influxdb1://host:port/db"]);
    refused(&["--state", "ftp://bucket/x"], 64, &["--state ftp://bucket/x", "takes a folder"]);
    refused(&["state", "frob"], 64, &["unrecognized subcommand 'frob'", "minutely state --help"]);
    refused(&["--latenes", "1m"], 64, &["unexpected argument '--latenes'", "'--lateness'"]);
    refused(&["--json"], 64, &["unexpected argument '--json'", "minutely --help"]);
    refused(&["state", "check", "--json"], 64, &["unexpected argument '--json'", "minutely state check --help"]);
    refused_words([OsStr::new("--sink"), OsStr::from_bytes(b"csv:/data/\xe9.csv")], 64, "is not UTF-8");
    let several =
        "'minutely state' requires a subcommand but one was not provided; [subcommands: show, check, rebuild, help]";
    refused_words(["state"].map(OsStr::new), 64, several);
    refused_words(["health", "nonsense"].map(OsStr::new), 64, "HOST:PORT");
    refused_words(["health", "none"].map(OsStr::new), 64, "serves nothing");
    refused_words(["health", "--wat"].map(OsStr::new), 64, "unexpected argument '--wat'");
    for command in ["show", "check", "rebuild"] {
        refused(&["state", command], 64, &["there is none"]);
        refused(&["state", command, "--state", "none"], 64, &["--state none"]);
    }
    refused(&["--config", "x.toml"], 64, &["--config x.toml: No such file"]);
    refused(&["--symbol-field", "@key", "--source", "file:/dev/null"], 64, &["have no keys"]);
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs.csv");
    std::fs::write(&theirs, "a,b\n1,2\n").unwrap();
    let (csv, db) = (format!("csv:{}", theirs.display()), format!("sqlite:{}", theirs.display()));
    refused(&["--sink", &csv], 64, &["theirs.csv", "not of this run", "choose another path"]);
    refused(&["--sink", &db], 64, &["theirs.csv"]);
    assert_eq!(std::fs::read(&theirs).unwrap(), b"a,b\n1,2\n");
}

fn refused_words<const N: usize>(words: [&OsStr; N], code: i32, part: &str) {
    let done = command().args(words).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{said}");
    assert!(said.contains(part) && said.lines().count() == 1, "{said}");
}

#[test]
fn no_password_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let misspelt = format!("sasl.pasword=file:{}", secret.display());
    let s3 = ["--state", "s3://key:hunter2@bucket/prefix"];
    let twice = "influxdb://me:hunter2@host:8086/org/bucket";
    for words in [
        &["--source", "kafka://alice:hunter2@b:9092/t"][..],
        &["--source", "redis://alice:hunter2@b:9092/t"],
        &["--source", "kafka://b:9092/t", "-X", &misspelt],
        &["--sink", twice, "--sink", twice],
        &s3,
        &["produce", "--to", "kafka://alice:hunter2@b:9092/t"],
        &["produce", "--to", "kafka://alice:hunter2@b:9092/t,u"],
        &["produce", "--to", "kafka://b:9092/t", "-X", &misspelt],
    ] {
        let done =
            command().args(words).args(["--http", "none"].iter().filter(|_| words[0] != "produce")).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(64), "{words:?}: {said}");
        assert!(!said.contains("hunter2"), "{words:?}: {said}");
    }
}

#[test]
fn bad_data_ends_the_run_if_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ticks.jsonl");
    std::fs::write(&log, "{\"symbol\":\"A\",\"price\":1,\"ts\":1}\n{\"symbol\":\"A\"}\n").unwrap();
    let (source, sink) = (format!("file:{}", log.display()), format!("csv:{}", folder.path().join("m.csv").display()));
    let args = ["--source", &source, "--sink", &sink, "--metrics", "avg"];
    let ended = Program::run(&folder.path().join("a"), &[&args[..], &["--on-bad", "fatal"]].concat(), &[]);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    for part in ["ticks.jsonl, offset 1", "(null; price: expected a number", "--on-bad dead-letter"] {
        assert!(ended.said.contains(part), "{part}: {}", ended.said);
    }
    std::fs::remove_file(folder.path().join("m.csv")).unwrap();
    Program::run(&folder.path().join("b"), &args, &[]).well();
    let rows = csv_lines(&folder.path().join("m.csv"));
    assert_eq!(rows.last().unwrap().1.state, "final");
}

#[test]
fn windows_stay_open_if_asked() {
    let rule = Rule::default();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ticks.jsonl");
    let tick = |second: i64| {
        format!("{{\"symbol\":\"A\",\"price\":1,\"ts\":{}}}\n", (hostile::BEGAN.0 / SECOND + second) * 1000)
    };
    std::fs::write(&log, [0, 60, 60 + rule.windowing.lateness / SECOND].map(tick).concat()).unwrap();
    let db = folder.path().join("m.db");
    let (source, sink) = (format!("file:{}", log.display()), format!("sqlite:{}", db.display()));
    Program::run(folder.path(), &["--source", &source, "--sink", &sink, "--keep-open"], &[]).well();
    let states: Vec<_> = sqlite(&db).into_values().map(|cells| cells.state).collect();
    assert_eq!(states, ["final", "closed", "open"]);
}

#[test]
fn a_run_in_which_nothing_counts_stores_its_dead_letters() {
    for state in [&[][..], &["--state", "none"]] {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("ticks.jsonl");
        std::fs::write(&log, "{\"symbol\":\n".repeat(50)).unwrap();
        let (source, sink) =
            (format!("file:{}", log.display()), format!("csv:{}", folder.path().join("m.csv").display()));
        let args = ["--source", &source, "--sink", &sink, "--emit", "final", "--job", "job"];
        let ended = Program::run(folder.path(), &[&args[..], state].concat(), &[]).well();
        assert_eq!(ended.done("rejected"), 50);
        let letters =
            files(&folder.path().join("job")).into_iter().find(|path| path.extension() == Some("jsonl".as_ref()));
        let path = folder.path().join("job").join(letters.expect("a file of dead letters"));
        assert!(ended.said.contains(&path.display().to_string()), "{}", ended.said);
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 50);
    }
}

#[test]
fn a_file_that_grows_is_taken_for_a_log_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ticks.jsonl");
    let db = folder.path().join("m.db");
    let (source, sink) = (format!("file:{}", log.display()), format!("sqlite:{}", db.display()));
    let night = |nights: i64, more: &[&str]| {
        let ms = |second: i64| (hostile::BEGAN.0 / SECOND + second) * 1000;
        let tick = |second| format!("{{\"symbol\":\"A\",\"price\":1,\"ts\":{}}}\n", ms(second));
        std::fs::write(&log, (0..nights * 100).map(tick).collect::<String>()).unwrap();
        let args = ["--source", &source, "--sink", &sink, "--job", "nights"];
        Program::run(folder.path(), &[&args[..], more].concat(), &[]).well()
    };
    let first = night(1, &[]);
    assert_eq!((first.done("late"), first.said.contains("left open")), (0, false), "for all that is known it is whole");
    let second = night(2, &[]);
    assert_eq!(second.done("late"), 20, "of the minute that the first night closed");
    assert!(second.said.contains("grown since a run closed their windows: ticks.jsonl"), "{}", second.said);
    for (nights, counted) in [(3, 280), (4, 380)] {
        let next = night(nights, &[]);
        assert_eq!((next.done("late"), next.done("counted")), (20, counted), "{}", next.said);
        assert!(next.said.contains("left open: ") && !next.said.contains("grown since"), "{}", next.said);
    }
    let last = night(4, &["--close"]);
    assert!(!last.said.contains("left open"), "{}", last.said);
    let rows = sqlite(&db);
    assert!(rows.values().all(|cells| cells.state == "final"), "{rows:?}");
    assert_eq!(rows.values().map(|cells| cells.count).sum::<i64>(), 380);
    let opposite = ["--source", &source, "--sink", &sink, "--close", "--keep-open"];
    Program::run(folder.path(), &opposite, &[]).refused(64, &["--keep-open --close: contradict each other"]);
}

#[test]
fn more_series_than_memory_may_hold_at_once_are_read_to_their_end() {
    const SERIES: usize = 1000;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ticks.jsonl");
    let began = hostile::BEGAN.0 / 1_000_000;
    let minute = |minute: i64| {
        let tick = move |n| format!("{{\"symbol\":\"d{n:04}\",\"price\":{n},\"ts\":{}}}\n", began + minute * 60_000);
        (0..SERIES).map(tick).collect::<String>()
    };
    std::fs::write(&log, (0..80).map(minute).collect::<String>()).unwrap();
    let arrays = folder.path().join("arrays.jsonl");
    let array = |of: i64| format!("[{}]\n", minute(of).trim_end().replace('\n', ","));
    std::fs::write(&arrays, (0..80).map(array).collect::<String>()).unwrap();
    let out = folder.path().join("m.csv");
    let sink = format!("csv:{}", out.display());
    // Eleven minutes have to be held. What is too much is not waited for: neither for the next cut that is due, nor for as many
    // records as an epoch may have.
    for (job, workers, log, more) in [
        ("one", "1", &log, &["--checkpoint-interval", "1s"][..]),
        ("three", "3", &log, &["--checkpoint-interval", "60s"]),
        ("arrays", "2", &arrays, &["--checkpoint-interval", "60s", "--each", ""]),
    ] {
        let source = format!("file:{}", log.display());
        let args = ["--source", &source, "--sink", &sink, "--emit", "final", "--metrics", "avg", "--max-keys", "15000"];
        let args = [&args[..], &["--job", job, "-w", workers], more].concat();
        let ended = Program::run(folder.path(), &args, &[]).well();
        assert_eq!(ended.done("counted"), 80_000, "{}", ended.said);
        assert_eq!(csv(&out).len(), 80_000);
        std::fs::remove_file(&out).unwrap();
    }
}

/// Records of one symbol, a minute each, with prices 1.5, 3, 4.5, …: the exact sum of the first `n` is 0.75 n (n + 1).
fn feed(records: i64) -> Vec<String> {
    let record = |n: i64| {
        let (ts, price) = (1_772_000_000_000 + n * 60_000, 3 * n + 3);
        format!(r#"{{"symbol":"ÖMV","price":{}.{},"ts":{ts},"volume":2}}"#, price / 2, price % 2 * 5)
    };
    (0..records).map(record).collect()
}

/// All that a run says of a feed of so many records.
fn same_feed(db: &Path, records: i64) {
    let rows = sqlite(db);
    let sum: f64 = rows.values().map(|cells| cells.sum.parse::<f64>().unwrap()).sum();
    let counted: i64 = rows.values().map(|cells| cells.count).sum();
    let minutes = i64::try_from(rows.len()).unwrap();
    assert_eq!((minutes, counted, sum * 4.0), (records, records, (3 * records * (records + 1)) as f64));
    assert!(rows.keys().all(|(_, symbol)| symbol == "ÖMV"), "{rows:?}");
    assert!(rows.values().all(|cells| cells.state == "final"), "{rows:?}");
}

fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn files_are_read_by_what_is_in_them() {
    const RECORDS: i64 = 50;
    let feed = feed(RECORDS);
    let lines = feed.join("\n") + "\n";
    let indented = format!("[\n  {}\n]\n", feed.join(",\n  ").replace(",\"price", ",\n    \"price"));
    let utf_16: Vec<u8> =
        [0xfeff].into_iter().chain(lines.replace('\n', "\r\n").encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let (first, second) = lines.split_at(lines.find("\n").unwrap() + 1);
    for (name, bytes, rejected) in [
        ("marked.jsonl", format!("\u{feff}{lines}").into_bytes(), 0),
        ("windows.jsonl", lines.replace('\n', "\r\n").into_bytes(), 0),
        ("utf16.jsonl", utf_16.clone(), 0),
        ("array.json", format!("[{}]", feed.join(", ")).into_bytes(), 0),
        ("indented.json", indented.clone().into_bytes(), 0),
        ("firehose", feed.concat().into_bytes(), 0),
        ("half.jsonl", format!("{lines}{{\"symbol\":\"ÖMV\",\"price\":1.5,\"ts\"").into_bytes(), 1),
        ("a.jsonl.gz", [gzipped(first.as_bytes()), gzipped(second.as_bytes())].concat(), 0),
        ("named otherwise", gzipped(&utf_16), 0),
        ("indented.json.gz", gzipped(indented.as_bytes()), 0),
        ("a.jsonl.zst", zstd::encode_all(lines.as_bytes(), 3).unwrap(), 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (log, db) = (folder.path().join(name), folder.path().join("m.db"));
        std::fs::write(&log, bytes).unwrap();
        let (source, sink) = (format!("file:{}", log.display()), format!("sqlite:{}", db.display()));
        let args = ["--source", &source, "--sink", &sink, "-w", "2"];
        let ended = Program::run(&folder.path().join("data"), &args, &[]).well();
        assert_eq!((ended.done("counted"), ended.done("rejected")), (RECORDS, rejected), "{name}: {}", ended.said);
        same_feed(&db, RECORDS);
        // Another run finds nothing new, and the last record where it was.
        let again = Program::run(&folder.path().join("data"), &args, &[]).well();
        assert!(again.said.contains("no new records") && again.done("late") == 0, "{name}: {}", again.said);
    }
}

#[test]
fn a_folder_is_all_files_below_it_and_a_note_among_them_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let feed = feed(30);
    std::fs::create_dir_all(folder.path().join("in/2026/02")).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join("in").join(name), bytes).unwrap();
    write("a.jsonl", (feed[..10].join("\n")).as_bytes());
    write("2026/b.jsonl.gz", &gzipped(feed[10..20].join("\n").as_bytes()));
    write("2026/02/c.json", format!("[{}]", feed[20..].join(",")).as_bytes());
    write("notes.md", b"# ticks\nof February\n");
    let (source, db) = (format!("file:{}", folder.path().join("in").display()), folder.path().join("m.db"));
    let sink = format!("sqlite:{}", db.display());
    let args = ["--source", &source, "--sink", &sink];
    let ended = Program::run(&folder.path().join("data"), &args, &[]).well();
    assert_eq!((ended.done("counted"), ended.done("rejected")), (30, 2), "{}", ended.said);
    assert_eq!(sqlite(&db).len(), 30);
    write("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    Program::run(&folder.path().join("other"), &args, &[]).refused(64, &["picture.png is no text", "leave it out"]);
}

#[test]
fn a_compressed_file_that_is_cut_off_ends_the_run_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("cut.jsonl.gz");
    let whole = gzipped(feed(20_000).join("\n").as_bytes());
    std::fs::write(&log, &whole[..whole.len() / 2]).unwrap();
    let source = format!("file:{}", log.display());
    let args = ["--source", &source, "--sink", "stdout:", "--job", "cut"];
    let ended = Program::run(folder.path(), &args, &[]);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    for part in ["cut.jsonl.gz: its gzip data is damaged or cut off at byte", "where record ", "gzip -t checks it"] {
        assert!(ended.said.contains(part), "{part}: {}", ended.said);
    }
    // What is there of it is not read again once it is whole.
    std::fs::write(&log, &whole).unwrap();
    let ended = Program::run(folder.path(), &args, &[]).well();
    assert_eq!((ended.done("counted"), ended.done("late")), (20_000, 0), "{}", ended.said);
}

/// Runs it with this on its stdin.
fn fed(data: &Path, args: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let mut command = command();
    command.args(["--http", "none"]).args(args).arg("--data").arg(data);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // Half of it, and the rest when that may have been read.
        let (first, second) = input.split_at(input.len() / 2);
        let _refused = stdin.write_all(first).and_then(|()| stdin.flush());
        std::thread::yield_now();
        let _refused = stdin.write_all(second);
    });
    let done = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    (done.status.code(), String::from_utf8(done.stderr).unwrap())
}

#[test]
fn stdin_is_read_to_its_end_and_keeps_no_state() {
    const RECORDS: i64 = 3000;
    let lines = feed(RECORDS).join("\n");
    let array = format!("[\n{}\n]", feed(RECORDS).join(",\n"));
    for (source, input) in [
        ("file:-", lines.clone().into_bytes()),
        ("file:/dev/stdin", gzipped(lines.as_bytes())),
        ("file:-", array.into_bytes()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let db = folder.path().join("m.db");
        let sink = format!("sqlite:{}", db.display());
        let (code, said) = fed(folder.path(), &["--source", source, "--sink", &sink, "-w", "2"], &input);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("{RECORDS} records read = {RECORDS} counted")), "{said}");
        same_feed(&db, RECORDS);
        let states =
            files(folder.path()).into_iter().filter(|path| path.components().any(|part| part.as_os_str() == "state"));
        assert_eq!(states.count(), 0, "no state");
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    for (args, part) in [
        (["--source", "file:-", "--state", &state], format!("--state {state}: `file:-` can be read once only")),
        (["--source", "file:-", "-n", "2"], "each process has a stdin of its own".to_owned()),
    ] {
        let (code, said) = fed(folder.path(), &[&args[..], &["--sink", "stdout:"]].concat(), b"{}");
        assert!(code == Some(64) && said.contains(&part), "{said}");
    }
    let (code, said) = fed(folder.path(), &["--source", "file:-", "--sink", "stdout:", "--state", "none"], b"");
    assert!(code == Some(0) && said.contains("done: 0 records read"), "{said}");
}

#[test]
fn a_named_pipe_is_read_while_it_is_written_and_a_signal_ends_the_wait_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("ticks.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (source, db) = (format!("file:{}", pipe.display()), folder.path().join("m.db"));
    let sink = format!("sqlite:{}", db.display());
    let mut program = Program::start(folder.path(), &["--source", &source, "--sink", &sink], &[]);
    let feed = feed(30);
    let mut writer = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    writer.write_all((feed[..20].join("\n") + "\n").as_bytes()).unwrap();
    program.until("it counts before the end", PATIENCE, |program| program.counted() == 20);
    writer.write_all(feed[20..].join("\n").as_bytes()).unwrap();
    drop(writer);
    assert_eq!(program.ended(PATIENCE).well().done("counted"), 30);
    same_feed(&db, 30);
    // Nobody writes.
    let mut waiting = Program::start(&folder.path().join("waiting"), &["--source", &source, "--sink", "stdout:"], &[]);
    waiting.until("it waits", PATIENCE, |program| program.said().contains("records/s"));
    waiting.stopped();
}

#[test]
fn many_late_records_are_told_with_the_lateness_that_would_have_lost_none() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("by-symbol.jsonl");
    // One symbol after the other, three hours each; the first minute's record of the second is 179 minutes behind.
    let tick = |symbol: &str, minute: i64| {
        format!("{{\"symbol\":\"{symbol}\",\"price\":7,\"ts\":{}}}\n", 1_772_000_040_000 + minute * 60_000)
    };
    let text: String = ["A", "B"].iter().flat_map(|symbol| (0..180).map(|minute| tick(symbol, minute))).collect();
    std::fs::write(&log, text).unwrap();
    let source = format!("file:{}", log.display());
    let run = |more: &[&str]| {
        let args = ["--source", &source, "--sink", "stdout:", "--as-of", "2027-01-01T00:00:00Z"];
        Program::run(folder.path(), &[&args[..], more].concat(), &[]).well()
    };
    let ended = run(&[]);
    let late = ended.done("late");
    assert!((160..=180).contains(&late), "{}", ended.said);
    let share = late * 100 / 360;
    let advice = format!(
        "{share} % of the valid records came late ({late} of 360) and do not count: with --lateness 2h59m none"
    );
    assert!(ended.said.contains(&advice), "{advice} is not in {}", ended.said);
    assert_eq!(run(&["--lateness", "2h59m"]).done("late"), 0);
    let shorter = run(&["--lateness", "2h58m"]);
    assert_eq!((shorter.done("late"), shorter.said.contains("came late")), (1, false), "{}", shorter.said);
}

/// Prices of a day as they are handed out for decades: the newest first. The advice is a lateness that the option takes.
#[test]
fn decades_that_are_sorted_newest_first_count_with_a_lateness_as_long() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("newest-first.jsonl");
    let day = |year: i32| format!("{{\"symbol\":\"IBM\",\"price\":7,\"ts\":\"{year}-01-02T00:00:00Z\"}}\n");
    std::fs::write(&log, (1928..=2025).rev().map(day).collect::<String>()).unwrap();
    let source = format!("file:{}", log.display());
    let run = |more: &[&str]| {
        let args = ["--source", &source, "--sink", "stdout:", "--as-of", "2026-01-03T00:00:00Z", "--window", "1d"];
        Program::run(folder.path(), &[&args[..], more].concat(), &[])
    };
    let ended = run(&[]).well();
    let (_, advice) = ended.said.split_once("with --lateness ").expect("a lateness is named");
    let advice = advice.split(' ').next().unwrap();
    assert_eq!((ended.done("late"), advice), (97, "35429d1h"), "{}", ended.said);
    let ended = run(&["--lateness", advice]).well();
    assert_eq!((ended.done("counted"), ended.done("late")), (98, 0), "{}", ended.said);
    let refused = run(&["--lateness", "36526d"]);
    assert!(refused.code == Some(64) && refused.said.contains("from 0 ms to 36525 d"), "{}", refused.said);
}
