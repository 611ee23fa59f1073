//! What a state knows of its sinks: which windows each has stored or lacks, over all runs, those without it included.
//!
//! ```text
//!   a sink of an earlier run ── given again ─────────────────────────> continues
//!     └─ left out ── windows are held that it lacks ── no ─> recorded: it lacks what is retired meanwhile
//!                                └─ yes ─> halt, unless it is to be forgotten
//!   a new sink ──> has windows from where the state still holds them
//! ```
//!
//! A window is retired once every sink *of the run* has its final row. So a sink that a run leaves out while windows are held
//! would lack them for ever, without a trace: that is refused, of coarser windows that are not final as well. It does not promise
//! that a sink still has what it once stored.
//!
//! Windows that are held only because later rows are derived from them (R14) are final and stored. Their own rows cannot be made any
//! more, for what these are derived from is forgotten: a sink that is new gets none of them.

use super::error::SinksError;
use super::manifest::{Manifest, SinkState};
use crate::coarse::CoarseWindows;
use crate::mutants::{self, Mutant};
use crate::time::{EventTime, WindowStart};

/// The sinks of a state as a run begins, and warnings about them.
#[derive(Clone, Debug, PartialEq)]
pub struct SinksOfRun {
    /// Those of the run, and those that it leaves out.
    pub sinks: Vec<SinkState>,
    /// A line each, for people.
    pub warnings: Vec<String>,
    /// The same of sinks that lack windows which are forgotten, new ones and those that were left out of a run: each with its name.
    pub gaps: Vec<(String, String)>,
}

impl Manifest {
    /// Windows before this are retired; `None` before the first was.
    pub fn retired_before(&self) -> Option<WindowStart> {
        self.parts.iter().map(|part| part.retired_before).max().flatten()
    }

    /// Records in windows that it holds.
    pub fn held(&self) -> i64 {
        self.counted() - self.retired
    }

    /// Windows from this on have all that their rows are derived from, which is `look_back` before them. `None`: nothing is
    /// forgotten.
    pub(crate) fn whole_from(&self, look_back: i64) -> Option<WindowStart> {
        let retired_before = self.retired_before()?;
        if look_back == 0 {
            return Some(retired_before);
        }
        let whole_from = WindowStart(retired_before.0.saturating_add(look_back));
        // (What an earlier version retired, it did not keep for that.)
        let stored_before =
            self.sinks.iter().filter(|sink| sink.left_out.is_none()).map(|sink| sink.stored_before).min();
        Some(stored_before.flatten().map_or(whole_from, |stored_before| whole_from.min(stored_before)))
    }

    /// The end of the newest window that a record counted in.
    fn newest_end(&self) -> Option<EventTime> {
        self.partitions.iter().filter_map(|partition| partition.state.as_ref()?.newest_end).max()
    }

    /// Is no window held that is not final? `look_back`: windows may be held for rows that are derived from them.
    pub(crate) fn is_closed(&self, lateness: i64, look_back: i64) -> bool {
        let final_at = self.newest_end().map(|end| end.plus(lateness));
        self.held() == 0 || look_back > 0 && self.marks.w >= final_at
    }

    /// Does a sink have the final row of every minute?
    fn has_minutes(&self, sink: &SinkState, look_back: i64) -> bool {
        let newest_end = self.newest_end();
        let stored = sink.stored_before.map(|window| window.0) >= newest_end.map(|end| end.0);
        self.held() == 0 || look_back > 0 && stored
    }

    /// The last minute of the coarser windows that the newest minute with a record is in.
    fn last_closing(&self, windows: &CoarseWindows) -> Option<WindowStart> {
        self.newest_end().filter(|_| !windows.is_empty()).map(|end| windows.last_closing(windows.minute_before(end)))
    }

    /// The sinks of a run with those called `present`, which forgets those of `forget`. `look_back`: how far before a window
    /// others begin that its rows are derived from; `windows`: the coarser ones. `time`: a window, for people.
    ///
    /// # Errors
    /// A sink is left out that lacks rows, or one is given and to be forgotten at once.
    pub fn sinks_of_run(
        &self,
        present: &[String],
        forget: &[String],
        look_back: i64,
        windows: &CoarseWindows,
        time: impl Fn(WindowStart) -> String,
    ) -> Result<SinksOfRun, SinksError> {
        let (whole_from, closing) = (self.whole_from(look_back), self.last_closing(windows));
        if let Some(both) = forget.iter().find(|forget| present.iter().any(|name| is_called(name, forget))) {
            return Err(SinksError::GivenAndForgotten { sink: both.clone() });
        }
        let unknown = forget.iter().filter(|forget| !self.sinks.iter().any(|sink| is_called(&sink.name, forget)));
        let unknown =
            unknown.map(|name| format!("sink {name}: the state knows no such sink (any more), so none is forgotten"));
        let (mut sinks, mut warnings, mut lacking) = (self.sinks.clone(), Vec::from_iter(unknown), Vec::new());
        let mut gaps = Vec::new();
        sinks.retain(|sink| !forget.iter().any(|forget| is_called(&sink.name, forget)));
        for sink in &mut sinks {
            if present.contains(&sink.name) {
                if let Some((from, to)) = sink.comes_back(whole_from) {
                    let (name, from, to) = (&sink.name, time(from), time(to));
                    let what = format!("lacks the windows from {from} to {to}, which are forgotten");
                    gaps.push((name.clone(), format!("sink {name}: was left out of a run and {what}")));
                }
            } else if sink.left_out.is_none() && !mutants::on(Mutant::SinkLeftOut) {
                // (None where no window is coarser, or no record counted.)
                if !self.has_minutes(sink, look_back) || closing.is_some() && sink.stored_before <= closing {
                    lacking.push(sink.name.clone());
                    continue;
                }
                warnings.push(format!("sink {}: is left out, and lacks what this run writes", sink.name));
                sink.left_out = Some(whole_from.unwrap_or(WindowStart::MIN));
            }
        }
        if !lacking.is_empty() {
            return Err(SinksError::LeftOut { sinks: lacking, records: self.held(), closing: closing.map(time) });
        }
        for name in present.iter().filter(|name| self.sink(name).is_none()) {
            if let Some(whole_from) = whole_from {
                let since = time(whole_from);
                let what =
                    format!("is new to this state, and gets windows from {since} on: those before are forgotten");
                gaps.push((name.clone(), format!("sink {name}: {what}")));
            }
            sinks.push(SinkState {
                name: name.clone(),
                position: Some(0),
                since: whole_from,
                stored_before: whole_from.filter(|_| look_back > 0),
                ..SinkState::default()
            });
        }
        Ok(SinksOfRun { sinks, warnings, gaps })
    }
}

/// Is a sink called so? `influxdb:` is two sinks of one name, numbered.
fn is_called(name: &str, called: &str) -> bool {
    name.strip_prefix(called).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

impl SinkState {
    /// The windows, from and to, that it may lack, because they were forgotten by runs without it.
    pub fn lacks(&self) -> Vec<(WindowStart, WindowStart)> {
        let before = self.since.map(|since| (WindowStart::MIN, since));
        before.into_iter().chain(self.missing.iter().copied()).collect()
    }

    /// It was given all that it lacked of windows from this one on; `None`: of all.
    pub fn filled_from(&mut self, from: Option<WindowStart>) {
        self.since = self.since.and_then(|since| from.map(|from| since.min(from)));
        let rest = |(begin, end): &(WindowStart, WindowStart)| from.map(|from| (*begin, (*end).min(from)));
        self.missing = self.missing.iter().filter_map(rest).filter(|(begin, end)| begin < end).collect();
    }

    /// It is given again. Which windows were forgotten without it; none if none were.
    fn comes_back(&mut self, whole_from: Option<WindowStart>) -> Option<(WindowStart, WindowStart)> {
        let from = self.left_out.take()?;
        let to = whole_from.filter(|to| *to > from)?;
        self.missing.push((from, to));
        self.stored_before = self.stored_before.max(Some(to));
        Some((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{PartitionSnapshot, WorkerObjects};
    use crate::edge::Discovered;
    use crate::halt::{Halt, HaltKind, HaltRemedy};
    use crate::partition::{Partition, Rule};
    use crate::record::PartitionName;
    use crate::time::{EventTime, Monotonic, NextOffset, SECOND};
    use std::collections::BTreeMap;

    /// With these sinks, all windows before `retired_before` retired, and this many records in windows held.
    fn head(sinks: &[&str], retired_before: Option<i64>, held: i64) -> Manifest {
        let mut partition = Partition::new(Rule::default(), 0, NextOffset(0), false, Monotonic(0));
        for offset in 0..held {
            partition.begin_record(offset);
            partition.judge(EventTime(offset), None, EventTime(100), Monotonic(0));
        }
        let name = PartitionName { log: "t".into(), number: Some(0) };
        let found = Discovered { name, start: NextOffset(0), earliest: NextOffset(0), end: None, log_id: None };
        let state = Some(partition.report(None, Monotonic(0)));
        let retired_before = retired_before.map(|second| WindowStart(second * SECOND));
        let sink =
            |name: &&str| SinkState { name: (*name).into(), stored_before: retired_before, ..SinkState::default() };
        Manifest {
            partitions: vec![PartitionSnapshot { found, state, floor: None, complete_from: None }],
            parts: vec![WorkerObjects { retired_before, ..WorkerObjects::default() }],
            sinks: sinks.iter().map(sink).collect(),
            ..Manifest::fresh(BTreeMap::new())
        }
    }

    fn with(head: &Manifest, present: &[&str], forget: &[&str]) -> Result<SinksOfRun, Halt> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let time = |window: WindowStart| format!("second {}", window.0 / SECOND);
        Ok(head.sinks_of_run(&owned(present), &owned(forget), 0, &CoarseWindows::default(), time)?)
    }

    fn named<'a>(sinks: &'a [SinkState], name: &str) -> &'a SinkState {
        sinks.iter().find(|sink| sink.name == name).unwrap()
    }

    #[test]
    fn a_sink_that_lacks_rows_is_not_left_out() {
        let head = head(&["csv:a", "influxdb://h/o/b", "influxdb://h/o/b#1"], Some(60), 3);
        let halt = with(&head, &["csv:a"], &[]).unwrap_err();
        assert_eq!(halt.kind, HaltKind::Usage);
        assert_eq!(halt.remedy, Some(HaltRemedy::GiveSinkAgain("influxdb://h/o/b".into())), "both are forgotten by it");
        for part in ["3 records", "influxdb://h/o/b and influxdb://h/o/b#1"] {
            assert!(halt.why.contains(part), "`{part}` is not in: {halt}");
        }
        let kept = with(&head, &["csv:a"], &["influxdb://h/o/b"]).unwrap();
        assert_eq!((kept.sinks.len(), kept.warnings.len()), (1, 0), "both are forgotten, as asked for");
        let all = ["csv:a", "influxdb://h/o/b", "influxdb://h/o/b#1"];
        let same = SinksOfRun { sinks: head.sinks.clone(), warnings: Vec::new(), gaps: Vec::new() };
        assert_eq!(with(&head, &all, &[]).unwrap(), same);
        let halt = with(&head, &all, &["csv:a"]).unwrap_err();
        assert_eq!((halt.kind, halt.remedy), (HaltKind::Usage, Some(HaltRemedy::GiveOrForgetSink("csv:a".into()))));
        let unknown = with(&head, &all, &["csv:z"]).unwrap();
        assert!(
            unknown.sinks == head.sinks && unknown.warnings[0].contains("csv:z: the state knows no such sink"),
            "{unknown:?}"
        );
    }

    #[test]
    fn a_sink_that_lacks_a_coarser_window_is_not_left_out() {
        let windowing = Rule::default().windowing;
        let hours = CoarseWindows::new(&"1h".parse().unwrap(), None, &windowing).unwrap();
        // Its one record is in the first minute, whose hour closes with minute 59.
        let mut head = head(&["csv:a", "csv:b"], Some(60), 1);
        head.retired = 1;
        let of = |head: &Manifest, windows: &CoarseWindows| {
            head.sinks_of_run(&["csv:a".to_owned()], &[], 0, windows, |window| {
                format!("minute {}", window.0 / 60 / SECOND)
            })
        };
        assert!(of(&head, &CoarseWindows::default()).is_ok(), "its minute is stored");
        for (before, lacks) in [(60, true), (59 * 60, true), (60 * 60, false)] {
            head.sinks[1].stored_before = Some(WindowStart(before * SECOND));
            assert_eq!(of(&head, &hours).is_err(), lacks, "stored before {before}");
        }
        head.sinks[1].stored_before = None;
        let said = of(&head, &hours).unwrap_err().to_string();
        assert!(
            !said.contains("records") && said.contains("coarser windows up to minute 59") && said.contains("csv:b"),
            "{said}"
        );
    }

    #[test]
    fn what_a_sink_lacks_is_remembered() {
        let first = head(&["csv:a", "csv:b"], Some(60), 0);
        let second = with(&first, &["csv:a"], &[]).unwrap();
        assert!(second.warnings[0].contains("csv:b: is left out"), "{second:?}");
        // It is killed while windows are held, and started again as it was.
        let mut held = head(&[], Some(120), 5);
        held.sinks = second.sinks;
        let third = with(&held, &["csv:a"], &[]).unwrap();
        assert_eq!((&third.sinks, third.warnings.len()), (&held.sinks, 0), "it is known by then");
        let mut later = head(&[], Some(180), 0);
        later.sinks = third.sinks;
        let back = with(&later, &["csv:a", "csv:b", "csv:c"], &[]).unwrap();
        let b = named(&back.sinks, "csv:b");
        let (from, to) = (WindowStart(60 * SECOND), WindowStart(180 * SECOND));
        assert_eq!((&b.missing, b.left_out, b.stored_before), (&vec![(from, to)], None, Some(to)));
        assert!(back.gaps[0].1.contains("csv:b: was left out") && back.gaps[0].1.contains("second 60 to second 180"));
        let c = named(&back.sinks, "csv:c");
        assert_eq!((c.since, c.position, c.stored_before), (Some(to), Some(0), None));
        assert!(back.gaps[1].0 == "csv:c" && back.gaps[1].1.contains("second 180"), "{back:?}");
        assert!(back.warnings.is_empty(), "{back:?}");
        later.sinks.clone_from(&back.sinks);
        assert_eq!(Manifest::decode(&later.encode()).unwrap(), later);
    }

    #[test]
    fn a_sink_that_missed_nothing_has_no_gap() {
        let second = with(&head(&["csv:a", "csv:b"], None, 0), &["csv:a"], &[]).unwrap().sinks;
        let second = Manifest { sinks: second, ..head(&[], None, 0) };
        let back = with(&second, &["csv:a", "csv:b"], &[]).unwrap();
        assert_eq!((named(&back.sinks, "csv:b").missing.len(), back.gaps.len()), (0, 0));
    }

    #[test]
    fn what_was_filled_is_no_longer_lacking() {
        let at = |second: i64| WindowStart(second * SECOND);
        let gaps = vec![(at(100), at(200)), (at(300), at(400))];
        let lacking = SinkState { since: Some(at(60)), missing: gaps.clone(), ..SinkState::default() };
        assert_eq!(lacking.lacks(), [(WindowStart::MIN, at(60)), gaps[0], gaps[1]]);
        for (from, since, missing) in [
            (None, None, vec![]),
            (Some(at(20)), Some(at(20)), vec![]),
            (Some(at(150)), Some(at(60)), vec![(at(100), at(150))]),
            (Some(at(200)), Some(at(60)), vec![gaps[0]]),
            (Some(at(500)), Some(at(60)), gaps.clone()),
        ] {
            let mut filled = lacking.clone();
            filled.filled_from(from);
            assert_eq!((filled.since, filled.missing), (since, missing), "{from:?}");
        }
    }
}
