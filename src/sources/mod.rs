//! Where records come from. Sources do not know one another.

pub(crate) mod kafka;

use crate::clock::Clock;
use minutely_dataflows::time::EventTime;
use std::time::Duration;

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

/// What every source is told at the start of a run.
#[derive(Clone, Debug)]
pub(crate) struct SourceOptions {
    /// The run's start: `--as-of`, or what the wall clock said. The same for all processes of a run (R7).
    pub(crate) run_start: EventTime,
    /// `--until-end`: record the ends first and read no further.
    pub(crate) bounded: bool,
    /// `--start`.
    pub(crate) start: Start,
    /// `-X key=value`, secrets already resolved.
    pub(crate) properties: Vec<(String, String)>,
    /// How long a service may take to answer at the start, before the run ends with 69. Default: 30 s.
    pub(crate) patience: Duration,
    /// The clock.
    pub(crate) clock: Clock,
}
