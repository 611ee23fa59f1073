//! What `deploy/` has: systemd takes the units, and the commands in them do what they are for.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, command};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn units() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd");
    let mut units: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    units.sort();
    units
}

#[test]
fn systemd_takes_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("LEFT OUT: the units by systemd-analyze (tool systemd)");
        return;
    }
    // (It wants the program to be there.)
    let folder = tempfile::tempdir().unwrap();
    for unit in units() {
        let text = std::fs::read_to_string(&unit).unwrap().replace("/usr/bin/minutely", env!("CARGO_BIN_EXE_minutely"));
        std::fs::write(folder.path().join(unit.file_name().unwrap()), text).unwrap();
    }
    for unit in units() {
        let there = folder.path().join(unit.file_name().unwrap());
        let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&there).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let of_ours: Vec<_> = said.lines().filter(|line| line.contains("minutely")).collect();
        assert!(of_ours.is_empty(), "{}: {said}", unit.display());
    }
}

/// The words of a unit's command, with other files in place of those of a machine.
fn exec_start(unit: &str, files: &[(&str, &Path)]) -> Vec<String> {
    let text = std::fs::read_to_string(units().into_iter().find(|path| path.ends_with(unit)).unwrap()).unwrap();
    let line = text.replace("\\\n", " ").lines().find_map(|line| line.strip_prefix("ExecStart=").map(str::to_owned));
    let mut words: Vec<String> = line.unwrap().split_whitespace().map(str::to_owned).collect();
    assert_eq!(words.remove(0), "/usr/bin/minutely");
    for (there, here) in files {
        let word = words.iter_mut().find(|word| *word == there).unwrap_or_else(|| panic!("{unit} has no {there}"));
        *word = here.display().to_string();
    }
    words
}

/// A night: what the run stored is verified, and then what somebody changed is told to Prometheus.
#[test]
fn the_nightly_unit_verifies_and_leaves_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut log = String::new();
    for second in 0..3600_u64 {
        let (symbol, ts) = (second % 3, 1_767_600_000_000 + second * 1000);
        writeln!(log, r#"{{"symbol":"S{symbol}","price":"{}.5","ts":{ts}}}"#, second % 97).unwrap();
    }
    std::fs::write(at("log.jsonl"), log).unwrap();
    let config = format!(
        "source = \"file:{}\"\nsink = [\"sqlite:{}\"]\ndata = \"{}\"\njob = \"nightly\"\nas-of = \"2026-01-06T00:00:00Z\"\n",
        at("log.jsonl").display(),
        at("minutes.db").display(),
        at("data").display()
    );
    std::fs::write(at("minutely.toml"), config).unwrap();
    let toml = at("minutely.toml").display().to_string();
    Program::start(&at("data"), &["--config", &toml, "--close"], &[]).ended(PATIENCE).well();

    let textfile = at("minutely-verify.prom");
    let files = [
        ("/etc/minutely/minutely.toml", at("minutely.toml")),
        ("/var/lib/prometheus/node-exporter/minutely-verify.prom", textfile.clone()),
    ];
    let files: Vec<_> = files.iter().map(|(there, here)| (*there, here.as_path())).collect();
    let words = exec_start("minutely-verify.service", &files);
    let night = || {
        let output = command().args(&words).stdin(Stdio::null()).output().unwrap();
        let metrics = std::fs::read_to_string(&textfile).unwrap();
        if let Ok(mut promtool) =
            Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()
        {
            std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), metrics.as_bytes()).unwrap();
            let output = promtool.wait_with_output().unwrap();
            assert!(output.status.success(), "{}{metrics}", String::from_utf8_lossy(&output.stderr));
        }
        (output.status.code(), metrics)
    };
    let has = |metrics: &str, line: &str| assert!(metrics.lines().any(|is| is == line), "{line}: {metrics}");
    let sink = format!("sink=\"sqlite:{}\",rows=\"minutes\"", at("minutes.db").display());
    let (code, metrics) = night();
    assert_eq!(code, Some(0), "{metrics}");
    has(&metrics, "minutely_verify_done_bool{job=\"nightly\"} 1");
    has(&metrics, "minutely_verify_equal_bool{job=\"nightly\"} 1");
    has(&metrics, "minutely_verify_windows{job=\"nightly\"} 60");
    has(&metrics, &format!("minutely_verify_rows{{job=\"nightly\",{sink},result=\"equal\"}} 180"));

    let db = rusqlite::Connection::open(at("minutes.db")).unwrap();
    assert_eq!(db.execute("UPDATE minutes SET high = high + 1 WHERE symbol = 'S1'", []).unwrap(), 60);
    let (code, metrics) = night();
    assert_eq!(code, Some(65), "{metrics}");
    has(&metrics, "minutely_verify_equal_bool{job=\"nightly\"} 0");
    has(&metrics, &format!("minutely_verify_rows{{job=\"nightly\",{sink},result=\"different\"}} 60"));

    std::fs::rename(at("log.jsonl"), at("away.jsonl")).unwrap();
    let (code, metrics) = night();
    assert_ne!(code, Some(0), "{metrics}");
    has(&metrics, "minutely_verify_done_bool{job=\"nightly\"} 0");
    assert!(!metrics.contains("minutely_verify_rows"), "what is not known is not said: {metrics}");
}
