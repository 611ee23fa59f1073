//! Rounds: what each sink is sent and has stored, and which windows may be forgotten for it.
//!
//! A round of a sink begins when there is something that it has not been sent and its last round is stored. It holds what
//! is due as of the newest commit; what it promises once stored is that every window is there which is final at it.

use super::error::StallError;
use super::stall::{StallLimit, StallTimer};
use crate::checkpoint::{Manifest, SinkState};
use crate::edge::RowFilter;
use crate::mutants::{self, Mutant};
use crate::protocol::{Commit, Round, SinkFacts, SinkId};
use crate::status::SinkStatus;
use crate::time::{EventTime, Monotonic, WindowStart, Windowing};

/// A sink as the run was given it.
#[derive(Clone, Debug)]
pub struct SinkInfo {
    /// What it is called.
    pub name: String,
    /// The rows that it takes.
    pub filter: RowFilter,
    /// The chain that its rows carry, where they have versions.
    pub chain: Option<u64>,
}

/// The newest commit, as sinks see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewestCommit {
    /// Its number.
    pub(super) seq: u64,
    /// The number of the newest commit that changed a row.
    pub(super) changed: u64,
    /// Windows before this are final at it; none while W is unknown.
    pub(super) final_before: Option<WindowStart>,
}

impl NewestCommit {
    pub(super) fn new(commit: Commit, changed: u64, windowing: &Windowing) -> Self {
        NewestCommit { seq: commit.seq, changed, final_before: final_before(commit, windowing) }
    }
}

/// Windows before this are final at a commit; none while W is unknown.
pub(super) fn final_before(commit: Commit, windowing: &Windowing) -> Option<WindowStart> {
    commit.marks.w.map(|w| windowing.first_not_final(Some(w)))
}

/// One sink.
#[derive(Debug)]
struct Sink {
    info: SinkInfo,
    /// Rounds begun and stored, each since the run began. They do not overlap.
    begun: u64,
    stored: u64,
    /// It has stored every window before this.
    stored_before: Option<WindowStart>,
    /// As `stored_before`, once the round in progress is stored.
    promised: Option<WindowStart>,
    /// What the newest manifest says of `stored_before`, and what the one says that is being published.
    known: Option<WindowStart>,
    published: Option<WindowStart>,
    /// How long its file was when `stored_before` was reached, in bytes, or which version its database had.
    position: Option<u64>,
    /// The number of the commit that its newest round began with.
    seq: u64,
    /// That round left out rows of open windows.
    lacks_open: bool,
    /// When a round with rows of open windows began last.
    open_at: Option<Monotonic>,
    timer: StallTimer,
}

impl Sink {
    fn new(info: SinkInfo, head: Option<&Manifest>) -> Self {
        let known = head.and_then(|head| head.sink(&info.name));
        let stored_before = known.and_then(|known| known.stored_before);
        Sink {
            info,
            begun: 0,
            stored: 0,
            stored_before,
            promised: stored_before,
            known: stored_before,
            published: stored_before,
            position: known.and_then(|known| known.position),
            seq: 0,
            lacks_open: false,
            open_at: None,
            timer: StallTimer::default(),
        }
    }

    /// Is its newest round stored?
    fn is_idle(&self) -> bool {
        self.stored == self.begun
    }

    /// Is there something that it has not been sent? `with_open`: rows of open windows count.
    fn has_unsent(&self, committed: Option<NewestCommit>, with_open: bool) -> bool {
        if self.info.filter.changes {
            committed.is_some_and(|committed| committed.changed > self.seq) || (self.lacks_open && with_open)
        } else {
            committed.and_then(|committed| committed.final_before) > self.promised
        }
    }

    /// How long it has stored nothing, in nanoseconds.
    fn acknowledge(&mut self, SinkFacts { stored, batches }: SinkFacts, now: Monotonic) -> i64 {
        self.stored = stored.at;
        if self.is_idle() || mutants::on(Mutant::ForgottenBeforeStored) {
            self.stored_before = self.stored_before.max(self.promised);
            self.position = stored.position.or(self.position);
        }
        // A batch is progress: a round may be all of a large log.
        self.timer.waited(self.is_idle(), (stored.at, batches), now)
    }

    /// The round that begins now, if one does. `last`: it is the run's last.
    fn begin(&mut self, id: SinkId, committed: NewestCommit, last: bool, now: Monotonic) -> Option<Round> {
        let RowFilter { changes, open_every, .. } = self.info.filter;
        let due = open_every == 0 || self.open_at.is_none_or(|at| now.0 - at.0 >= open_every);
        let with_open = changes && (due || last);
        if self.stored < self.begun || !self.has_unsent(Some(committed), with_open) {
            return None;
        }
        self.begun += 1;
        (self.seq, self.lacks_open, self.promised) = (committed.seq, changes && !with_open, committed.final_before);
        if with_open {
            self.open_at = Some(now);
        }
        Some(Round { sink: id, round: self.begun, with_open })
    }
}

/// All sinks of the run.
#[derive(Debug)]
pub(super) struct Sinks {
    /// In the order of [`SinkId`].
    sinks: Vec<Sink>,
    /// Windows before this are stored by every sink, and forgotten.
    retired_before: Option<WindowStart>,
    /// How far before a window others begin that its rows are derived from, in nanoseconds: so much longer they are kept.
    look_back: i64,
}

impl Sinks {
    /// As `head`, the manifest that the run resumes from, left them.
    pub(super) fn new(sinks: Vec<SinkInfo>, head: Option<&Manifest>, look_back: i64) -> Self {
        Sinks {
            sinks: sinks.into_iter().map(|info| Sink::new(info, head)).collect(),
            retired_before: head.and_then(|head| head.parts.iter().map(|part| part.retired_before).min().flatten()),
            look_back,
        }
    }

    /// What sinks have stored. `limit`: the run waits for them, no longer than that.
    ///
    /// # Errors
    /// One has stored nothing for longer than that.
    pub(super) fn acknowledge(
        &mut self,
        facts: &[SinkFacts],
        limit: Option<StallLimit>,
        now: Monotonic,
    ) -> Result<(), StallError> {
        for (sink, facts) in self.sinks.iter_mut().zip(facts) {
            let waited = sink.acknowledge(*facts, now);
            if let Some(seconds) = limit.and_then(|limit| limit.exceeded_by(waited)) {
                return Err(StallError::Sink { name: sink.info.name.clone(), seconds });
            }
        }
        Ok(())
    }

    /// A manifest is made now.
    pub(super) fn publish(&mut self) {
        self.sinks.iter_mut().for_each(|sink| sink.published = sink.stored_before);
    }

    /// It is published.
    pub(super) fn note_published(&mut self) {
        self.sinks.iter_mut().for_each(|sink| sink.known = sink.published);
    }

    /// Does the newest manifest know which windows each sink has stored?
    pub(super) fn are_known(&self) -> bool {
        self.sinks.iter().all(|sink| sink.known == sink.stored_before)
    }

    /// Windows before this are to be forgotten from now on, if that is news.
    pub(super) fn retire(&mut self, is_committed: bool) -> Option<WindowStart> {
        let unneeded_before = self.unneeded_before();
        // Not before a commit: only then is all that an earlier run committed in the traces that are to forget it.
        if unneeded_before > self.retired_before && (is_committed || mutants::on(Mutant::LineBeforeCommit)) {
            self.retired_before = unneeded_before;
            return unneeded_before;
        }
        None
    }

    /// Windows before this are stored by every sink, and no row that is not looks back at them.
    fn unneeded_before(&self) -> Option<WindowStart> {
        let stored_before = self.sinks.iter().map(|sink| sink.stored_before).min().flatten();
        let look_back = if mutants::on(Mutant::LookBackForgotten) { 0 } else { self.look_back };
        // (Before the first of all windows there is nothing to forget, however far rows look back.)
        let first = -EventTime::FARTHEST;
        stored_before.map(|window| WindowStart(window.0.saturating_sub(look_back).max(first)))
    }

    /// Is all forgotten that may be, once every window before this is stored?
    pub(super) fn have_retired(&self, final_before: Option<WindowStart>) -> bool {
        let first = -EventTime::FARTHEST;
        let least = final_before.map(|window| WindowStart(window.0.saturating_sub(self.look_back).max(first)));
        self.retired_before >= least
    }

    /// Windows before this are stored by every sink, and forgotten.
    pub(super) fn retired_before(&self) -> Option<WindowStart> {
        self.retired_before
    }

    /// The rounds that begin now. `last`: they are the run's last.
    pub(super) fn begin_rounds(&mut self, committed: Option<NewestCommit>, last: bool, now: Monotonic) -> Vec<Round> {
        let Some(committed) = committed else { return Vec::new() };
        let each = self.sinks.iter_mut().enumerate();
        each.filter_map(|(number, sink)| sink.begin(SinkId(number), committed, last, now)).collect()
    }

    /// Is a round under way?
    pub(super) fn are_storing(&self) -> bool {
        self.sinks.iter().any(|sink| sink.stored < sink.begun)
    }

    /// Has every sink stored all that there is for it?
    pub(super) fn have_all(&self, committed: Option<NewestCommit>) -> bool {
        self.sinks.iter().all(|sink| sink.is_idle() && !sink.has_unsent(committed, sink.info.filter.changes))
    }

    /// Does a sink lack windows that are final?
    pub(super) fn lack(&self, final_before: Option<WindowStart>) -> bool {
        self.sinks.iter().any(|sink| sink.stored_before < final_before)
    }

    pub(super) fn status(&self) -> Vec<SinkStatus> {
        let of = |sink: &Sink| SinkStatus { begun: sink.begun, stored: sink.stored, stored_before: sink.stored_before };
        self.sinks.iter().map(of).collect()
    }

    /// As a manifest has them. A sink that this run does not have stays as `head` has it: it may come back.
    pub(super) fn states(&self, head: &Manifest) -> Vec<SinkState> {
        let of = |sink: &Sink| SinkState {
            name: sink.info.name.clone(),
            stored_before: sink.stored_before,
            position: sink.position,
            chain: sink.info.chain,
            ..head.sink(&sink.info.name).cloned().unwrap_or_default()
        };
        let is_absent = |known: &&SinkState| self.sinks.iter().all(|sink| sink.info.name != known.name);
        self.sinks.iter().map(of).chain(head.sinks.iter().filter(is_absent).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::SinkProgress;

    fn sinks(filter: RowFilter) -> Sinks {
        Sinks::new(vec![SinkInfo { name: "a".into(), filter, chain: None }], None, 0)
    }

    fn committed(seq: u64, final_before: i64) -> Option<NewestCommit> {
        Some(NewestCommit { seq, changed: seq, final_before: Some(WindowStart(final_before)) })
    }

    fn stored(sinks: &mut Sinks, round: u64) {
        let stored = SinkProgress { at: round, position: None };
        sinks.acknowledge(&[SinkFacts { stored, batches: round }], None, Monotonic(0)).unwrap();
    }

    #[test]
    fn a_window_is_forgotten_once_the_round_that_holds_its_final_row_is_stored_and_something_is_committed() {
        let mut sinks = sinks(RowFilter { changes: false, partial: true, open_every: 0 });
        assert!(sinks.begin_rounds(None, false, Monotonic(0)).is_empty());
        assert_eq!(sinks.begin_rounds(committed(1, 60), false, Monotonic(0)).len(), 1);
        assert!(sinks.begin_rounds(committed(2, 90), false, Monotonic(0)).is_empty(), "rounds do not overlap");
        assert!(sinks.are_storing() && sinks.lack(Some(WindowStart(60))));
        stored(&mut sinks, 0);
        assert_eq!(sinks.retire(true), None);
        stored(&mut sinks, 1);
        assert_eq!(sinks.retire(false), None);
        assert_eq!(sinks.retire(true), Some(WindowStart(60)));
        assert_eq!((sinks.retire(true), sinks.retired_before()), (None, Some(WindowStart(60))), "it is said once");
        assert!(sinks.have_all(committed(1, 60)) && !sinks.have_all(committed(2, 90)));
    }

    #[test]
    fn rows_of_open_windows_wait_for_their_time_or_for_the_last_round() {
        let mut sinks = sinks(RowFilter { changes: true, partial: true, open_every: 10 });
        let mut with_open = |seq, last, now| {
            let rounds = sinks.begin_rounds(committed(seq, 60), last, Monotonic(now));
            rounds.first().map(|round| {
                stored(&mut sinks, round.round);
                round.with_open
            })
        };
        assert_eq!(with_open(1, false, 0), Some(true));
        assert_eq!(with_open(2, false, 9), Some(false));
        assert_eq!(with_open(2, false, 9), None, "what it lacks is not due");
        assert_eq!(with_open(2, false, 10), Some(true));
        assert_eq!(with_open(3, false, 11), Some(false));
        assert_eq!(with_open(3, true, 12), Some(true));
    }

    #[test]
    fn a_manifest_keeps_sinks_that_the_run_leaves_out_and_what_else_it_knows_of_its_own() {
        let known = |name: &str| SinkState {
            name: name.into(),
            stored_before: Some(WindowStart(60)),
            position: Some(7),
            chain: Some(1),
            since: Some(WindowStart(-60)),
            ..SinkState::default()
        };
        let head = Manifest { sinks: vec![known("b"), known("a")], ..Manifest::default() };
        let filter = RowFilter { changes: false, partial: true, open_every: 0 };
        let sinks = Sinks::new(vec![SinkInfo { name: "a".into(), filter, chain: Some(9) }], Some(&head), 0);
        assert_eq!(sinks.states(&head), [SinkState { chain: Some(9), ..known("a") }, known("b")]);
    }
}
