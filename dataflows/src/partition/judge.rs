//! The verdict on a decoded event (R4, R5, R7): what is looked at first decides.
//!
//! ```text
//!   too far from its clock? ──> late? ──> cleaned? ──> duplicate? ──> an outlier? ──> counted
//!     └ moves nothing            └────────────┴────────────┴──────────────┴── raises H
//! ```

use super::cleaning::Cleaner;
use super::notes::IndexEntry;
use super::{Partition, Verdict};
use crate::decimal::Decimal;
use crate::decode::{DecodedEvent, EventId, is_plausible};
use crate::record::{Evidence, Reason};
use crate::time::{EventTime, Monotonic, WindowStart};
use std::borrow::Cow;

impl Partition {
    /// [`Partition::judge_event`], of an event of which nothing but its time is known.
    pub fn judge(
        &mut self,
        time: EventTime,
        appended: Option<EventTime>,
        reference: EventTime,
        now: Monotonic,
    ) -> Verdict {
        self.judge_with_id(time, None, appended, reference, now)
    }

    /// The same, of one that may have an id.
    pub fn judge_with_id(
        &mut self,
        time: EventTime,
        id: Option<EventId>,
        appended: Option<EventTime>,
        reference: EventTime,
        now: Monotonic,
    ) -> Verdict {
        let (symbol, value) = (Cow::Borrowed(""), Decimal(0));
        let event = DecodedEvent { symbol, value, time, weight: None, weight_beyond: false, id, rounded: false };
        self.judge_event(&event, appended, reference, now)
    }

    /// The verdict on a decoded event of the record begun last. `reference` is the reader's clock, or the run's instant; the
    /// broker's own stamp comes before it (R7).
    #[inline]
    pub fn judge_event(
        &mut self,
        event: &DecodedEvent<'_>,
        appended: Option<EventTime>,
        reference: EventTime,
        now: Monotonic,
    ) -> Verdict {
        let time = event.time;
        self.counts.events += 1;
        self.counts.rounded += i64::from(event.rounded);
        self.implausible += i64::from(!is_plausible(time));
        let (latest, evidence) = match appended {
            Some(stamp) => (stamp, Evidence::Appended(stamp)),
            None => (reference, Evidence::Clock(reference)),
        };
        if time > latest.plus(self.rule.max_future) {
            self.counts.quarantined += 1;
            return Verdict::Future(evidence);
        }
        if self.rule.max_past.is_some_and(|most| time.plus(most) < latest) {
            self.counts.quarantined += 1;
            self.counts.past += 1;
            return Verdict::Past(evidence);
        }
        let window = self.window_of(time);
        let end = self.rule.windowing.end(window);
        let final_at = end.plus(self.rule.windowing.lateness);
        let verdict = match (self.h, self.floor) {
            (Some(h), _) if final_at <= h => Verdict::Late(Evidence::Watermark(h)),
            (_, Some(floor)) if final_at <= floor => Verdict::Late(Evidence::Floor(floor)),
            _ if self.cleaner.is_some() => self.judge_in_time(event, window),
            _ if self.repeats(event.id, window) => Verdict::Duplicate,
            _ => Verdict::Counted(window),
        };
        if let Verdict::Late(Evidence::Watermark(h)) = verdict {
            self.late_by = self.late_by.max(Some(h.0.saturating_sub(end.0)));
        }
        if let Verdict::Counted(window) = verdict {
            let (partition, offset, h, floor) = (self.index, self.next.0 - 1, self.h_before, self.floor);
            self.notes.count(window, |bucket| IndexEntry { partition, bucket, offset, h, floor });
        }
        self.behind.count(time, self.watermark());
        // Which of two neighbours is newer cannot be foretold: no branch depends on it.
        self.h = Some(self.h.map_or(time, |h| h.max(time)));
        self.last_valid = now;
        self.no_evidence();
        self.partial_before.learn(end.plus(self.rule.windowing.lateness));
        match verdict {
            Verdict::Counted(_) => {
                self.counts.counted += 1;
                self.newest_end = Some(self.newest_end.map_or(end, |newest| newest.max(end)));
            }
            Verdict::Duplicate => self.counts.duplicates += 1,
            Verdict::Cleaned(reason, _) => {
                self.counts.cleaned += 1;
                self.counts.off_session += i64::from(reason == Reason::Session);
                self.counts.outliers += i64::from(reason == Reason::Outlier);
            }
            _ => self.counts.late += 1,
        }
        verdict
    }

    /// The verdict on an event that is in time, where anything is cleaned.
    fn judge_in_time(&mut self, event: &DecodedEvent<'_>, window: WindowStart) -> Verdict {
        let check = |cleaner: &mut Box<Cleaner>| cleaner.check(event);
        if let Some((reason, evidence)) = self.cleaner.as_mut().and_then(check) {
            return Verdict::Cleaned(reason, evidence);
        }
        if self.repeats(event.id, window) {
            return Verdict::Duplicate;
        }
        let h = self.h;
        match self.cleaner.as_mut().and_then(|cleaner| cleaner.filter(event, window, h)) {
            Some((reason, evidence)) => Verdict::Cleaned(reason, evidence),
            None => Verdict::Counted(window),
        }
    }

    /// Does an event that is in time repeat an id that is held? Else its own is noted.
    #[inline]
    fn repeats(&mut self, id: Option<EventId>, window: WindowStart) -> bool {
        id.is_some_and(|id| !self.ids.note(id, window, self.expiry()))
    }
}
