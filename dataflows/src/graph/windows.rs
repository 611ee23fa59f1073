//! The arrangement's history: the sums of every window that a worker holds, as of any epoch that can still be distinguished.
//!
//! ```text
//!   committed cut          cuts that are not committed       frontier
//!   ──────┬──────────────────────┬──────────────────────────────┬────>  epochs
//!         │<──────────── each epoch can be read ───────────────>│
//!   compact_to: all before it is one sum           merge_before: batches before it are merged
//! ```
//!
//! The rule: history is kept from the newest committed cut on. Rows for sinks are read as of that cut, objects of a checkpoint
//! as of a later one, which is not committed before its object is durable. Whoever wants everything there is (retirement, the
//! preview) is not concerned. A read as of an earlier epoch is a broken promise, and panics.
//!
//! A pass has one cursor and goes forward: keys are asked for in ascending order.

use super::key::WindowKey;
use crate::acc::Accumulate;
use crate::time::{Epoch, WindowStart};
use differential_dataflow::operators::arrange::TraceAgent;
use differential_dataflow::trace::cursor::{CursorList, cursor_list};
use differential_dataflow::trace::implementations::ord_neu::OrdKeySpine;
use differential_dataflow::trace::{Cursor, Navigable, TraceReader};
use std::cell::{Cell, RefCell, RefMut};
use timely::progress::frontier::AntichainRef;

pub(crate) type Spine<A> = OrdKeySpine<WindowKey, Epoch, A>;
type Batch<A> = <TraceAgent<Spine<A>> as TraceReader>::Batch;
/// A batch, if its interval has updates, and the interval.
pub(crate) type Span<A> = differential_dataflow::trace::Span<Epoch, Batch<A>>;

/// Hands each key and epoch that a batch has updates for to `each`, keys ascending.
pub(crate) fn each_update<A: Accumulate>(span: &Span<A>, mut each: impl FnMut(WindowKey, Epoch)) {
    let Some(batch) = &span.inner else { return };
    let mut cursor = batch.cursor();
    while let Some(key) = cursor.get_key(batch).copied() {
        cursor.map_times(batch, |time, _| each(key, *time));
        cursor.step_key(batch);
    }
}

/// Hands each key that a batch has updates for to `each`, ascending.
pub(crate) fn each_key<A: Accumulate>(span: &Span<A>, mut each: impl FnMut(WindowKey)) {
    let Some(batch) = &span.inner else { return };
    let mut cursor = batch.cursor();
    while let Some(key) = cursor.get_key(batch).copied() {
        each(key);
        cursor.step_key(batch);
    }
}

/// One worker's windows.
pub(crate) struct Windows<A: Accumulate> {
    /// Absent until the arrangement is built.
    trace: RefCell<Option<TraceAgent<Spine<A>>>>,
    /// Epochs before this cannot be distinguished any more.
    compacted_to: Cell<Option<Epoch>>,
}

impl<A: Accumulate> Windows<A> {
    /// Of an arrangement that is still to be built.
    pub(crate) fn unattached() -> Self {
        Windows { trace: RefCell::new(None), compacted_to: Cell::new(None) }
    }

    /// The arrangement is built.
    pub(crate) fn attach(&self, trace: TraceAgent<Spine<A>>) {
        self.trace.borrow_mut().replace(trace);
    }

    fn trace(&self) -> RefMut<'_, TraceAgent<Spine<A>>> {
        RefMut::map(self.trace.borrow_mut(), |trace| trace.as_mut().expect("the arrangement was built"))
    }

    /// This cut is committed: nothing is read as of an earlier epoch any more.
    pub(crate) fn compact_to(&self, cut: Epoch) {
        self.compacted_to.set(self.compacted_to.get().max(Some(cut)));
        self.trace().set_logical_compaction(AntichainRef::new(&[cut]));
    }

    /// Everything before this epoch has arrived: batches up to it may be merged.
    pub(crate) fn merge_before(&self, epoch: Epoch) {
        self.trace().set_physical_compaction(AntichainRef::new(&[epoch]));
    }

    /// Begins a pass over all keys, as of an epoch; `None`: with everything that is there.
    ///
    /// # Panics
    /// When that epoch cannot be distinguished from later ones any more.
    pub(crate) fn pass(&self, as_of: Option<Epoch>) -> WindowsPass<A> {
        let compacted_to = self.compacted_to.get();
        assert!(as_of.is_none() || as_of >= compacted_to, "read as of {as_of:?}, compacted to {compacted_to:?}");
        let batches = self.trace().batches_through(AntichainRef::new(&[])).expect("the end is always a clean cut");
        let (cursor, storage) = cursor_list(batches);
        WindowsPass { cursor, storage, through: as_of.unwrap_or(Epoch::MAX), asked: None }
    }

    /// Records that all windows of the run count, as of an epoch. Coarser ones count the same records again.
    pub(crate) fn count(&self, as_of: Epoch) -> i64 {
        let mut pass = self.pass(Some(as_of));
        let mut records = 0;
        while let Some(key) = pass.key() {
            if key.is_minute() {
                pass.each_diff(|diff| records += diff.count());
            }
            pass.step();
        }
        records
    }
}

/// One pass over a worker's windows, forward.
pub(crate) struct WindowsPass<A: Accumulate> {
    cursor: CursorList<<Batch<A> as Navigable>::Cursor>,
    storage: Vec<Batch<A>>,
    /// Updates of later epochs are left out.
    through: Epoch,
    /// The last key whose sum was asked for.
    asked: Option<WindowKey>,
}

impl<A: Accumulate> WindowsPass<A> {
    /// The sum of a key that is no smaller than those before it; `None` where it has no update.
    ///
    /// # Panics
    /// When it is smaller: the cursor does not go back, and the key would be taken for one without updates.
    pub(crate) fn sum(&mut self, key: WindowKey) -> Option<A> {
        assert!(self.asked <= Some(key), "{key:?} is asked for after {:?}", self.asked);
        self.asked = Some(key);
        self.cursor.seek_key(&self.storage, &key);
        (self.key() == Some(key)).then(|| self.sum_here()).flatten()
    }

    /// Goes on to the first key of this window, or to the first one after it.
    pub(crate) fn seek(&mut self, window: WindowStart) {
        self.cursor.seek_key(&self.storage, &WindowKey { window, id: 0 });
    }

    /// The next key before this window, with its sum.
    pub(crate) fn next_before(&mut self, window: WindowStart) -> Option<(WindowKey, Option<A>)> {
        let key = self.key().filter(|key| key.window < window)?;
        let sum = self.sum_here();
        self.step();
        Some((key, sum))
    }

    fn key(&self) -> Option<WindowKey> {
        self.cursor.get_key(&self.storage).copied()
    }

    fn step(&mut self) {
        self.cursor.step_key(&self.storage);
    }

    fn sum_here(&mut self) -> Option<A> {
        let mut sum: Option<A> = None;
        self.each_diff(|diff| match &mut sum {
            Some(sum) => sum.plus_equals(diff),
            None => sum = Some(*diff),
        });
        sum
    }

    fn each_diff(&mut self, mut each: impl FnMut(&A)) {
        let through = self.through;
        self.cursor.map_times(&self.storage, |time, diff| {
            if *time <= through {
                each(diff);
            }
        });
    }
}
