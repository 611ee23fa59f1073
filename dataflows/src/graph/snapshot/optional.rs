//! A worker's objects of a kind that not every job has: ids, folds, the index. They have a port of their own, opened with the first entry, so a
//! job without any has none; objects of several kinds are written at the same time.

use super::objects::{CutObjects, DurableObjects};
use crate::checkpoint::ObjectRef;
use crate::edge::{Halt, StateStore, Wake};
use std::sync::Arc;

/// See the module.
pub(super) struct OptionalObjects {
    /// The store, and how names begin. Absent without a state.
    store: Option<(Arc<dyn StateStore>, String)>,
    wake: Wake,
    /// Absent before the first entry.
    objects: Option<DurableObjects>,
    /// Cuts that came before the first entry, and were not taken.
    empty: usize,
}

impl OptionalObjects {
    pub(super) fn new(store: Option<(Arc<dyn StateStore>, String)>, wake: Wake) -> Self {
        OptionalObjects { store, wake, objects: None, empty: 0 }
    }

    /// Goes on with objects of an earlier run.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn adopt(&mut self, adopted: Vec<ObjectRef>) -> Result<(), Halt> {
        if let (Some((store, prefix)), false) = (&self.store, adopted.is_empty()) {
            let mut objects = DurableObjects::new(store.port(Arc::clone(&self.wake))?, prefix.clone());
            objects.adopt(adopted);
            self.objects = Some(objects);
        }
        Ok(())
    }

    /// Begins to write the objects of the next cut.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn cut(&mut self, cut: CutObjects) -> Result<(), Halt> {
        if let (None, Some((store, prefix)), false) = (&self.objects, &self.store, cut.contents.is_empty()) {
            self.objects = Some(DurableObjects::new(store.port(Arc::clone(&self.wake))?, prefix.clone()));
        }
        match &mut self.objects {
            Some(objects) => objects.cut(cut),
            None => self.empty += 1,
        }
        Ok(())
    }

    /// Looks at what has become durable since the last call.
    ///
    /// # Errors
    /// When nothing can be written any more.
    pub(super) fn poll(&mut self) -> Result<(), Halt> {
        self.objects.as_mut().map_or(Ok(()), DurableObjects::poll)
    }

    /// Are all objects of the oldest cut durable that was not taken?
    pub(super) fn is_ready(&self) -> bool {
        self.empty > 0 || self.objects.as_ref().is_some_and(DurableObjects::is_ready)
    }

    /// The objects that it needs.
    pub(super) fn take(&mut self) -> Vec<ObjectRef> {
        match self.empty.checked_sub(1) {
            Some(empty) => {
                self.empty = empty;
                Vec::new()
            }
            None => self.objects.as_mut().and_then(DurableObjects::take).unwrap_or_default().all,
        }
    }
}
