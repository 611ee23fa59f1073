//! The one home of the clock. Everything else has time passed in.

use minutely_dataflows::edge;
use minutely_dataflows::time::{EventTime, Monotonic};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall and monotonic time since this process began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock {
    began: Instant,
}

impl SystemClock {
    /// A clock whose monotonic reading is now 0.
    pub(crate) fn start() -> Self {
        SystemClock { began: Instant::now() }
    }

    /// What the wall clock says.
    #[expect(clippy::disallowed_methods, reason = "the clock's one home")]
    pub(crate) fn wall(self) -> EventTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        EventTime(i64::try_from(since.as_nanos()).unwrap_or(EventTime::LIMIT))
    }

    /// Nanoseconds since the process began.
    pub(crate) fn monotonic(self) -> Monotonic {
        Monotonic(i64::try_from(self.began.elapsed().as_nanos()).unwrap_or(i64::MAX))
    }
}

impl edge::Clock for SystemClock {
    fn monotonic(&self) -> Monotonic {
        SystemClock::monotonic(*self)
    }
    fn wall(&self) -> EventTime {
        SystemClock::wall(*self)
    }
}
