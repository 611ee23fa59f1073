//! The sinks whose amended rows are read and written, and what their rows name.

use super::corrected::CorrectedRecords;
use super::error::AmendError;
use super::events::LetterDecoders;
use super::fetch::fetch;
use super::place::LetterPlace;
use super::report::SinkChanges;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::sinks::{self, AmendedOptions, AmendedRow, AmendedRows, StoredAmendedRows};
use crate::text::Columns;
use crate::uri::redacted;
use crate::verify::OpenLog;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::WindowStart;
use std::collections::BTreeSet;

/// A sink whose amended rows are read and written.
pub(super) struct OpenAmended {
    pub(super) rows: Box<dyn AmendedRows>,
    pub(super) stored: StoredAmendedRows,
    /// Rows that it lacks, or has otherwise.
    pub(super) due: Vec<AmendedRow>,
    pub(super) changes: SinkChanges,
}

impl OpenAmended {
    /// Those of a job that can have amended rows, and the names of those that cannot.
    ///
    /// # Errors
    /// 64: a sink is not one of the state's.
    pub(super) fn all(config: &Config, log: &OpenLog, clock: SystemClock) -> Result<(Vec<Self>, Vec<String>), Halt> {
        let options = AmendedOptions {
            columns: Columns { market: log.columns.market, ..Columns::default() },
            windowing: log.facts.rule.windowing,
            owners: config.owners(&log.head),
            folder: config.folder.clone(),
            clock,
        };
        let (mut open, mut without) = (Vec::new(), Vec::new());
        for uri in &config.sinks {
            let name = redacted(uri);
            let Some(rows) = sinks::amended(uri, &options)? else {
                without.push(name);
                continue;
            };
            let known = config.names_of(uri).first().is_some_and(|name| log.head.sink(name).is_some());
            if !known {
                return Err(AmendError::UnknownSink { sink: name }.into());
            }
            let changes = SinkChanges { name, ..SinkChanges::default() };
            open.push(OpenAmended { rows, stored: StoredAmendedRows::new(), due: Vec::new(), changes });
        }
        Ok((open, without))
    }

    /// Does its row of this minute and symbol name this letter?
    pub(super) fn names(&self, key: &(WindowStart, String), letter: &str) -> bool {
        self.stored.get(key).is_some_and(|stored| stored.letters.split(' ').any(|listed| listed == letter))
    }
}

/// The partitions of a state.
pub(super) fn partitions(log: &OpenLog) -> impl Iterator<Item = &PartitionName> + Clone {
    log.facts.partitions.iter().map(|partition| &partition.name)
}

/// Of these places of corrected records: those that an amended row of every sink names.
///
/// # Errors
/// A sink cannot be read, or has no amended rows.
pub(crate) fn amended_places(
    (config, log): (&Config, &OpenLog),
    corrected: &CorrectedRecords,
    places: &BTreeSet<LetterPlace>,
    clock: SystemClock,
) -> Result<BTreeSet<LetterPlace>, Halt> {
    let (mut sinks, _) = OpenAmended::all(config, log, clock)?;
    let mut decoders = LetterDecoders::new(config, log);
    let mut keys = Vec::new();
    for (place, event) in fetch((config, log), &mut decoders, corrected, places.iter())? {
        let Ok(event) = event else { continue };
        let window = log.facts.rule.windowing.window_of(event.time);
        keys.push((place, (window, event.symbol.into_owned())));
    }
    let windows = || keys.iter().map(|(_, (window, _))| *window);
    let (Some(first), Some(last)) = (windows().min(), windows().max()) else { return Ok(BTreeSet::new()) };
    for sink in &mut sinks {
        sink.stored = sink.rows.read(first..WindowStart(last.0 + 1))?;
    }
    let in_all = |place: &LetterPlace, key| {
        let text = place.to_string();
        !sinks.is_empty() && sinks.iter().all(|sink| sink.names(key, &text))
    };
    Ok(keys.iter().filter(|(place, key)| in_all(place, key)).map(|(place, _)| place.clone()).collect())
}
