//! Admission: which partitions are read, from where, and what an earlier run recorded of each.
//!
//! The source names its partitions once as the run begins. Each that the state knows must be among them, and must be the
//! log that it was. What is found later is new, and is read from its beginning.

use super::error::AdmissionError;
use super::rounds::SinkInfo;
use crate::checkpoint::{Manifest, PartitionSnapshot};
use crate::edge::Discovered;
use crate::mutants::{self, Mutant};
use crate::partition::{Counts, PartitionState, Rule};
use crate::protocol::Admission;
use crate::record::PartitionName;
use crate::settings::{AtEnd, Settings};
use crate::time::EventTime;

/// A partition that is read.
#[derive(Clone, Debug)]
pub(super) struct AdmittedPartition {
    pub(super) found: Discovered,
    /// W when it was admitted: where it stands until it reports.
    pub(super) floor: Option<EventTime>,
    /// What its reader reported last.
    pub(super) state: Option<PartitionState>,
    /// As in [`PartitionSnapshot`].
    pub(super) complete_from: Option<EventTime>,
    /// The state knows it, and the source has not named it yet.
    is_awaited: bool,
}

impl AdmittedPartition {
    /// As an earlier run recorded it.
    fn resume(snapshot: &PartitionSnapshot) -> Self {
        let PartitionSnapshot { found, state, floor, complete_from } = snapshot.clone();
        // What its reader knew of the log's end is gone.
        let state = state.map(|state| PartitionState { caught_up: false, ended: false, silence: 0, ..state });
        AdmittedPartition { found, floor, state, complete_from, is_awaited: true }
    }

    fn snapshot(&self) -> PartitionSnapshot {
        PartitionSnapshot {
            found: self.found.clone(),
            state: self.state.clone(),
            floor: self.floor,
            complete_from: self.complete_from,
        }
    }
}

/// What the run resumes from.
#[derive(Debug)]
struct PriorRun {
    /// There is no state, or it has no partition yet.
    is_fresh: bool,
    /// A bounded run had come to its end.
    finished: bool,
    /// And had closed its windows as complete: if the log has grown since, that was too early.
    has_closed: bool,
    /// A sink that has nothing of what was forgotten.
    lacking: Option<String>,
}

impl PriorRun {
    fn of(settings: &Settings, sinks: &[SinkInfo], head: Option<&Manifest>) -> Self {
        let has_forgotten = head.is_some_and(|head| head.retired > 0);
        let lacks =
            |sink: &&SinkInfo| head.and_then(|head| head.sink(&sink.name)?.stored_before).is_none() && has_forgotten;
        PriorRun {
            is_fresh: head.is_none_or(|head| head.partitions.is_empty()),
            finished: head.is_some_and(|head| head.finished),
            has_closed: settings.at_end == AtEnd::CloseUnlessGrown
                && head.is_some_and(|head| {
                    !head.grows && head.is_closed(settings.rule.windowing.lateness, settings.look_back())
                }),
            lacking: sinks.iter().find(lacks).map(|sink| sink.name.clone()),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Admissions {
    /// In the order of admission.
    admitted: Vec<AdmittedPartition>,
    /// Until the source has named its partitions for the first time.
    prior: Option<PriorRun>,
    /// A partition has grown since a bounded run came to its end, in this run or before: the log goes on.
    grows: bool,
    /// Partitions that this run found grown since one closed their windows.
    grown: Vec<String>,
}

impl Admissions {
    /// As `head`, the manifest that the run resumes from, left them.
    pub(super) fn new(settings: &Settings, sinks: &[SinkInfo], head: Option<&Manifest>) -> Self {
        Admissions {
            admitted: head.iter().flat_map(|head| &head.partitions).map(AdmittedPartition::resume).collect(),
            prior: Some(PriorRun::of(settings, sinks, head)),
            grows: head.is_some_and(|head| head.grows),
            grown: Vec::new(),
        }
    }

    /// Admits what the source has found since the last call. `watermark`: W.
    ///
    /// # Errors
    /// A partition of the state is another log now, or is gone; or a new sink would get nothing at all.
    pub(super) fn admit(
        &mut self,
        found: Vec<Discovered>,
        settings: &Settings,
        watermark: Option<EventTime>,
    ) -> Result<Vec<Admission>, AdmissionError> {
        let prior = self.prior.take();
        let begins = prior.as_ref().is_some_and(|prior| prior.is_fresh);
        let mut has_news = prior.as_ref().is_none_or(|prior| !(settings.bounded && prior.finished));
        let mut admissions = Vec::with_capacity(found.len());
        for found in found {
            let index = match prior.as_ref().zip(self.awaited(&found.name)) {
                Some((prior, index)) => {
                    has_news |= self.take_back(index, &found, prior, settings)?;
                    index
                }
                None => {
                    has_news = true;
                    self.add(found, begins, settings, watermark)
                }
            };
            let AdmittedPartition { found, floor, state, .. } = self.admitted[index].clone();
            admissions.push(Admission { index, found, floor, instant: settings.instant, resume: state });
        }
        match prior {
            Some(prior) => self.check(&prior, has_news).map(|()| admissions),
            None => Ok(admissions),
        }
    }

    fn awaited(&self, name: &PartitionName) -> Option<usize> {
        self.admitted.iter().position(|partition| partition.is_awaited && partition.found.name == *name)
    }

    /// A partition of the state was found again. Says whether its end is another.
    fn take_back(
        &mut self,
        index: usize,
        found: &Discovered,
        prior: &PriorRun,
        settings: &Settings,
    ) -> Result<bool, AdmissionError> {
        let partition = &mut self.admitted[index];
        if partition.state.is_none() {
            // Nothing was read of it yet: as if it were admitted now.
            partition.complete_from = partition.complete_from.or(complete_from(settings));
        }
        same_log(&partition.found, found)?;
        let was = partition.found.end;
        if prior.finished && settings.bounded && was.is_some() && was < found.end {
            self.grows = true;
            self.grown.extend(prior.has_closed.then(|| found.name.to_string()));
        }
        // An unfinished bounded run keeps its ends.
        let kept = found.end.and(was).filter(|_| !prior.finished);
        partition.found.end = kept.or(found.end);
        partition.is_awaited = false;
        Ok(was != found.end)
    }

    /// Admits a partition that the state does not know. `begins`: the chain begins with it.
    fn add(&mut self, mut found: Discovered, begins: bool, settings: &Settings, watermark: Option<EventTime>) -> usize {
        // Its first records are as new as it is, whatever `--start` says.
        if !begins && !mutants::on(Mutant::NewPartitionFromLatest) {
            found.start = found.earliest;
        }
        let complete_from = complete_from(settings);
        self.admitted.push(AdmittedPartition {
            found,
            floor: watermark,
            complete_from,
            state: None,
            is_awaited: false,
        });
        self.admitted.len() - 1
    }

    /// Once the source has named its partitions for the first time: can the run continue?
    fn check(&self, prior: &PriorRun, has_news: bool) -> Result<(), AdmissionError> {
        if let Some(gone) = self.admitted.iter().find(|partition| partition.is_awaited) {
            return Err(AdmissionError::PartitionGone {
                partition: gone.found.name.clone(),
                read: gone.state.as_ref().map_or(0, |state| state.counts.read),
            });
        }
        match &prior.lacking {
            Some(sink) if !has_news => Err(AdmissionError::SinkCameTooLate { sink: sink.clone() }),
            _ => Ok(()),
        }
    }

    /// What readers have reported of an epoch.
    pub(super) fn report(&mut self, states: Vec<PartitionState>) {
        for state in states {
            let index = state.index;
            self.admitted[index].state = Some(state);
        }
    }

    /// All partitions, in the order of their admission.
    pub(super) fn all(&self) -> &[AdmittedPartition] {
        &self.admitted
    }

    /// Those that have reported, and how they are.
    pub(super) fn states(&self) -> impl Iterator<Item = (&PartitionName, &PartitionState)> + Clone {
        self.admitted.iter().filter_map(|partition| Some((&partition.found.name, partition.state.as_ref()?)))
    }

    /// Sums over all partitions.
    pub(super) fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.states().for_each(|(_, state)| sum.add(&state.counts));
        sum
    }

    /// All partitions as a manifest has them.
    pub(super) fn snapshots(&self) -> Vec<PartitionSnapshot> {
        self.admitted.iter().map(AdmittedPartition::snapshot).collect()
    }

    /// Has a partition grown since a bounded run came to its end?
    pub(super) fn grows(&self) -> bool {
        self.grows
    }

    /// Partitions that this run found grown since one closed their windows.
    pub(super) fn grown(&self) -> &[String] {
        &self.grown
    }

    /// Do windows stay open that are not final at the end of the log?
    pub(super) fn keep_open(&self, at_end: AtEnd) -> bool {
        match at_end {
            AtEnd::Close => false,
            AtEnd::KeepOpen => true,
            AtEnd::CloseUnlessGrown => self.grows,
        }
    }
}

/// From when on windows lack nothing of what a partition held before it is first read (R13), whatever is read of it: as the
/// operator knows, or by R7, which would have set aside what was further ahead of its stamp or of the run's instant. The
/// lateness is for a broker's clock that goes ahead of this one.
fn complete_from(settings: &Settings) -> Option<EventTime> {
    let Rule { max_future, windowing, .. } = settings.rule;
    let by_time = settings.opened_at.map(|at| at.plus(max_future).plus(windowing.lateness).plus(1));
    settings.complete_from.into_iter().chain(by_time).min()
}

/// Is a partition that was found again still the log that it was?
fn same_log(known: &Discovered, found: &Discovered) -> Result<(), AdmissionError> {
    match (&known.log_id, &found.log_id) {
        (Some(was), Some(is)) if was != is => {
            let (partition, was, is) = (found.name.clone(), was.clone(), is.clone());
            Err(AdmissionError::LogReplaced { partition, was, is })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::RowFilter;
    use crate::halt::{Halt, HaltKind};
    use crate::time::NextOffset;

    fn found(number: i32, end: Option<i64>) -> Discovered {
        Discovered {
            name: PartitionName { log: "ticks".into(), number: Some(number) },
            start: NextOffset(5),
            earliest: NextOffset(2),
            end,
            log_id: None,
        }
    }

    fn head(numbers: &[i32], end: Option<i64>) -> Manifest {
        let snapshot =
            |n: &i32| PartitionSnapshot { found: found(*n, end), state: None, floor: None, complete_from: None };
        Manifest { partitions: numbers.iter().map(snapshot).collect(), ..Manifest::default() }
    }

    fn resumed(settings: &Settings, head: &Manifest) -> Admissions {
        Admissions::new(settings, &[], Some(head))
    }

    #[test]
    fn a_partition_found_while_running_is_read_from_its_beginning() {
        let settings = Settings::default();
        let mut admissions = Admissions::new(&settings, &[], None);
        let first = admissions.admit(vec![found(0, None)], &settings, None).unwrap();
        assert_eq!((first[0].index, first[0].found.start), (0, NextOffset(5)));
        let at = Some(EventTime(9));
        let later = admissions.admit(vec![found(1, None)], &settings, at).unwrap();
        assert_eq!((later[0].index, later[0].found.start, later[0].floor), (1, NextOffset(2), at));
    }

    #[test]
    fn a_partition_of_the_state_that_is_gone_or_another_log_ends_the_run() {
        let settings = Settings::default();
        let gone = resumed(&settings, &head(&[0, 1], None)).admit(vec![found(1, None)], &settings, None).unwrap_err();
        let halt = Halt::from(gone);
        assert!(halt.kind == HaltKind::Data && halt.why.contains("ticks/0"), "{halt}");
        let mut head = head(&[0], None);
        head.partitions[0].found.log_id = Some("a".into());
        let other = Discovered { log_id: Some("b".into()), ..found(0, None) };
        let replaced = resumed(&settings, &head).admit(vec![other], &settings, None).unwrap_err();
        assert!(replaced.to_string().contains("made anew"), "{replaced}");
    }

    #[test]
    fn an_unfinished_bounded_run_keeps_its_ends_and_a_finished_one_sees_what_has_grown() {
        let settings = Settings { bounded: true, at_end: AtEnd::CloseUnlessGrown, ..Settings::default() };
        for finished in [false, true] {
            let head = Manifest { finished, ..head(&[0], Some(10)) };
            let mut admissions = resumed(&settings, &head);
            let admitted = admissions.admit(vec![found(0, Some(12))], &settings, None).unwrap();
            assert_eq!(admitted[0].found.end, Some(if finished { 12 } else { 10 }));
            assert_eq!((admissions.grows(), admissions.grown().len()), (finished, usize::from(finished)));
            assert_eq!(admissions.keep_open(settings.at_end), finished);
        }
    }

    #[test]
    fn a_new_sink_that_would_get_nothing_is_refused() {
        let settings = Settings { bounded: true, ..Settings::default() };
        let filter = RowFilter { changes: false, partial: true, open_every: 0 };
        let sinks = [SinkInfo { name: "b".into(), filter, chain: None }];
        let head = Manifest { finished: true, retired: 3, ..head(&[0], Some(10)) };
        for (end, refused) in [(10, true), (12, false)] {
            let mut admissions = Admissions::new(&settings, &sinks, Some(&head));
            assert_eq!(admissions.admit(vec![found(0, Some(end))], &settings, None).is_err(), refused);
        }
    }
}
