//! Options of records that stand in an envelope.

use super::values::{Choice, Given, choice};
use clap::Args;

/// What is around a record.
#[derive(Args, Debug)]
#[command(next_help_heading = "Decoding")]
pub(crate) struct EnvelopeArgs {
    /// Envelope that records are in
    ///
    /// With debezium, fields are those of the row (after), and @envelope/source/table is one of the change event. Insertions
    /// and rows of snapshots count; updates, deletions, tombstones and what else a connector writes are skipped.
    #[arg(
        long,
        value_name = "ENVELOPE",
        env = "MINUTELY_ENVELOPE",
        default_value = "none",
        value_parser = choice(&ENVELOPES)
    )]
    pub(crate) envelope: Given<EnvelopeOption>,

    /// debezium, JSON without schemas: fractional digits of a field that is a decimal in base64, repeatable: FIELD=N
    ///
    /// For decimal.handling.mode=precise. Where records have their schema, it says the scale.
    #[arg(long, value_name = "FIELD=N", env = "MINUTELY_DECIMAL_SCALE")]
    pub(crate) decimal_scale: Vec<String>,
}

/// `--envelope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnvelopeOption {
    /// A record is alone.
    None,
    /// It is a change event of Debezium.
    Debezium,
}

const ENVELOPES: [Choice<EnvelopeOption>; 2] = [
    ("none", "a record is alone", EnvelopeOption::None),
    (
        "debezium",
        "a record is a change event of Debezium, or one that ExtractNewRecordState made flat",
        EnvelopeOption::Debezium,
    ),
];
