//! What a run gives to each of its workers, and what it resumes from.

use super::read::RestoredIds;
use crate::acc::Accumulate;
use crate::checkpoint::{
    Damage, FirstHeld, IdObject, IdSpan, Manifest, Object, ObjectProblem, ObjectRef, PartitionSnapshot, read_folds,
};
use crate::coarse::{CoarseWindows, split_name};
use crate::decode::Decoder;
use crate::derived::{Deriver, Fold};
use crate::edge::{Clock, LogSource, RowFilter, StateStore};
use crate::halt::Halt;
use crate::settings::Settings;
use crate::time::{Epoch, WindowStart, Windowing};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use timely::worker::Worker;

/// What a worker does: log, verdicts, sinks, state.
pub struct Job {
    /// What Control and verdicts depend on.
    pub settings: Settings,
    /// Decodes records.
    pub decoder: Decoder,
    /// The log that is read.
    pub source: Arc<dyn LogSource>,
    /// The clocks.
    pub clock: Rc<dyn Clock>,
    /// The generation's first epoch.
    pub first_epoch: Epoch,
    /// What becomes of a record that cannot be decoded.
    pub bad_records: BadRecordPolicy,
    /// Which rows each sink takes.
    pub filters: Vec<RowFilter>,
    /// Where the state is kept; `None` for a run without one.
    pub state: Option<Restored>,
    /// Whether the run is asked to end (SIGTERM). Polled by every worker; one that says so is enough.
    pub stop: Rc<dyn Fn() -> bool>,
    /// Called by a worker that has nothing to do for at most this long: [`park`], or a scheduler of a test.
    pub park: Rc<dyn Fn(&mut Worker, Duration)>,
    /// Nanoseconds between two reads of uncommitted rows for the live view ([`crate::watch`]); `None` without one.
    pub preview_interval: Option<Rc<dyn Fn() -> i64>>,
}

impl Job {
    /// Computes what rows have beside their own minute's numbers.
    pub(crate) fn deriver(&self) -> Deriver {
        Deriver::new(self.settings.derive.clone(), self.decoder.scales(), &self.settings.rule.windowing)
    }
}

/// What becomes of a record, or an element of one, that cannot be decoded. It is counted in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRecordPolicy {
    /// It is a dead letter.
    SetAside,
    /// No dead letter is kept of it: its payload is gone from the run.
    Drop,
    /// The run ends.
    Fatal,
}

/// Where the state is kept, and what it is.
#[derive(Clone)]
pub struct Restored {
    /// The store.
    pub store: Arc<dyn StateStore>,
    /// The newest manifest: this generation's first, or an unpublished one of an empty chain.
    pub head: Arc<Manifest>,
    /// For each sink, in the order of [`Job::filters`]: an earlier run has stored every window before this in it.
    pub stored_before: Vec<Option<WindowStart>>,
}

impl Restored {
    /// The windows that one worker resumes with: those of the run, and these coarser ones.
    pub(crate) fn load<A: Accumulate>(
        &self,
        worker: usize,
        peers: usize,
        coarser: &CoarseWindows,
    ) -> Result<Vec<RestoredWindow<A>>, Halt> {
        let mine = |shard| crate::shards::worker_of_shard(shard, peers) == worker as u64;
        let mut windows = BTreeMap::new();
        for part in &self.head.parts {
            for reference in &part.objects {
                let bytes = self.store.read(reference)?;
                let object = Object::open(&bytes).map_err(|e| ObjectProblem::from(e).of(&reference.name))?;
                let mut broken = None;
                let mut strange = None;
                let read = object.read(mine, |(window, name, acc)| {
                    if Some(window) >= part.retired_before {
                        let (symbol, level) = split_name(name);
                        let level = level.map_or(Some(0), |level| coarser.place(level));
                        match (A::decode(acc), level) {
                            (Ok(acc), Some(level)) => {
                                windows.insert((window, level, Box::<str>::from(symbol)), acc);
                            }
                            (Err(e), _) => broken = Some(e),
                            (_, None) => {
                                strange = Some(Damage::new(format!("has a window of {name:?}, which this run has not")))
                            }
                        }
                    }
                });
                read.map_err(|e| ObjectProblem::from(e).of(&reference.name))?;
                if let Some(e) = strange {
                    return Err(ObjectProblem::from(e).of(&reference.name).into());
                }
                if let Some(e) = broken {
                    return Err(ObjectProblem::Window(e).of(&reference.name).into());
                }
            }
        }
        let window = |((window, level, symbol), acc)| RestoredWindow { level, window, symbol, acc };
        Ok(windows.into_iter().map(window).collect())
    }

    /// The objects of the index that one worker goes on with.
    pub(crate) fn index_of(&self, worker: usize, peers: usize) -> impl Iterator<Item = ObjectRef> {
        let mine = self.head.parts.iter().enumerate().filter(move |(part, _)| part % peers == worker);
        mine.flat_map(|(_, part)| part.index.iter().cloned())
    }

    /// The folds that one worker resumes with.
    pub(crate) fn load_folds(&self, worker: usize, peers: usize) -> Result<Vec<(Box<str>, Fold)>, Halt> {
        let mine = |shard| crate::shards::worker_of_shard(shard, peers) == worker as u64;
        let mut folds = BTreeMap::new();
        for reference in self.head.parts.iter().flat_map(|part| &part.folds) {
            let bytes = self.store.read(reference)?;
            let read = read_folds(&bytes, mine, |series, fold| drop(folds.insert(Box::<str>::from(series), fold)));
            read.map_err(|e| ObjectProblem::from(e).of(&reference.name))?;
        }
        Ok(folds.into_iter().collect())
    }

    /// The ids that one worker resumes with: of its partitions, and of windows that are not final by their partition's H.
    pub(crate) fn load_ids(&self, worker: usize, peers: usize, windowing: Windowing) -> Result<RestoredIds, Halt> {
        let partitions = self.head.partitions.iter().enumerate();
        let first_held = |(index, snapshot): (usize, &PartitionSnapshot)| {
            (index, windowing.first_not_final(snapshot.state.as_ref().and_then(|state| state.h)))
        };
        let first_held: FirstHeld = partitions.map(first_held).collect();
        let mut restored = RestoredIds::default();
        for reference in self.head.parts.iter().flat_map(|part| &part.ids) {
            let bytes = self.store.read(reference)?;
            let opened = IdObject::open(&bytes).and_then(|object| {
                object.verify(self.head.partitions.len())?;
                Ok(object)
            });
            let object = opened.map_err(|e| ObjectProblem::from(e).of(&reference.name))?;
            let mine = |span: &IdSpan| span.partition % peers == worker && span.is_held(&first_held);
            object.groups(mine).for_each(|group| restored.add(group));
        }
        Ok(restored)
    }
}

/// A window that an earlier run stored.
pub(crate) struct RestoredWindow<A> {
    /// 0: of the run; else which coarser ones ([`CoarseWindows::kind`]), and `window` is its closing minute.
    pub(crate) level: usize,
    pub(crate) window: WindowStart,
    pub(crate) symbol: Box<str>,
    pub(crate) acc: A,
}

/// Sleeps until the worker is woken, at most this long.
pub fn park(worker: &mut Worker, most: Duration) {
    worker.step_or_park(Some(most));
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::decode::FieldNames;
    use crate::edge::{Discovered, PartitionReader, Wake};
    use crate::time::{EventTime, Monotonic};

    struct Nowhere;

    impl LogSource for Nowhere {
        fn discover(&self) -> Result<Vec<Discovered>, Halt> {
            Ok(Vec::new())
        }
        fn open(&self, _: &Discovered, _: Wake) -> Result<Box<dyn PartitionReader>, Halt> {
            unreachable!("there is no partition")
        }
    }

    impl Clock for Nowhere {
        fn monotonic(&self) -> Monotonic {
            Monotonic(0)
        }
        fn wall(&self) -> EventTime {
            EventTime(0)
        }
    }

    /// A job over a log without partitions, at a clock that stands still.
    pub(crate) fn job(first_epoch: Epoch, filters: Vec<RowFilter>) -> Job {
        Job {
            settings: Settings::default(),
            decoder: Decoder::new(&FieldNames::default()).unwrap(),
            source: Arc::new(Nowhere),
            clock: Rc::new(Nowhere),
            first_epoch,
            bad_records: BadRecordPolicy::SetAside,
            filters,
            state: None,
            stop: Rc::new(|| false),
            park: Rc::new(park),
            preview_interval: None,
        }
    }
}
