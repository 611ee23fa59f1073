//! Events of places that rows name: of corrected records, else of the log's.

use super::corrected::CorrectedRecords;
use super::events::{LetterDecoders, one_event};
use super::log_records::{is_gone, records_at};
use super::place::LetterPlace;
use crate::config::Config;
use crate::verify::OpenLog;
use minutely_dataflows::decode::DecodedEvent;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::record::PartitionName;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Why a place has no event.
#[derive(Clone, Debug)]
pub(super) enum Absent {
    /// The log begins behind it by now.
    Gone,
    /// The log has no record there.
    NoRecord,
    /// The record does not decode, in words.
    Broken(String),
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absent::Gone => f.write_str("is not in the log any more"),
            Absent::NoRecord => f.write_str("is not in the log"),
            Absent::Broken(why) => write!(f, "does not decode: {why}"),
        }
    }
}

/// The event of each of these places, or why there is none.
///
/// # Errors
/// The log cannot be read, or a registry does not answer.
pub(super) fn fetch<'p>(
    (config, log): (&Config, &OpenLog),
    decoders: &mut LetterDecoders<'_>,
    corrected: &CorrectedRecords,
    places: impl Iterator<Item = &'p LetterPlace>,
) -> Result<BTreeMap<LetterPlace, Result<DecodedEvent<'static>, Absent>>, Halt> {
    let mut all = BTreeMap::new();
    let mut of_log: BTreeMap<PartitionName, BTreeMap<i64, Vec<LetterPlace>>> = BTreeMap::new();
    for place in places {
        match corrected.get(place) {
            Some(corrected) => {
                let each = config.fields.each.is_some();
                let record = corrected.record(place.offset);
                let decoded = one_event(decoders.of(&place.partition)?, &record, each.then_some(0))?;
                all.insert(place.clone(), decoded.map_err(Absent::Broken));
            }
            None => {
                let of_partition = of_log.entry(place.partition.clone()).or_default();
                of_partition.entry(place.offset).or_default().push(place.clone());
            }
        }
    }
    for (partition, mut by_offset) in of_log {
        decoders.of(&partition)?;
        let offsets: BTreeSet<i64> = by_offset.keys().copied().collect();
        records_at(log, &partition, &offsets, &mut |record| {
            for place in by_offset.remove(&record.offset).unwrap_or_default() {
                let decoded = decoders.record(&place, record)?;
                all.insert(place, decoded.map_err(Absent::Broken));
            }
            Ok(())
        })?;
        for place in by_offset.into_values().flatten() {
            let why = if is_gone(log, &partition, place.offset) { Absent::Gone } else { Absent::NoRecord };
            all.insert(place, Err(why));
        }
    }
    Ok(all)
}
