//! Opens what sinks hold, for reading, as anybody would read them. Nothing is written.

use super::csv::StoredCsv;
use super::influx::InfluxRows;
use super::local::LocalTarget;
use super::sqlite::SqliteRows;
use super::stored::{ReadBackOptions, StoredRows};
use super::{SinkTarget, parsed};
use minutely_dataflows::edge::{Halt, HaltKind};

/// A sink that can be read back.
pub(crate) struct ReadableSink {
    /// Which of the names of the sink in the state has these rows: 0 for the first.
    pub(crate) number: usize,
    pub(crate) rows: Box<dyn StoredRows>,
}

/// Opens what a sink holds; none for one that holds nothing, such as standard output.
///
/// # Errors
/// 64: the URI is wrong. 69: it cannot be opened.
pub(crate) fn read_back(uri: &str, options: &ReadBackOptions) -> Result<Option<ReadableSink>, Halt> {
    let unreachable = |why: String| Halt::new(HaltKind::Unreachable, why);
    let rows: Box<dyn StoredRows> = match parsed(uri)? {
        SinkTarget::LocalTarget(LocalTarget::Sqlite(target)) => {
            Box::new(SqliteRows::open(&target, options).map_err(unreachable)?)
        }
        SinkTarget::LocalTarget(LocalTarget::Csv(target)) => {
            Box::new(StoredCsv::open(&target, options).map_err(unreachable)?)
        }
        // (The measurement of final rows is the first of two.)
        SinkTarget::Influx(target) => Box::new(InfluxRows::open(*target, options).map_err(unreachable)?),
        SinkTarget::LocalTarget(LocalTarget::Stdout(_)) => return Ok(None),
    };
    Ok(Some(ReadableSink { number: 0, rows }))
}
