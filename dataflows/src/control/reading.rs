//! Reading: how much is in memory, and how much there may be.

use crate::edge::{Halt, HaltKind};
use crate::status::Ledger;
use crate::time::{EventTime, SECOND};

/// What all workers hold, against `--max-keys`.
#[derive(Debug)]
pub(super) struct Load {
    /// What each worker has said last; none before it has said anything.
    workers: Vec<Option<u64>>,
    max_keys: u64,
}

impl Load {
    pub(super) fn new(workers: usize, max_keys: u64) -> Self {
        Load { workers: vec![None; workers], max_keys }
    }

    /// What workers say that they hold: (worker, load).
    pub(super) fn update(&mut self, loads: &[(usize, u64)]) {
        loads.iter().for_each(|(worker, load)| self.workers[*worker] = Some(*load));
    }

    /// Is `--max-keys` reached? As workers count now; as of the newest commit, until all have said so.
    pub(super) fn is_full(&self, committed: u64) -> bool {
        let now = self.workers.iter().copied().sum::<Option<u64>>();
        now.unwrap_or(committed) >= self.max_keys
    }

    /// Is there still less than twice that at a cut? `watermark`: W, for people.
    ///
    /// # Errors
    /// 70: there is more memory in use than was allowed.
    pub(super) fn check(&self, Ledger { keys, load, .. }: Ledger, watermark: Option<EventTime>) -> Result<(), Halt> {
        if load < self.max_keys.saturating_mul(2) {
            return Ok(());
        }
        let long = if load > keys { format!(" (they count as {load}, for names are long)") } else { String::new() };
        let why = format!(
            "{keys} windows of series are open{long}, twice --max-keys: more memory than was allowed; raise --max-keys, \
             lower --lateness, or look for a partition that holds W back ({})",
            watermark.map_or("W is unknown yet".into(), |w| format!("W is at second {} since 1970", w.0 / SECOND))
        );
        Err(Halt::new(HaltKind::Internal, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_the_newest_commit_s_until_all_workers_have_told_theirs() {
        let mut load = Load::new(2, 10);
        assert!(load.is_full(10) && !load.is_full(9));
        load.update(&[(0, 1)]);
        assert!(load.is_full(10));
        load.update(&[(1, 8)]);
        assert!(!load.is_full(10));
        load.update(&[(0, 2)]);
        assert!(load.is_full(0));
    }

    #[test]
    fn twice_the_limit_ends_the_run_and_long_names_are_said() {
        let load = Load::new(1, 10);
        let held = |keys, load| Ledger { keys, load, ..Ledger::default() };
        assert_eq!(load.check(held(19, 19), None), Ok(()));
        let halt = load.check(held(5, 20), Some(EventTime(7 * SECOND))).unwrap_err();
        assert_eq!(halt.kind, HaltKind::Internal);
        assert!(halt.why.contains("count as 20") && halt.why.contains("second 7 "), "{halt}");
    }
}
