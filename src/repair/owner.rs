//! A repair as the owner of the state: it has the lock, and publishes as a run does that begins. So the next run resumes from its last
//! manifest, and one that hangs can commit no more.

use super::error::RepairError;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::store::{self, OwnedStore};
use minutely_dataflows::checkpoint::{Manifest, SinkState};
use minutely_dataflows::edge::{Halt, HaltKind};
use std::time::Instant;

/// See the module.
pub(super) struct StateOwner {
    store: OwnedStore,
    run: String,
    /// What it has published last; none: nothing yet.
    newest: Option<Manifest>,
    /// When that was.
    published: Instant,
}

impl StateOwner {
    /// Takes the lock of a state that is there; none where no state is kept.
    ///
    /// # Errors
    /// 65: it is damaged. 69: it does not answer. 78: a run owns it.
    pub(super) fn own(config: &Config, clock: SystemClock) -> Result<Option<Self>, Halt> {
        let Some(place) = &config.state else { return Ok(None) };
        let store = store::open(place, false, None).map_err(|halt| match halt.kind {
            HaltKind::Fenced => RepairError::Owned { why: halt.why }.into(),
            _ => halt,
        })?;
        let run = format!("repair-{}-{}", std::process::id(), clock.wall().0);
        Ok(Some(StateOwner { store, run, newest: None, published: Instant::now() }))
    }

    /// Publishes the first manifest, once: only then may files be changed.
    ///
    /// # Errors
    /// 69: it cannot be written. 78: another run was first.
    pub(super) fn begin(&mut self) -> Result<&Manifest, Halt> {
        let next = match self.newest.take() {
            Some(newest) => newest,
            None => {
                let next = self.store.restarted(Manifest::default, &self.run);
                self.store.begin(&next)?;
                self.published = Instant::now();
                next
            }
        };
        Ok(self.newest.insert(next))
    }

    /// Publishes what is true of a sink by now.
    ///
    /// # Errors
    /// As [`StateOwner::begin`].
    pub(super) fn change(&mut self, name: &str, change: impl Fn(&mut SinkState)) -> Result<(), Halt> {
        let newest = self.begin()?.clone();
        let of_sink = |manifest: &mut Manifest| {
            manifest.sinks.iter_mut().filter(|sink| sink.name == name).for_each(&change);
        };
        self.newest = Some(self.store.publish(&newest, of_sink)?);
        self.published = Instant::now();
        Ok(())
    }

    /// Lets others see that the state has an owner, once it has begun: see [`OwnedStore::stays`].
    ///
    /// # Errors
    /// As [`StateOwner::begin`].
    pub(super) fn stays(&mut self) -> Result<(), Halt> {
        self.newest.as_mut().map_or(Ok(()), |newest| self.store.stays(newest, &mut self.published))
    }
}
