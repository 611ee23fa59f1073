//! A state in a bucket, by the program as a whole, on servers that stand in for real ones. `tests/real/buckets.rs` has those.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, PATIENCE, Program, command, files};
use common::stand_in::{Creating, Interface, StandIn};
use std::net::TcpListener;
use std::path::Path;

/// A run over a few ticks, to its end.
fn run(home: &Path, uri: &str, env: &[(&str, &str)]) -> Ended {
    let began = hostile::BEGAN.0 / 1_000_000;
    let tick = |n: i64| format!("{{\"symbol\":\"S{}\",\"price\":{n},\"ts\":{}}}\n", n % 3, began + n * 1000);
    std::fs::write(home.join("ticks.jsonl"), (0..3000).map(tick).collect::<String>()).unwrap();
    let (source, sink) = (home.join("ticks.jsonl").display().to_string(), home.join("rows.csv").display().to_string());
    let (source, sink) = (format!("file:{source}"), format!("csv:{sink}"));
    let args = ["--source", &source, "--sink", &sink, "--job", "job", "--as-of", "2026-03-01T00:00:00Z"];
    let state = ["--state", uri, "--take-over", "--keep-open"];
    Program::start(&home.join("data"), &[&args[..], &state].concat(), env).ended(PATIENCE)
}

#[test]
fn a_server_that_creates_a_file_twice_is_refused() {
    for (creating, part) in
        [(Creating::Ignored, "overwrites a file that it was to create"), (Creating::NotImplemented, "501")]
    {
        let home = tempfile::tempdir().unwrap();
        let server = StandIn::start(Interface::S3, creating);
        let ended = run(home.path(), &server.uri(), &server.env());
        ended.refused(64, &["--state s3://b/jobs/one", part, "If-None-Match", "choose another store"]);
        assert_eq!(server.names(), Vec::<String>::new(), "nothing is left there");
        assert!(files(&home.path().join("data")).iter().all(|file| !file.ends_with("rows.csv")));
    }
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let home = tempfile::tempdir().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{gone}");
    let env = [
        ("AWS_ENDPOINT", &*url),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "hush-hush"),
    ];
    let ended = run(home.path(), "s3://b/jobs/one", &env);
    ended.refused(69, &["state s3://b/jobs/one", &gone.to_string(), "see to the server"]);
    assert!(!ended.said.contains("hush-hush"), "{}", ended.said);
}

#[test]
fn a_bucket_holds_a_state() {
    for interface in [Interface::S3, Interface::Google, Interface::Azure] {
        let home = tempfile::tempdir().unwrap();
        let server = StandIn::start(interface, Creating::Honoured);
        run(home.path(), &server.uri(), &server.env()).well();
        let rows = std::fs::read_to_string(home.path().join("rows.csv")).unwrap();
        assert_eq!(rows.lines().count(), 1 + 150, "{}", server.uri());
        let names = server.names();
        let of = |folder: &str| names.iter().filter(|name| name.starts_with(&format!("jobs/one/{folder}/"))).count();
        assert!(of("manifest") > 1 && of("object") > 0 && names.len() == of("manifest") + of("object"), "{names:?}");
        let again = run(home.path(), &server.uri(), &server.env()).well();
        assert!(again.said.contains("resuming from manifest") && again.said.contains("3000 records"), "{}", again.said);
        let mut check = command();
        check.envs(server.env()).args(["state", "check", "--state", &server.uri()]);
        let output = check.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.starts_with("ok: "), "{said}");
    }
}
