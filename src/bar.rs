//! How far a bounded run has come, at the bottom of a terminal; nowhere else. Lines are printed above it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use minutely_dataflows::edge::{ReadProgress, UNKNOWN_END};
use minutely_dataflows::status::Status;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// In bytes where the source measures so, else in records. `msg`: records a second.
const BYTES: &str = "{bar:30} {percent:>3} %  {bytes} of {total_bytes}  {msg}  {eta} left";
const RECORDS: &str = "{bar:30} {percent:>3} %  {human_pos} of {human_len} records  {msg}  {eta} left";

/// The bar that is shown. One for the process, as there is one stderr.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bar, drawn without the lock: a panic prints, too.
fn current() -> Option<ProgressBar> {
    shown().clone()
}

/// Shows how much was read. `of_source`: in bytes, where the source measures so.
pub(crate) fn show(status: &Status, of_source: Option<ReadProgress>) {
    match of_source {
        Some(bytes) => show_bytes(bytes),
        None => of_offsets(status).into_iter().for_each(show_records),
    }
}

/// Shows how many bytes were read, of how many.
pub(crate) fn show_bytes(now: ReadProgress) {
    draw(BYTES, now);
}

/// Shows how many records were, of how many.
pub(crate) fn show_records(now: ReadProgress) {
    draw(RECORDS, now);
}

fn draw(template: &str, now: ReadProgress) {
    if now.total == 0 {
        return;
    }
    let bar = shown()
        .get_or_insert_with(|| {
            let style = ProgressStyle::with_template(template).expect("a template of its known parts");
            ProgressBar::with_draw_target(Some(now.total), ProgressDrawTarget::stderr()).with_style(style)
        })
        .clone();
    bar.set_length(now.total);
    bar.set_position(now.done.min(now.total));
}

/// Shows how fast records are read.
pub(crate) fn show_rate(records_per_second: i128) {
    if let Some(bar) = current() {
        bar.set_message(format!("{records_per_second} records/s"));
    }
}

/// Takes the bar away.
pub(crate) fn remove() {
    let bar = shown().take();
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

/// Prints above the bar, if there is one.
pub(crate) fn above(print: impl FnOnce()) {
    match current() {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// By offsets, of all partitions; none where an end is not known.
fn of_offsets(status: &Status) -> Option<ReadProgress> {
    let mut sum = ReadProgress { done: 0, total: 0 };
    for (found, state) in &status.partitions {
        let end = found.end.filter(|end| *end != UNKNOWN_END)?;
        let next = state.as_ref().map_or(found.start, |state| state.next);
        let records = |upto: i64| u64::try_from(upto.saturating_sub(found.start.0)).unwrap_or(0);
        sum.done = sum.done.saturating_add(records(next.0));
        sum.total = sum.total.saturating_add(records(end));
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::edge::Discovered;
    use minutely_dataflows::record::PartitionName;
    use minutely_dataflows::time::NextOffset;

    #[test]
    fn offsets_tell_how_much_there_is_where_all_ends_are_known() {
        let status = |ends: &[Option<i64>]| {
            let found = |(number, end): (i32, &Option<i64>)| {
                let (start, name) = (NextOffset(10), PartitionName { log: "t".into(), number: Some(number) });
                (Discovered { name, start, earliest: start, end: *end, log_id: None }, None)
            };
            Status { partitions: (0..).zip(ends).map(found).collect(), ..Status::default() }
        };
        assert_eq!(of_offsets(&status(&[Some(15), Some(10)])), Some(ReadProgress { done: 0, total: 5 }));
        assert_eq!(of_offsets(&status(&[Some(15), None])), None);
        assert_eq!(of_offsets(&status(&[Some(UNKNOWN_END)])), None);
    }

    #[test]
    fn nothing_is_shown_where_nobody_looks() {
        // Tests have no terminal, or print nothing of their own on it.
        above(|| ());
        show_rate(5);
        remove();
        assert!(shown().is_none());
    }
}
