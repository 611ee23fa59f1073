//! Opens sinks so that what they lack can be written without a run, by the writers of a run: the same rows, the same bytes.

use super::csv::{CsvRepair, StoredCsv};
use super::influx::{InfluxRepair, InfluxRows};
use super::local::LocalTarget;
use super::options::SinkOptions;
use super::read_back::ReadableSink;
use super::sqlite::{SqliteRepair, SqliteRows};
use super::stored::{ReadBackOptions, StoredRows};
use super::{SinkTarget, parsed};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::WindowStart;
use std::time::Duration;

/// A row of one place.
pub(crate) type RowKey = (WindowStart, String);

/// What is to be done in one place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RepairBatch {
    /// Rows to write, ascending by (minute, symbol): where one stands already, it is replaced.
    pub(crate) rows: Vec<Row>,
    /// Rows to delete first: those that nothing counts for, and those of `rows` that have values which no write takes away.
    pub(crate) extra: Vec<RowKey>,
}

/// Writes what one place lacks.
pub(crate) trait RepairWriter {
    /// Deletes and writes. What cannot be deleted stays, and is found when the place is read again.
    ///
    /// # Errors
    /// 69: it takes nothing.
    fn write(&mut self, batch: &RepairBatch) -> Result<(), Halt>;

    /// Returns once all of it is durable. `is_whole`: the place has all rows that the state knows it to have had. The new position,
    /// for the state, if the place has one that moves.
    ///
    /// # Errors
    /// 69: it takes nothing.
    fn finish(&mut self, is_whole: bool) -> Result<Option<u64>, Halt>;

    /// The state knows the new position: what only then may be done.
    ///
    /// # Errors
    /// 69: it cannot be done.
    fn settle(&mut self) -> Result<(), Halt> {
        Ok(())
    }

    /// What people should know: points that were refused, or could not be deleted.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a repair can and cannot do with a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RepairAbility {
    /// Only the state's owner may write there.
    pub(crate) needs_state: bool,
    /// Rows can be taken out.
    pub(crate) deletes: bool,
    /// A write leaves values of the row that it does not name.
    pub(crate) merges: bool,
}

/// What a repair can do with this sink; none where nothing can be read back.
///
/// # Errors
/// 64: the URI is wrong.
pub(crate) fn ability(uri: &str) -> Result<Option<RepairAbility>, Halt> {
    Ok(match parsed(uri)? {
        SinkTarget::LocalTarget(LocalTarget::Sqlite(_)) => {
            Some(RepairAbility { needs_state: false, deletes: true, merges: false })
        }
        SinkTarget::LocalTarget(LocalTarget::Csv(_)) => {
            Some(RepairAbility { needs_state: true, deletes: false, merges: false })
        }
        SinkTarget::Influx(_) => Some(RepairAbility { needs_state: false, deletes: true, merges: true }),
        SinkTarget::LocalTarget(LocalTarget::Stdout(_)) => None,
    })
}

/// Opens what a sink holds, as far as the state knows of it: a database, table or file that is not there holds nothing. None for one
/// that cannot be read back.
///
/// # Errors
/// 64: the URI is wrong. 65: it is not what this program writes. 69: it cannot be opened.
pub(crate) fn read_for_repair(
    uri: &str,
    options: &ReadBackOptions,
    position: Option<u64>,
) -> Result<Option<ReadableSink>, Halt> {
    let unreachable = |why: String| Halt::new(HaltKind::Unreachable, why);
    let rows: Box<dyn StoredRows> = match parsed(uri)? {
        SinkTarget::LocalTarget(LocalTarget::Sqlite(target)) => {
            Box::new(SqliteRows::open_if_there(&target, options).map_err(unreachable)?)
        }
        SinkTarget::LocalTarget(LocalTarget::Csv(target)) => {
            let known = StoredCsv::as_known(&target, options, position.unwrap_or(0));
            Box::new(known.map_err(|why| Halt::new(HaltKind::Data, why))?)
        }
        SinkTarget::Influx(target) => Box::new(InfluxRows::open(*target, options).map_err(unreachable)?),
        SinkTarget::LocalTarget(LocalTarget::Stdout(_)) => return Ok(None),
    };
    Ok(Some(ReadableSink { number: 0, rows }))
}

/// Would a run refuse the sink, because it has less than the state knows?
///
/// # Errors
/// 64: it cannot be used so, or belongs to another job. 69: it cannot be reached.
pub(crate) fn is_behind(uri: &str, options: &SinkOptions) -> Result<bool, Halt> {
    Ok(match parsed(uri)? {
        SinkTarget::LocalTarget(LocalTarget::Sqlite(target)) => SqliteRepair::is_behind(&target, options)?,
        SinkTarget::LocalTarget(LocalTarget::Csv(target)) => CsvRepair::is_behind(&target, options)?,
        SinkTarget::Influx(_) | SinkTarget::LocalTarget(LocalTarget::Stdout(_)) => false,
    })
}

/// Opens a sink for repair. `seq`: the manifest by which the state knows what is stored. `timeout`: how long a server may take nothing.
///
/// # Errors
/// As [`is_behind`].
pub(crate) fn open_for_repair(
    uri: &str,
    options: &SinkOptions,
    (seq, timeout): (u64, Duration),
) -> Result<Box<dyn RepairWriter>, Halt> {
    Ok(match parsed(uri)? {
        SinkTarget::LocalTarget(LocalTarget::Sqlite(target)) => Box::new(SqliteRepair::open(&target, options, seq)?),
        SinkTarget::LocalTarget(LocalTarget::Csv(target)) => Box::new(CsvRepair::open(&target, options)?),
        SinkTarget::Influx(target) => Box::new(InfluxRepair::open(*target, options, timeout)?),
        SinkTarget::LocalTarget(LocalTarget::Stdout(_)) => {
            return Err(Halt::new(HaltKind::Usage, format!("sink {uri}: what was printed cannot be repaired")));
        }
    })
}
