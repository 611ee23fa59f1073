//! Reading: how much is in memory, and how much there may be.

use super::error::MemoryError;
use crate::status::Ledger;
use crate::time::EventTime;

/// What all workers hold, against the limit `max_keys`.
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

    /// What workers report that they hold: (worker, load).
    pub(super) fn update(&mut self, loads: &[(usize, u64)]) {
        loads.iter().for_each(|(worker, load)| self.workers[*worker] = Some(*load));
    }

    /// Is `max_keys` reached? As workers count now; as of the newest commit, until all have said so.
    pub(super) fn is_full(&self, committed: u64) -> bool {
        let now = self.workers.iter().copied().sum::<Option<u64>>();
        now.unwrap_or(committed) >= self.max_keys
    }

    /// Is there still less than twice that at a cut? `watermark`: W, for people.
    ///
    /// # Errors
    /// There is not.
    pub(super) fn check(&self, ledger: Ledger, watermark: Option<EventTime>) -> Result<(), MemoryError> {
        let Ledger { keys, load, .. } = ledger;
        if load < self.max_keys.saturating_mul(2) { Ok(()) } else { Err(MemoryError { keys, load, watermark }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::halt::{Halt, HaltKind, HaltRemedy};
    use crate::time::SECOND;

    #[test]
    fn the_load_is_the_newest_commit_s_until_all_workers_have_reported_theirs() {
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
        let halt = Halt::from(load.check(held(5, 20), Some(EventTime(7 * SECOND))).unwrap_err());
        assert_eq!((halt.kind, &halt.remedy), (HaltKind::Internal, &Some(HaltRemedy::AllowMoreWindows)));
        assert!(halt.why.contains("count as 20") && halt.why.contains("second 7 "), "{halt}");
    }
}
