//! Options of how records are taken apart and when their events were: of a run, and of a replay.

use super::envelope::EnvelopeArgs;
use super::rows::{FORMATS, FormatOption, RowArgs};
use super::values::{Given, TIME_UNITS, choice};
use clap::Args;
use minutely_dataflows::decode::TimeUnit;

/// How events are found in records, and their times.
#[derive(Args, Debug)]
#[command(next_help_heading = "Decoding")]
pub(crate) struct ShapeArgs {
    /// Format of payloads
    #[arg(
        long,
        value_name = "FORMAT",
        env = "MINUTELY_FORMAT",
        default_value = "json",
        value_parser = choice(&FORMATS)
    )]
    pub(crate) format: Given<FormatOption>,

    #[command(flatten)]
    pub(crate) rows: RowArgs,

    #[command(flatten)]
    pub(crate) envelope: EnvelopeArgs,

    /// Pointer to an array in each record whose elements are events, as /data; empty: the record itself is the array
    ///
    /// Fields are those of an element then; @message/type is a field of the whole record.
    #[arg(long, value_name = "POINTER", env = "MINUTELY_EACH")]
    pub(crate) each: Option<String>,

    /// Condition on a field, of which all must hold, repeatable: FIELD=VALUE, FIELD!=VALUE, FIELD=A|B, FIELD (is there), !FIELD
    ///
    /// Records for which one does not hold are skipped: counted, and no dead letters.
    #[arg(long = "where", value_name = "CONDITION", env = "MINUTELY_WHERE")]
    pub(crate) filter: Vec<String>,

    /// Field of the event time: a name, a JSON pointer, or @timestamp, the log's own stamp; repeatable, for date and time
    #[arg(long, value_name = "FIELD", env = "MINUTELY_TIME_FIELD", default_value = "ts")]
    pub(crate) time_field: Vec<String>,

    /// Unit of event times that are numbers
    #[arg(
        long,
        value_name = "UNIT",
        env = "MINUTELY_TIME_UNIT",
        default_value = "ms",
        value_parser = choice(&TIME_UNITS)
    )]
    pub(crate) time_unit: Given<TimeUnit>,

    /// Format of event times, as in strptime: %Y%m%d %H:%M:%S%.f [default: numbers, and texts such as 2026-01-05T08:00:00Z]
    ///
    /// Texts and the digits of numbers are read by it alone. Without %z, %Q or %s it needs --time-zone.
    #[arg(long, value_name = "FORMAT", env = "MINUTELY_TIME_FORMAT")]
    pub(crate) time_format: Option<String>,

    /// Time zone of event times that say no offset: Europe/Berlin, UTC or +01:00 [default: such times are rejected]
    ///
    /// The database of time zones is part of the program. A time of day that a change of the clocks skips is read with the
    /// offset before it; of one that comes twice, the first counts.
    #[arg(long, value_name = "ZONE", env = "MINUTELY_TIME_ZONE")]
    pub(crate) time_zone: Option<String>,
}
