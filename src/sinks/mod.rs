//! Where rows go. Each sink works on a thread of its own; sinks do not know one another.
//!
//! In three steps: [`validate`] finds all mistakes of a URI and reads nothing but the secrets that it names; [`check`] finds
//! out whether the sink would work and leaves nothing behind; [`open`] starts it. All sinks are checked before any is opened.
//! From then on a sink keeps the rows that it was given, retries, and says in its [`crate::threads::Health`] what is wrong.

mod amend;
mod amended;
mod append;
mod csv;
pub(crate) mod dead_letters;
mod error;
mod file_id;
mod influx;
mod local;
mod options;
mod port;
mod provisional;
mod read_back;
mod repair;
mod repair_writer;
mod sqlite;
mod stdout;
mod stored;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use amend::amended;
pub(crate) use amended::{AmendedOptions, AmendedRow, AmendedRows, StoredAmended, StoredAmendedRows};
pub(crate) use options::{Emit, OpenSink, Owner, PriorState, SinkOptions};
pub(crate) use read_back::read_back;
pub(crate) use repair::{RepairAbility, ability, is_behind, open_for_repair, read_for_repair};
pub(crate) use repair_writer::{RepairBatch, RepairWriter};
pub(crate) use sqlite::{PageRequest, SqliteHistory};
pub(crate) use stored::{ForeignRemedy, ForeignRow, ReadBackOptions, StoredCell, StoredRows};

use crate::text::Columns;
use crate::uri::redacted;
use error::SinkError;
use local::LocalTarget;
use minutely_dataflows::edge::{Halt, RowFilter};
use minutely_dataflows::time::Windowing;

/// A sink as the command line names it.
#[derive(Debug)]
enum SinkTarget {
    LocalTarget(LocalTarget),
    Influx(Box<influx::InfluxTarget>),
}

const KNOWN: &str = "sqlite:PATH[?table=NAME], influxdb://host:port/org/bucket, influxdb1://host:port/db (either with +https before \
                     the colon), csv:PATH[?rotate=1d|100MB], stdout:, stdout:json";

impl SinkTarget {
    fn parse(uri: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        if let Some(local) = LocalTarget::parse(uri) {
            return local.map(SinkTarget::LocalTarget);
        }
        let shown = redacted(uri);
        match uri.split_once(':') {
            Some((scheme, rest)) if influx::InfluxTarget::SCHEMES.contains(&scheme) => {
                influx::InfluxTarget::parse(scheme, rest, &shown, env).map(Box::new).map(SinkTarget::Influx)
            }
            _ => Err(vec![format!("sink `{shown}`: unknown; there are {KNOWN}")]),
        }
    }
}

/// The stored rows of the first `sqlite:` among these, for reading.
pub(crate) fn stored(uris: &[String], columns: &Columns, windowing: Windowing) -> Option<SqliteHistory> {
    let sqlite = |uri: &String| match LocalTarget::parse(uri)? {
        Ok(LocalTarget::Sqlite(target)) => Some(SqliteHistory::new(target, columns.clone(), windowing)),
        _ => None,
    };
    uris.iter().find_map(sqlite)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn parsed(uri: &str) -> Result<SinkTarget, SinkError> {
    SinkTarget::parse(uri, &environment).map_err(SinkError::Mistakes)
}

/// All mistakes in a `--sink`, each with what to do. Reads the secrets that it names, and nothing else.
pub(crate) fn validate(uri: &str) -> Vec<String> {
    SinkTarget::parse(uri, &environment).err().unwrap_or_default()
}

/// A warning about the file of a secret that a `--sink` names: other users can read it.
pub(crate) fn secret_warning(uri: &str) -> Option<String> {
    match SinkTarget::parse(uri, &environment) {
        Ok(SinkTarget::Influx(target)) => target.warning().map(str::to_owned),
        Ok(SinkTarget::LocalTarget(_)) | Err(_) => None,
    }
}

/// Which rows the sinks of a `--sink` take, in the order of [`open`]: known without opening any, so that every process of a
/// cluster knows it. Empty for a URI with mistakes.
pub(crate) fn takes(uri: &str, emit: Emit) -> Vec<RowFilter> {
    match SinkTarget::parse(uri, &environment) {
        Ok(SinkTarget::Influx(_)) => influx::takes(emit),
        Ok(SinkTarget::LocalTarget(_)) => vec![local::takes(emit)],
        Err(_) => Vec::new(),
    }
}

/// Refuses two sinks that write to one file or table under two names. Reads the names of folders alone.
///
/// # Errors
/// 64, naming both.
pub(crate) fn distinct(uris: &[String], columns: &Columns) -> Result<(), Halt> {
    let local = |uri: &String| LocalTarget::parse(uri)?.ok().map(|local| (uri.clone(), local));
    let all: Vec<_> = uris.iter().filter_map(local).collect();
    for (at, (uri, sink)) in all.iter().enumerate() {
        if let Some((other, _)) = all[..at].iter().find(|(_, before)| before.shares_with(sink, columns)) {
            return Err(SinkError::OnePlace { first: other.clone(), second: uri.clone() }.into());
        }
    }
    Ok(())
}

/// The position of a sink in the state, as people read it.
pub(crate) fn shown_position(uri: &str, position: u64) -> String {
    match LocalTarget::parse(uri) {
        Some(Ok(LocalTarget::Csv(csv::CsvTarget { rotate: Some(_), .. }))) => {
            let csv::SeriesPosition { number, len } = csv::SeriesPosition::unpack(position);
            format!("position {len} in file {number:06}")
        }
        _ => format!("position {position}"),
    }
}

/// Finds out whether a sink would work; leaves nothing behind. A server that does not answer is a warning: its rows wait.
///
/// # Errors
/// 64, with what to do; 69 for a database of this machine that stays locked.
pub(crate) fn check(uri: &str, options: &SinkOptions) -> Result<(), Halt> {
    match parsed(uri)? {
        SinkTarget::LocalTarget(local) => local.look(options),
        SinkTarget::Influx(target) => Ok(influx::look(*target, options)?),
    }
}

/// Opens a sink; one of this machine is checked first. `influxdb:` is two sinks with `--emit changes`.
///
/// # Errors
/// As [`check`].
pub(crate) fn open(uri: &str, options: &SinkOptions) -> Result<Vec<OpenSink>, Halt> {
    match parsed(uri)? {
        SinkTarget::LocalTarget(local) => Ok(vec![local.open(uri, options)?]),
        SinkTarget::Influx(target) => influx::open(*target, options),
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{options, temp};
    use super::*;
    use minutely_dataflows::edge::HaltKind;

    #[test]
    fn mistakes_say_what_there_is() {
        for uri in ["csv:x.csv", "sqlite:./a b.db", "stdout:", "influxdb1://h/db", "influxdb1+https://h/db"] {
            assert_eq!(validate(uri), Vec::<String>::new(), "{uri}");
        }
        for (uri, want) in [
            ("", "unknown; there are sqlite:PATH"),
            ("mysql://x", "unknown; there are"),
            ("csv", "unknown; there are"),
            ("csv:", "names no file"),
            ("sqlite:", "names no file"),
            ("stdout:x", "there are stdout: and stdout:json"),
            ("influxdb1:h/db", "give it as influxdb1://host:port/db"),
        ] {
            let mistakes = validate(uri);
            assert!(mistakes.len() == 1 && mistakes[0].contains(want), "{uri}: {mistakes:?}");
            let dir = temp();
            assert_eq!(check(uri, &options(dir.path())).unwrap_err().kind, HaltKind::Usage);
            assert_eq!(open(uri, &options(dir.path())).map(drop).unwrap_err().kind, HaltKind::Usage);
        }
    }

    #[test]
    fn what_a_sink_takes_follows_emit_and_its_folder_is_made() {
        let dir = temp();
        let data = dir.path().join("data/job");
        let mut options = SinkOptions { emit: Emit::Final, ..options(&data) };
        let sinks = open(&format!("sqlite:{}", data.join("db").display()), &options).unwrap();
        assert_eq!(sinks[0].takes, RowFilter { changes: false, partial: true, open_every: 0 });
        options.emit = Emit::Changes;
        let sinks = open(&format!("csv:{}", data.join("x").display()), &options).unwrap();
        assert_eq!(sinks[0].takes, RowFilter { changes: true, partial: true, open_every: 0 });
    }
}
