//! What each process of a run reads: partitions go to workers in the order in which they were found.

use super::view::LatestStatus;
use minutely_dataflows::partition::PartitionState;

/// What one process reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessWork {
    pub(super) partitions: usize,
    /// Records, as of the newest reports.
    pub(super) read: i64,
    /// How far the slowest of its partitions is behind the newest of all, in nanoseconds of event time.
    pub(super) lag: Option<i64>,
}

/// What each of the processes reads, in order. `workers`: of all processes together.
pub(super) fn of_processes(latest: &LatestStatus, workers: usize, processes: usize) -> Vec<ProcessWork> {
    let mut all = vec![ProcessWork::default(); processes];
    let each = (workers / processes.max(1)).max(1);
    let states = || latest.status.partitions.iter().map(|(_, state)| state.as_ref());
    let newest = states().flatten().filter_map(PartitionState::watermark).max();
    for (index, state) in states().enumerate() {
        let Some(work) = all.get_mut(index % workers.max(1) / each) else { continue };
        work.partitions += 1;
        let Some(state) = state else { continue };
        work.read += state.counts.read;
        let behind = newest.zip(state.watermark()).map(|(newest, mark)| newest.0 - mark.0);
        work.lag = work.lag.max(behind);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::testing::latest;
    use super::*;
    use minutely_dataflows::partition::Counts;
    use minutely_dataflows::time::EventTime;

    #[test]
    fn partitions_are_of_the_process_whose_worker_reads_them() {
        let one = latest(Counts::default()).status.partitions.remove(0);
        let state = |read: i64, h: Option<i64>| {
            let (found, state) = one.clone();
            let counts = Counts { read, ..Counts::default() };
            (found, state.map(|state| PartitionState { h: h.map(EventTime), counts, ..state }))
        };
        let mut now = LatestStatus::default();
        let unknown = (one.0.clone(), None);
        now.status.partitions =
            vec![state(1, Some(100)), state(10, Some(70)), state(100, None), state(1000, Some(90)), unknown];
        let work = |partitions, read, lag| ProcessWork { partitions, read, lag };
        // Four workers in two processes: the fifth partition is the first worker's again.
        assert_eq!(of_processes(&now, 4, 2), [work(3, 11, Some(30)), work(2, 1100, Some(10))]);
        assert_eq!(of_processes(&now, 2, 2), [work(3, 101, Some(0)), work(2, 1010, Some(30))]);
        assert_eq!(of_processes(&now, 8, 8)[4..6], [work(1, 0, None), work(0, 0, None)]);
        assert_eq!(of_processes(&now, 3, 0), []);
    }
}
