//! `--start`.

use minutely_dataflows::time::EventTime;
use std::fmt;

/// Where reading begins (R13). It chooses offsets, never a floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the oldest record that the log holds.
    #[default]
    Earliest,
    /// At the log's end: only what comes from now on.
    Latest,
    /// At the first record whose broker timestamp is not before this.
    Time(EventTime),
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Start::Earliest => f.write_str("earliest"),
            Start::Latest => f.write_str("latest"),
            Start::Time(time) => match jiff::Timestamp::from_nanosecond(i128::from(time.0)) {
                Ok(time) => write!(f, "{time}"),
                Err(_) => write!(f, "{} ns", time.0), // beyond the years that have a name
            },
        }
    }
}
