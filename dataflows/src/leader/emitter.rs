//! Emitter: on worker 0, merges the workers' rows of a round into (minute, kind, symbol) order and hands them to the sink. Rows of
//! coarser windows come with those of their closing minute.

use super::groups::GroupRows;
use crate::control::SinkInfo;
use crate::edge::{Halt, RowBatch, RowFilter, SinkPort, SinkProgress};
use crate::graph::outbox::Chunk;
use crate::protocol::SinkFacts;
use crate::row::{Row, RowKind};
use crate::time::WindowStart;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Rows in a batch for a sink: SQLite makes one durable transaction of each, InfluxDB one request.
const BATCH: usize = 5000;

/// One sink and what is on its way there.
pub struct SinkHandle {
    /// For people: which sink.
    pub name: String,
    /// The rows that it takes.
    pub filter: RowFilter,
    /// The way to it.
    pub port: Box<dyn SinkPort>,
    /// The chain that its rows carry, where they have versions.
    pub chain: Option<u64>,
}

impl SinkHandle {
    /// What Control knows of it.
    pub(super) fn info(&self) -> SinkInfo {
        SinkInfo { name: self.name.clone(), filter: self.filter, chain: self.chain }
    }
}

/// The merge of one sink's rounds.
pub(super) struct Emitter {
    port: Box<dyn SinkPort>,
    workers: Vec<Lane>,
    round: u64,
    /// Has a batch of this round been offered, and is it complete?
    offered: bool,
    complete: bool,
    batch: Vec<Row>,
    /// The oldest commit that a row of the batch was read as of.
    seq: u64,
    waiting: Option<RowBatch>,
    /// Batches that the sink has accepted, since the start.
    batches: u64,
    stored: SinkProgress,
    /// Where there are groups.
    groups: Option<GroupRows>,
    /// Rows of groups since they were taken last, where a view is shown them.
    shown_groups: Option<Vec<Row>>,
}

/// One worker's chunks of the round.
#[derive(Default)]
struct Lane {
    chunks: VecDeque<(u64, VecDeque<(WindowStart, Row)>)>,
    last: bool,
    /// Chunks consumed since the start, and how many of them were announced to the worker.
    consumed: u64,
    announced: u64,
}

impl Lane {
    /// Lets go of chunks that are used up.
    fn trim(&mut self) {
        while self.chunks.front().is_some_and(|(_, rows)| rows.is_empty()) {
            self.chunks.pop_front();
            self.consumed += 1;
        }
    }
}

impl Emitter {
    pub(super) fn new(port: Box<dyn SinkPort>, workers: usize, groups: Option<GroupRows>) -> Self {
        let workers = (0..workers).map(|_| Lane::default()).collect();
        Emitter {
            port,
            workers,
            round: 0,
            offered: false,
            complete: true,
            batch: Vec::new(),
            seq: u64::MAX,
            waiting: None,
            batches: 0,
            stored: SinkProgress::default(),
            groups,
            shown_groups: None,
        }
    }

    /// Rows of groups are kept until they are taken to be shown.
    pub(super) fn show_groups(&mut self) {
        self.shown_groups = self.groups.is_some().then(Vec::new);
    }

    /// Rows of groups that the sink was sent since the last call; none unless they are shown.
    pub(super) fn take_shown_groups(&mut self) -> Vec<Row> {
        self.shown_groups.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A round begins; `final_before`: minutes before this are final at the newest commit.
    pub(super) fn begin(&mut self, round: u64, final_before: Option<WindowStart>) {
        self.groups.iter_mut().for_each(|groups| groups.begin(final_before));
        self.round = round;
        (self.offered, self.complete) = (false, false);
        self.workers.iter_mut().for_each(|lane| lane.last = false);
    }

    pub(super) fn arrive(&mut self, chunk: Chunk) {
        let lane = &mut self.workers[chunk.worker];
        lane.last = chunk.last;
        lane.chunks.push_back((chunk.seq, chunk.rows.into()));
        lane.trim();
    }

    /// What is to be announced to each worker of its chunks: (worker, consumed since the start), if that changed.
    pub(super) fn chunks_consumed(&mut self) -> Vec<(usize, u64)> {
        let changed = |(worker, lane): (usize, &mut Lane)| {
            (std::mem::replace(&mut lane.announced, lane.consumed) != lane.consumed).then_some((worker, lane.consumed))
        };
        self.workers.iter_mut().enumerate().filter_map(changed).collect()
    }

    /// Merges and offers as far as chunks and room go. How far the sink is.
    pub(super) fn pump(&mut self) -> Result<SinkFacts, Halt> {
        while self.clear() && self.fill() {}
        if let Some(stored) = self.port.stored()?.filter(|stored| stored.at >= self.stored.at) {
            self.stored = stored;
        }
        Ok(SinkFacts { stored: self.stored, batches: self.batches })
    }

    /// Is there room for another batch?
    fn clear(&mut self) -> bool {
        if let Some(batch) = self.waiting.take() {
            self.waiting = self.port.offer(batch).err();
            self.batches += u64::from(self.waiting.is_none());
        }
        self.waiting.is_none()
    }

    /// A row for the batch, behind those of groups whose minutes are before the one that it stands under.
    fn push(&mut self, window: WindowStart, row: Row, seq: u64) {
        self.push_groups(Some(window));
        self.groups.iter_mut().for_each(|groups| groups.add(&row, seq));
        self.seq = self.seq.min(seq);
        self.batch.push(row);
    }

    /// Rows of groups whose minutes are complete and before this, or all.
    fn push_groups(&mut self, before: Option<WindowStart>) {
        for (row, seq) in self.groups.iter_mut().flat_map(|groups| groups.take_before(before)) {
            self.seq = self.seq.min(seq);
            self.shown_groups.iter_mut().for_each(|shown| shown.push(row.clone()));
            self.batch.push(row);
        }
    }

    /// No row of a minute before this is made of a group any more; none without groups.
    pub(super) fn groups_done(&self) -> Option<Option<WindowStart>> {
        self.groups.as_ref().map(GroupRows::done)
    }

    /// One more batch, if enough rows are there.
    fn fill(&mut self) -> bool {
        if self.complete {
            return false;
        }
        let ready = |lane: &Lane| lane.last || !lane.chunks.is_empty();
        let mut heap = BinaryHeap::new();
        if self.workers.iter().all(ready) {
            let heads = self.workers.iter().enumerate().filter(|(_, lane)| !lane.chunks.is_empty());
            heap.extend(heads.map(|(worker, lane)| Reverse(head(lane, worker))));
        }
        let mut starved = heap.is_empty();
        while self.batch.len() < BATCH {
            let Some(Reverse((_, worker))) = heap.pop() else { break };
            let lane = &mut self.workers[worker];
            let (seq, rows) = lane.chunks.front_mut().expect("a lane in the heap has a row");
            let (seq, (window, row)) = (*seq, rows.pop_front().expect("a chunk that is kept has a row"));
            lane.trim();
            self.push(window, row, seq);
            let lane = &self.workers[worker];
            if !lane.chunks.is_empty() {
                heap.push(Reverse(head(lane, worker)));
            } else if !lane.last {
                starved = true;
                break;
            }
        }
        let over = self.workers.iter().all(|lane| lane.last && lane.chunks.is_empty());
        self.complete = over;
        if over {
            self.push_groups(None);
        }
        if over && self.batch.is_empty() && !self.offered {
            // Nothing to store, and all rounds before it are stored: rounds do not overlap.
            self.stored.at = self.round;
            return false;
        }
        if over || self.batch.len() >= BATCH {
            let (rows, seq) = (std::mem::take(&mut self.batch), std::mem::replace(&mut self.seq, u64::MAX));
            self.waiting = Some(RowBatch { round: self.round, seq, rows, last: over });
            self.offered = true;
            return true;
        }
        !starved
    }
}

/// What a row goes by in a round: the window that it stands under, its kind, its symbol.
type RowOrder = (WindowStart, RowKind, String);

fn head(lane: &Lane, worker: usize) -> (RowOrder, usize) {
    let first = lane.chunks.front().and_then(|(_, rows)| rows.front());
    let (window, row) = first.expect("a lane that is asked has a row");
    ((*window, row.kind, row.symbol.clone()), worker)
}
