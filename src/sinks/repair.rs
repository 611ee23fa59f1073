//! Opens sinks so that what they lack can be written without a run, by the writers of a run: the same rows, the same bytes.

use super::csv::{CsvRepair, StoredCsv};
use super::influx::{InfluxRepair, InfluxRows};
use super::local::LocalTarget;
use super::options::SinkOptions;
use super::read_back::ReadableSink;
use super::repair_writer::RepairWriter;
use super::sqlite::{SqliteRepair, SqliteRows};
use super::stored::{ReadBackOptions, StoredRows};
use super::{SinkTarget, parsed};
use minutely_dataflows::edge::{Halt, HaltKind};
use std::time::Duration;

/// What a repair can and cannot do with a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RepairAbility {
    /// Only the state's owner may write there.
    pub(crate) needs_state: bool,
    /// Rows can be taken out.
    pub(crate) deletes: bool,
    /// A write leaves values of the row that it does not name.
    pub(crate) merges: bool,
    /// A column that is not there is made.
    pub(crate) makes_columns: bool,
}

/// What a repair can do with this sink; none where nothing can be read back.
///
/// # Errors
/// 64: the URI is wrong.
pub(crate) fn ability(uri: &str) -> Result<Option<RepairAbility>, Halt> {
    Ok(match parsed(uri)? {
        SinkTarget::LocalTarget(LocalTarget::Sqlite(_)) => {
            Some(RepairAbility { needs_state: false, deletes: true, merges: false, makes_columns: true })
        }
        SinkTarget::LocalTarget(LocalTarget::Csv(_)) => {
            Some(RepairAbility { needs_state: true, deletes: false, merges: false, makes_columns: false })
        }
        SinkTarget::Influx(_) => {
            Some(RepairAbility { needs_state: false, deletes: true, merges: true, makes_columns: true })
        }
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
            let rows = SqliteRows::open_if_there(&target, options).map_err(unreachable)?;
            if let Some(why) = rows.lacks_column() {
                return Err(Halt::new(HaltKind::Data, why));
            }
            Box::new(rows)
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
