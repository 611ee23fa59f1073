//! A live run beside a producer in transactions, and a state that counts what is committed, or all.

use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program, command};
use crate::common::rows::{Rows, Wanted, letters, only, same, same_letters, sqlite};
use crate::common::{now, rfc3339};
use crate::live::{SHORT, short};
use minutely_dataflows::time::SECOND;
use std::time::Duration;

#[test]
fn an_open_transaction_holds_the_watermark_and_an_aborted_one_counts_nothing() {
    let Some(kafka) = Kafka::of_tests("open and aborted transactions") else { return };
    let topic = kafka.topic("transacted", 2, &[]);
    let (plain, aborted, committed) = (kafka.writer(&topic), kafka.transactions(&topic), kafka.transactions(&topic));
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("minutes.db");
    let (source, sink) = (kafka.uri(&topic), format!("sqlite:{}", db.display()));
    let mut args = vec!["--source", &source, "--sink", &sink, "-w", "2", "--metrics", "avg"];
    args.extend(SHORT);
    let began = now().plus(-120 * SECOND);
    let at = |second: i64| began.plus(second * SECOND);
    let passed = |rows: &Rows, from: i64| {
        only(rows, |(minute, _), cells| {
            *minute >= rfc3339(at(from).0) && (cells.state == "closed" || cells.state == "final")
        })
    };

    // Partition 1 has got as far as second 10; partition 0 goes on to second 40.
    plain.tick(1, "HELD", 100, at(10));
    plain.flush();
    for (writer, cents) in [(&aborted, 999_900), (&committed, 200)] {
        writer.begin();
        (10..15).for_each(|second| writer.tick(1, "HELD", cents, at(second)));
        writer.flush();
    }
    (0..=40).for_each(|second| plain.tick(0, "FREE", second + 1, at(second)));
    plain.flush();
    let mut run = Program::start(&folder.path().join("data"), &args, &[]);
    let free = |second: i64| (rfc3339((at(second).0 / (2 * SECOND)) * 2 * SECOND), "FREE".to_owned());
    run.until("partition 0 is read", PATIENCE, |_| sqlite(&db).contains_key(&free(40)));
    // Well past --idle: partition 1 is silent, and yet not at its end. More of partition 0 passes meanwhile.
    for second in 41..=46 {
        plain.tick(0, "FREE", second + 1, at(second));
        plain.flush();
        run.until("partition 0 is read", PATIENCE, |_| sqlite(&db).contains_key(&free(second)));
        std::thread::sleep(Duration::from_secs(1)); // what is waited for is that nothing happens
        same("nothing passes an open transaction", &passed(&sqlite(&db), 10), &Rows::new());
    }
    assert!(sqlite(&db).iter().all(|((_, symbol), cells)| symbol != "HELD" || cells.count == 1));

    // One of two is over: the other still holds.
    aborted.abort();
    std::thread::sleep(Duration::from_secs(4)); // twice --idle: what is waited for is that nothing happens
    same("nothing passes the other transaction", &passed(&sqlite(&db), 10), &Rows::new());
    committed.commit();
    let wanted = Wanted::of(&kafka.read_back(&topic), &short(), None, false);
    assert_eq!((wanted.counts.read, wanted.counts.counted), (1 + 5 + 47, 1 + 5 + 47), "what the oracle has");
    run.until("all is final", PATIENCE, |_| {
        let rows = sqlite(&db);
        rows.len() == wanted.rows.len() && rows.values().all(|cells| cells.state == "final")
    });
    let ended = run.stopped();
    same("rows", &sqlite(&db), &wanted.rows);
    same_letters(&letters(&folder.path().join("data")), &[]);
    assert_eq!(ended.done("records"), 53, "{}", ended.said);
}

#[test]
fn a_state_counts_by_one_isolation_level_alone() {
    let Some(kafka) = Kafka::of_tests("a state and another isolation level") else { return };
    let topic = kafka.topic("isolation", 1, &[]);
    let (aborted, committed) = (kafka.transactions(&topic), kafka.transactions(&topic));
    let began = now().plus(-3600 * SECOND);
    let transact = |from: i64| {
        for (writer, commits) in [(&aborted, false), (&committed, true)] {
            writer.begin();
            (from..from + 10).for_each(|second| writer.tick(0, "TICK", 100, began.plus(second * SECOND)));
            writer.flush();
            if commits { writer.commit() } else { writer.abort() }
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let source = kafka.uri(&topic);
    let run = |job: &str, level: &str| {
        let args = ["--source", &source, "--job", job, "--sink", "stdout:", "--until-end", "--keep-open"];
        let level = format!("isolation.level={level}");
        let level = if level.ends_with('=') { vec![] } else { vec!["-X", &level] };
        Program::run(folder.path(), &[&args[..], &level].concat(), &[])
    };
    let shown = |job: &str| {
        let state = folder.path().join(job).join("state");
        let output = command().args(["state", "show", "--state"]).arg(state).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    transact(0);
    assert_eq!(run("all", "READ_uncommitted").well().done("counted"), 20, "the end is that of all records");
    assert_eq!(run("some", "").well().done("counted"), 10);
    transact(10);
    let differs = |is: &str, was: &str| format!("-X isolation.level read_{is} (it was read_{was})");
    run("all", "").refused(64, &[&differs("committed", "uncommitted"), "--job NAME"]);
    run("some", "read_uncommitted").refused(64, &[&differs("uncommitted", "committed"), "--job NAME"]);
    assert_eq!(run("all", "read_uncommitted").well().done("counted"), 40);
    assert_eq!(run("some", "read_committed").well().done("counted"), 20);
    assert!(shown("all").contains("  -X isolation.level read_uncommitted\n"), "{}", shown("all"));
    assert!(shown("some").contains("  -X isolation.level read_committed\n"), "{}", shown("some"));
}
