//! A live run beside a producer in transactions.

use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program};
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
