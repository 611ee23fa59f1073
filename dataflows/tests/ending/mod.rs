//! The end of a bounded run whose sink gets nothing in its last commit: are all dead letters stored by then?

#![allow(dead_code, reason = "each test binary uses its part")]

use crate::hostile::{BEGAN, Owned, Partition};
use crate::memory::run;
use minutely_dataflows::acc::Avg;
use minutely_dataflows::edge::RowFilter;
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::settings::Settings;
use minutely_dataflows::time::{NextOffset, SECOND};

/// How many of a run's dead letters are not stored at its end: a log of which no record can be decoded, and a sink of
/// final rows.
pub(crate) fn lacks_dead_letters() -> i64 {
    const RECORDS: i64 = 10;
    let record = |offset| Owned { offset, append_time: None, key: None, payload: Some(b"{".to_vec()) };
    let name = PartitionName { log: "ticks".into(), number: Some(0) };
    let log = Partition { name, start: NextOffset(0), records: (0..RECORDS).map(record).collect() };
    let settings =
        Settings { bounded: true, instant: Some(BEGAN), checkpoint_interval: SECOND / 100, ..Settings::default() };
    let takes = RowFilter { changes: false, partial: true, open_every: 0 };
    let ran = run::<Avg>(&[log], &settings, &[takes], 1).unwrap();
    assert_eq!(ran.status.ledger.counts.rejected, RECORDS);
    RECORDS - i64::try_from(ran.letters.len()).unwrap()
}
