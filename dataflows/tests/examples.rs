//! The example gives what its comments say.

#![allow(clippy::unwrap_used, reason = "tests panic")]

#[path = "../examples/averages.rs"]
mod averages;

use minutely_dataflows::time::{SECOND, State};

#[test]
fn averages_of_a_log_in_memory() {
    let averages::Answers { rows, letters, ledger } = averages::run().unwrap();
    let told = |row: &minutely_dataflows::row::Row| {
        assert_eq!(row.state, State::Final);
        format!("{} {} {} {} {}", row.minute.0 / SECOND, row.symbol, row.count, row.sum, row.avg)
    };
    let rows: Vec<_> = rows.iter().map(told).collect();
    assert_eq!(rows, ["0 AAPL 3 630.9 210.3", "60 NVDA 1 99.5 99.5", "660 AAPL 1 211 211"]);
    let letters: Vec<_> =
        letters.iter().map(|l| (l.partition.to_string(), l.offset, l.reason.name(), l.is_exception())).collect();
    assert_eq!(letters, [("ticks/0".into(), 4, "late", false), ("ticks/1".into(), 1, "json", false)]);
    let counts = ledger.counts;
    assert_eq!((counts.read, counts.counted, counts.late, counts.rejected, counts.quarantined), (7, 5, 1, 1, 0));
    assert_eq!((ledger.held, ledger.retired), (0, 5));
}
