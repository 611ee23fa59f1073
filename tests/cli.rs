//! Where options come from, and how messages are written, by the program itself: a file of options, variables, `config show`,
//! completions, the manual page, formats and levels of messages.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command, files, without_time};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const TICKS: &str = "{\"symbol\":\"B7\",\"price\":10.5,\"ts\":1700000030000}\n{\"symbol\":\"B7\",\"price\":11.25,\"ts\":1700000031000}\n";

/// A folder with a log of two ticks and a file of options.
struct Home(tempfile::TempDir);

impl Home {
    fn new(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ticks.jsonl"), TICKS).unwrap();
        std::fs::write(folder.path().join("minutely.toml"), options).unwrap();
        Home(folder)
    }

    fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = command();
        command.args(words).envs(variables.iter().copied()).current_dir(self.0.path()).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Stderr, without times.
    fn said(&self, words: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let done = self.run(words, variables);
        let lines = String::from_utf8(done.stderr).unwrap();
        (done.status.code(), lines.lines().map(|line| without_time(line).to_owned() + "\n").collect())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}

const OPTIONS: &str = "
http = 'none'
metrics = 'avg'
emit = 'final'
[source]
uri = 'file:ticks.jsonl'
[[sink]]
uri = 'csv:minutes.csv'
[[sink]]
uri = 'sqlite:minutes.db'
table = 'of_file'
";

fn rows(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_run_is_all_in_its_file() {
    let home = Home::new(OPTIONS);
    let done = home.run(&["--config", "minutely.toml"], &[]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(rows(&home.path("minutes.csv")).lines().nth(1), Some("B7,2023-11-14T22:13:00Z,2,21.75,10.875,final"));
    assert!(home.path("minutes.db").exists());
    let state = home.run(&["state", "show", "--config", "minutely.toml"], &[]);
    assert_eq!(state.status.code(), Some(0), "its state is found by the same file");
    // As a variable, and with a flag that wins.
    let more = ["--sink", "csv:other.csv", "--job", "other", "--window", "1h"];
    let done = home.run(&more, &[("MINUTELY_CONFIG", "minutely.toml")]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(rows(&home.path("other.csv")).lines().nth(1), Some("B7,2023-11-14T22:00:00Z,2,21.75,10.875,final"));
}

#[test]
fn a_run_is_all_in_its_environment() {
    let home = Home::new("");
    let variables = [
        ("MINUTELY_SOURCE", "file:ticks.jsonl"),
        ("MINUTELY_SINK", "[\"csv:a b.csv\"]"),
        ("MINUTELY_HTTP", "none"),
        ("MINUTELY_METRICS", "avg"),
        ("MINUTELY_PROCESSES", "1"),
        ("MINUTELY_PROCESS", "0"),
        ("MINUTELY_TAKE_SINK", "true"),
    ];
    let done = home.run(&[], &variables);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(rows(&home.path("a b.csv")).contains("B7,2023-11-14T22:13:00Z,2,21.75,10.875,final"));
    let (code, said) = home.said(&[], &[&variables[..5], &[("MINUTELY_PROCESS", "3")]].concat());
    assert!(code == Some(64) && said.contains("in MINUTELY_PROCESS: -p 3: "), "{said}");
}

#[test]
fn all_mistakes_of_file_variables_and_flags_are_said_at_once() {
    let home = Home::new("wndow = '1m'\nlateness = 'soon'\nuntil-end = 'yes'\nsource = 'redis://b/t'\n");
    let words = ["--config", "minutely.toml", "--max-keys", "many"];
    let (code, said) = home.said(&words, &[("MINUTELY_EMIT", "all"), ("MINUTELY_CLOSE", "perhaps")]);
    assert_eq!(code, Some(64), "{said}");
    for line in [
        "minutely: error: minutely.toml line 1 column 1: no option is called 'wndow'; did you mean 'window'?\n",
        "minutely: error: minutely.toml line 3 column 13: 'until-end' takes true or false, not a string\n",
        "minutely: error: in minutely.toml line 2: --lateness soon: takes a duration",
        "minutely: error: in minutely.toml line 4: source `redis://b/t` is of no known kind",
        "minutely: error: in MINUTELY_EMIT: --emit all: is not one of changes, final\n",
        "minutely: error: MINUTELY_CLOSE perhaps: takes true or false\n",
        "minutely: error: --max-keys many: takes a number",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert_eq!(said.lines().count(), 7, "{said}");
    assert_eq!(files(home.0.path()).len(), 2, "nothing is left behind");
}

#[test]
fn the_settings_that_are_shown_run_as_they_are() {
    let home = Home::new(OPTIONS);
    let shown = home.run(&["config", "show", "--config", "minutely.toml", "-w", "2"], &[("MINUTELY_LATENESS", "1h")]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.status.code(), Some(0), "{text}");
    for part in ["# minutely.toml line 6", "# MINUTELY_LATENESS", "# -w", "# default", "table=of_file"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(files(home.0.path()).len(), 2, "nothing is written");
    std::fs::write(home.path("shown.toml"), &text).unwrap();
    let (code, said) = home.said(&["--config", "shown.toml"], &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(rows(&home.path("minutes.csv")).contains("B7,2023-11-14T22:13:00Z,2,21.75,10.875,final"));
    // What is wrong is said after what is in effect.
    let shown = home.run(&["config", "show", "--window", "soon"], &[]);
    let (text, said) = (String::from_utf8(shown.stdout).unwrap(), String::from_utf8(shown.stderr).unwrap());
    assert!(text.starts_with("# Settings of `minutely run`"), "{text}");
    assert!(text.contains("window = \"soon\"") && said.contains("--window soon: takes a duration"), "{text}{said}");
    assert_eq!(shown.status.code(), Some(64));
}

#[test]
fn the_settings_of_produce_are_shown_and_checked() {
    let home = Home::new(
        "[produce]\nto = 'kafka://127.0.0.1:1/t'\nfrom = 'file:a.csv'\nformat = 'csv'\n[kafka]\n'sasl.password' = 'hunter2'\n",
    );
    let words = ["config", "show", "produce", "--config", "minutely.toml", "--columns", "a,ts", "--stamp", "broker"];
    let shown = home.run(&words, &[("MINUTELY_RATE", "7")]);
    let (text, said) = (String::from_utf8(shown.stdout).unwrap(), String::from_utf8(shown.stderr).unwrap());
    assert!(text.starts_with("# Settings of `minutely produce`"), "{text}");
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    for (start, origin) in [("to = ", "line 2"), ("rate = 7", "# MINUTELY_RATE"), ("stamp = \"broker\"", "# --stamp")] {
        assert!(line(start).contains(origin), "{start}: {text}");
    }
    // A password without its mechanism is wrong, and never shown.
    assert!(!text.contains("hunter2") && !said.contains("hunter2"), "{text}{said}");
    let wrong = home.run(&[&words[..], &["--speed", "2"]].concat(), &[("MINUTELY_RATE", "7")]);
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("--rate and --speed: contradict each other") && !wrong.stdout.is_empty(), "{said}");
    assert_eq!(wrong.status.code(), Some(64));
}

#[cfg(unix)]
#[test]
fn a_secret_in_a_file_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new(
        "source = 'kafka://127.0.0.1:1/t'\n[kafka]\n'sasl.password' = 'hunter2'\n'security.protocol' = 'SASL_PLAINTEXT'\nsasl.mechanism = 'PLAIN'\n'sasl.username' = 'alice'\n",
    );
    let words = ["config", "show", "--config", "minutely.toml"];
    for (mode, warns) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(home.path("minutely.toml"), std::fs::Permissions::from_mode(mode)).unwrap();
        let done = home.run(&words, &[]);
        let (text, said) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
        assert_eq!(done.status.code(), Some(0), "{said}");
        assert_eq!(
            said.contains("warning: other users of this machine can read the secret in minutely.toml"),
            warns,
            "{said}"
        );
        assert!(!text.contains("hunter2") && !said.contains("hunter2"), "{text}{said}");
        assert!(text.contains("\"sasl.username\" = \"alice\""), "{text}");
    }
}

#[test]
fn misspelt_variables_are_told_by_every_command() {
    let home = Home::new("");
    for words in [&["state", "show"][..], &["config", "show"], &["produce"]] {
        let (_, said) = home.said(words, &[("MINUTELY_LIMTI", "1"), ("MINUTELY_TO", "kafka://b/t")]);
        let warning = "minutely: warning: MINUTELY_LIMTI is in the environment, but no such variable is read: did you mean \
                       MINUTELY_LIMIT?\n";
        assert!(said.contains(warning), "{words:?}: {said}");
    }
}

/// Of each line its object.
fn objects(done: &Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8(done.stderr.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn messages_are_objects_with_numbers_or_lines_with_a_time() {
    let home = Home::new("");
    let words = ["--source", "file:ticks.jsonl", "--sink", "csv:m.csv", "--http", "none"];
    let text = home.run(&words, &[]);
    let lines = String::from_utf8(text.stderr).unwrap();
    for line in lines.lines() {
        assert!(without_time(line).starts_with("minutely: "), "{line}");
        assert!(line.len() > 24 && &line[19..20] == "." && &line[23..24] == "Z", "{line}");
    }
    let json = ["--log-format", "json", "--sink", "csv:n.csv", "--job", "j"];
    let json = home.run(&[&words[..2], &words[4..], &json].concat(), &[]);
    let all = objects(&json);
    for object in &all {
        assert!(object["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{object}");
        assert!(object["level"].is_string() && object["message"].is_string(), "{object}");
    }
    let done = all.iter().find(|one| one["message"].as_str().unwrap().starts_with("done: ")).unwrap();
    assert_eq!((&done["read"], &done["counted"], &done["late"]), (&2.into(), &2.into(), &0.into()), "{done}");
    // What is wrong with the words themselves, too.
    for words in [&["--log-format", "json", "--wat"][..], &["--log-format=json", "--window", "soon"]] {
        let all = objects(&home.run(words, &[]));
        assert!(all.len() == 1 && all[0]["level"] == "error", "{all:?}");
    }
}

#[test]
fn the_status_line_is_for_a_terminal_or_for_those_who_ask() {
    let folder = tempfile::tempdir().unwrap();
    let sink = format!("csv:{}", folder.path().join("m.csv").display());
    let args = ["--source", "sim:?symbols=5&rate=500&history=1m", "--sink", &sink, "--state", "none"];
    let mut program = Program::start(folder.path(), &[&args[..], &["--log-format", "json"]].concat(), &[]);
    program.until("it says its numbers", PATIENCE, |program| {
        program.said().lines().any(|line| {
            let object: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            object["records_per_second"].is_number()
                && object["open_windows"].as_i64() > Some(0)
                && object["w"].is_string()
        })
    });
    program.stopped();
    std::fs::remove_file(folder.path().join("m.csv")).unwrap();
    // Piped, and quiet: no line a second; and the end is information.
    for (more, is_done) in [(&[][..], true), (&["--quiet"][..], false), (&["--log-level", "error"], false)] {
        let mut command = command();
        command.args(args).args(["--http", "none", "--data"]).arg(folder.path()).args(more);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // A commit a second: after four that wrote rows, three status lines would have been written.
        let mut sizes = std::collections::BTreeSet::new();
        common::poll("it commits", PATIENCE, || {
            sizes.insert(std::fs::metadata(folder.path().join("m.csv")).ok()?.len());
            (sizes.len() > 4).then_some(())
        });
        let ended = Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap();
        assert!(ended.success() && child.wait().unwrap().code() == Some(0), "SIGHUP ends it as SIGTERM does");
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
        assert!(!said.contains(" | ledger: "), "{more:?}: {said}");
        assert_eq!(said.contains("minutely: done: "), is_done, "{more:?}: {said}");
        std::fs::remove_file(folder.path().join("m.csv")).unwrap();
    }
}

#[test]
fn a_level_chooses_what_is_written() {
    let home = Home::new("");
    let said = |more: &[&str], variables: &[(&str, &str)]| {
        let words = ["--source", "file:ticks.jsonl", "--state", "none", "--http", "none", "--sink", "csv:/dev/null"];
        let sink = format!("csv:{}.csv", fastrand::u32(..));
        let words = [&words[..7], &[sink.as_str()], more].concat();
        let (code, said) = home.said(&words, variables);
        assert_eq!(code, Some(0), "{said}");
        said
    };
    let is_open = "minutely: debug: ";
    assert!(said(&["--log-level", "debug"], &[]).contains(is_open));
    assert!(said(&[], &[("RUST_LOG", "minutely=debug")]).contains(is_open));
    assert!(!said(&[], &[]).contains(is_open));
    assert!(!said(&["--log-level", "info"], &[("RUST_LOG", "minutely=debug")]).contains(is_open), "the option wins");
    assert_eq!(said(&["--quiet"], &[]), "");
    assert_eq!(said(&[], &[("MINUTELY_LOG_LEVEL", "warn")]), "");
}

/// Runs a program on this text, if it is there; its stdout.
fn piped(program: &str, words: &[&str], text: &[u8]) -> Option<String> {
    use std::io::Write;
    let child =
        Command::new(program).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.ok()?;
    child.stdin.take().unwrap().write_all(text).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    Some(String::from_utf8(done.stdout).unwrap())
}

#[test]
fn completions_are_scripts_of_their_shells() {
    let home = Home::new("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = home.run(&["completions", shell], &[]);
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{shell}");
        assert!(
            text.contains("lateness") && text.contains("partition-by") && text.contains("config"),
            "{shell}: {text}"
        );
        let check = match shell {
            "bash" => {
                "complete -p minutely >/dev/null && COMP_WORDS=(minutely --laten) COMP_CWORD=1 && \
                       _minutely minutely --laten minutely && echo ${COMPREPLY[@]}"
            }
            _ => continue,
        };
        let script = format!("{text}\n{check}\n");
        let completed = piped("bash", &["--norc", "-s"], script.as_bytes()).expect("tests/ are run by bash");
        assert_eq!(completed, "--lateness\n");
        assert!(piped("bash", &["-n"], text.as_bytes()).is_some());
    }
    let (code, said) = home.said(&["completions", "tcsh"], &[]);
    assert!(code == Some(64) && said.contains("'tcsh'"), "{said}");
}

#[test]
fn the_manual_page_is_roff() {
    let home = Home::new("");
    for (words, parts) in [
        (&["man"][..], &["minutely(1)", "--lateness", "--config", "minutely-produce(1)"][..]),
        (&["man", "state", "show"], &["minutely-state-show(1)", "--json"]),
    ] {
        let done = home.run(words, &[]);
        assert!(done.status.success() && done.stdout.starts_with(b".ie \\n(.g"), "{words:?}");
        let source = String::from_utf8(done.stdout.clone()).unwrap();
        assert!(source.contains(".SH NAME") && source.contains(".SH SYNOPSIS"), "{source}");
        // Where groff is: as it is read, without its bold.
        if let Some(page) = piped("groff", &["-man", "-Tutf8", "-P-c", "-P-b", "-P-u", "-k", "-ww"], &done.stdout) {
            let page = page.replace(['\u{2010}', '\u{2011}'], "-");
            parts.iter().for_each(|part| assert!(page.contains(part), "{part}: {page}"));
        }
    }
}

/// A live feed has its own pace, shape and keys, and no end. Nothing is connected to.
#[test]
fn options_that_a_live_feed_has_no_use_for_are_refused() {
    let home = Home::new("");
    let run = |words: &[&str], env: &[(&str, &str)]| {
        let done = home.run(&[&["produce", "--to", "kafka://127.0.0.1:1/t"], words].concat(), env);
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    let useless = [
        &["--rate", "5"][..],
        &["--speed", "5"],
        &["--start", "latest"],
        &["--until-end"],
        &["--as-of", "2026-03-02T10:00:00Z"],
        &["--format", "csv"],
        &["--each", "/data"],
        &["--where", "a=b"],
        &["--key-field", "s"],
    ];
    for words in useless {
        let (code, said) = run(&[&["--from", "coinbase:BTC-USD"], words].concat(), &[]);
        let part = format!("{}: is of no use with --from coinbase:BTC-USD: ", words[0]);
        assert!(code == Some(64) && said.contains(&part), "{said}");
    }
    let (code, said) = run(&["--from", "yahoo:AAPL,,aapl"], &[]);
    assert!(code == Some(64) && said.contains("empty symbol") && said.contains("AAPL is given twice"), "{said}");
    for url in ["https://127.0.0.1:1", "http://example.com", "http://127.0.0.1.example.com"] {
        let (code, said) = run(&["--from", "binance:BTCUSDT"], &[("MINUTELY_TEST_FEED_URL", url)]);
        assert!(code == Some(64) && said.contains("takes http://127.0.0.1:PORT"), "{said}");
    }
}
