//! Opens the amended rows of a sink.

use super::amended::{AmendedOptions, AmendedRows};
use super::csv::AmendedCsv;
use super::influx::AmendedInflux;
use super::local::LocalTarget;
use super::sqlite::AmendedSqlite;
use super::{SinkTarget, parsed};
use minutely_dataflows::edge::{Halt, HaltKind};

/// The amended rows of a sink; none for standard output. Nothing is written yet.
///
/// # Errors
/// 64: the URI is wrong.
pub(crate) fn amended(uri: &str, options: &AmendedOptions) -> Result<Option<Box<dyn AmendedRows>>, Halt> {
    Ok(Some(match parsed(uri)? {
        SinkTarget::LocalTarget(LocalTarget::Sqlite(target)) => Box::new(AmendedSqlite::new(&target, options)),
        SinkTarget::LocalTarget(LocalTarget::Csv(target)) => Box::new(AmendedCsv::new(&target, options)),
        SinkTarget::Influx(target) => {
            let opened = AmendedInflux::new(*target, options);
            Box::new(opened.map_err(|why| Halt::new(HaltKind::Unreachable, why))?)
        }
        SinkTarget::LocalTarget(LocalTarget::Stdout(_)) => return Ok(None),
    }))
}
