//! Partial windows: which may lack records of before the first offset that was read (R13).

use crate::time::{EventTime, WindowStart};
use serde::{Deserialize, Serialize};

/// Before every event time that is decoded.
const BEFORE_ALL: EventTime = EventTime(i64::MIN);

/// Which windows those are. In order: what is greater includes more windows.
///
/// As bytes it is an optional time, in JSON as in postcard: none for [`PartialBefore::Unknown`], the least `i64` for
/// [`PartialBefore::Nothing`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Option<EventTime>", into = "Option<EventTime>")]
pub enum PartialBefore {
    /// None: the log was read from offset 0.
    Nothing,
    /// Those that begin before this.
    Time(EventTime),
    /// It is not known yet: all may.
    #[default]
    Unknown,
}

impl PartialBefore {
    /// May this window lack records?
    pub fn includes(self, window: WindowStart) -> bool {
        match self {
            PartialBefore::Nothing => false,
            PartialBefore::Time(before) => window.0 < before.0,
            PartialBefore::Unknown => true,
        }
    }

    /// Windows that begin at or after this time are whole. It is the least `i64` for [`PartialBefore::Nothing`], and absent
    /// for [`PartialBefore::Unknown`].
    pub fn bound(self) -> Option<EventTime> {
        match self {
            PartialBefore::Nothing => Some(BEFORE_ALL),
            PartialBefore::Time(time) => Some(time),
            PartialBefore::Unknown => None,
        }
    }

    /// What is known of it from now on, unless something is known already.
    #[inline]
    pub(crate) fn learn(&mut self, time: EventTime) {
        if *self == PartialBefore::Unknown {
            *self = PartialBefore::Time(time);
        }
    }
}

impl From<Option<EventTime>> for PartialBefore {
    fn from(written: Option<EventTime>) -> Self {
        match written {
            Some(BEFORE_ALL) => PartialBefore::Nothing,
            Some(time) => PartialBefore::Time(time),
            None => PartialBefore::Unknown,
        }
    }
}

impl From<PartialBefore> for Option<EventTime> {
    fn from(partial: PartialBefore) -> Self {
        partial.bound()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_bytes_are_those_of_an_optional_time() {
        for (time, partial) in [
            (None, PartialBefore::Unknown),
            (Some(EventTime(i64::MIN)), PartialBefore::Nothing),
            (Some(EventTime(-7)), PartialBefore::Time(EventTime(-7))),
        ] {
            let json = serde_json::to_string(&partial).unwrap();
            assert_eq!(json, serde_json::to_string(&time).unwrap());
            assert_eq!(serde_json::from_str::<PartialBefore>(&json).unwrap(), partial);
            let bytes = postcard::to_allocvec(&partial).unwrap();
            assert_eq!(bytes, postcard::to_allocvec(&time).unwrap());
            assert_eq!(postcard::from_bytes::<PartialBefore>(&bytes).unwrap(), partial);
        }
    }

    #[test]
    fn what_is_greater_includes_more_windows() {
        let [nothing, at, unknown] =
            [PartialBefore::Nothing, PartialBefore::Time(EventTime(60)), PartialBefore::Unknown];
        assert!(nothing < at && at < PartialBefore::Time(EventTime(61)) && at < unknown);
        for (partial, includes) in [(nothing, [false; 3]), (at, [true, false, false]), (unknown, [true; 3])] {
            assert_eq!([59, 60, 61].map(|start| partial.includes(WindowStart(start))), includes, "{partial:?}");
        }
        assert!(!nothing.includes(WindowStart::MIN));
    }
}
