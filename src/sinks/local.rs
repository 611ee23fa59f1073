//! Sinks of this machine, as the command line names them: `sqlite:PATH?table=NAME`, `csv:PATH?rotate=1d`,
//! `stdout:`, `stdout:json`.
//!
//! What follows the last `?` of a path is options if it has a `=`. A path that itself ends so is followed by another `?`:
//! `csv:a?b=c.csv?` is the file `a?b=c.csv`.

use super::csv::{CsvTarget, RotationRule};
use super::error::SinkError;
use super::options::{Emit, OpenSink, RowWriter, SinkOptions};
use super::port::RowPort;
use super::sqlite::{SqliteTarget, TableName};
use super::stdout::StdoutFormat;
use super::{append, csv, sqlite, stdout};
use crate::text::Columns;
use crate::threads::{Health, Stop};
use minutely_dataflows::edge::{Halt, RowFilter};
use std::path::{Path, PathBuf};

/// A sink of this machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LocalTarget {
    Sqlite(SqliteTarget),
    Csv(CsvTarget),
    Stdout(StdoutFormat),
}

impl LocalTarget {
    /// None for another scheme.
    ///
    /// # Errors
    /// All its mistakes.
    pub(super) fn parse(uri: &str) -> Option<Result<Self, Vec<String>>> {
        let (scheme, rest) = uri.split_once(':')?;
        let parsed = match scheme {
            "sqlite" => path(rest, "table").and_then(|(path, options)| {
                let table =
                    options.first().map_or_else(|| Ok(TableName::default()), |(_, name)| TableName::parse(name));
                table.map(|table| LocalTarget::Sqlite(SqliteTarget { path, table })).map_err(|why| vec![why])
            }),
            "csv" => path(rest, "rotate").and_then(|(path, options)| {
                let rotate = options.first().map(|(_, text)| RotationRule::parse(text)).transpose();
                rotate.map(|rotate| LocalTarget::Csv(CsvTarget { path, rotate })).map_err(|why| vec![why])
            }),
            "stdout" => match rest {
                "" => Ok(LocalTarget::Stdout(StdoutFormat::Csv)),
                "json" => Ok(LocalTarget::Stdout(StdoutFormat::Json)),
                _ => Err(vec!["there are stdout: and stdout:json".to_owned()]),
            },
            _ => return None,
        };
        Some(parsed.map_err(|mistakes| mistakes.into_iter().map(|why| format!("sink `{uri}`: {why}")).collect()))
    }

    /// The file, for those that have one.
    fn file(&self) -> Option<&Path> {
        match self {
            LocalTarget::Sqlite(target) => Some(&target.path),
            LocalTarget::Csv(target) => Some(&target.path),
            LocalTarget::Stdout(_) => None,
        }
    }

    /// Do both write to one file or table? Two tables of one database are two; a folder may have several names. Each kind of
    /// rows of `columns` has a table.
    pub(super) fn shares_with(&self, other: &LocalTarget, columns: &Columns) -> bool {
        let file = |local: &LocalTarget| {
            let path = local.file()?;
            let folder = append::folder_of(path);
            Some((folder.canonicalize().unwrap_or_else(|_| folder.to_owned()), path.file_name()?.to_owned()))
        };
        match (self, other) {
            (LocalTarget::Sqlite(a), LocalTarget::Sqlite(b)) if !share_tables(a, b, columns) => false,
            (LocalTarget::Stdout(_), LocalTarget::Stdout(_)) => true,
            _ => file(self).is_some() && file(self) == file(other),
        }
    }

    /// Checks that [`LocalTarget::open`] would succeed; leaves nothing behind.
    ///
    /// # Errors
    /// 64 with what to do; 65 when the state says that there was more.
    pub(super) fn look(&self, options: &SinkOptions) -> Result<(), Halt> {
        match self {
            LocalTarget::Sqlite(target) => Ok(sqlite::look(target, options)?),
            LocalTarget::Csv(target) => Ok(csv::look(target, options)?),
            LocalTarget::Stdout(_) => Ok(stdout::look(std::io::stdout())?),
        }
    }

    /// Opens the sink on a thread of its own.
    ///
    /// # Errors
    /// As [`LocalTarget::look`], and 69 where a database stays locked or the disk full.
    pub(super) fn open(&self, uri: &str, options: &SinkOptions) -> Result<OpenSink, Halt> {
        if self.file().is_some_and(|path| append::folder_of(path) == options.data) {
            make_folder(&options.data)?;
        }
        let takes = takes(options.emit);
        let (health, stop) = (Health::new(uri), Stop::new());
        let (thread, writer, chain): (_, Box<dyn RowWriter>, _) = match self {
            LocalTarget::Sqlite(target) => {
                let (writer, chain) = sqlite::open(target, options, health.clone(), stop.clone())?;
                ("sqlite", Box::new(writer), Some(chain))
            }
            LocalTarget::Csv(target) => {
                ("csv", Box::new(csv::open(target, options, health.clone(), stop.clone())?), None)
            }
            LocalTarget::Stdout(form) => {
                ("stdout", Box::new(stdout::open(*form, options, health.clone(), stop.clone())?), None)
            }
        };
        let port = Box::new(RowPort::start(thread, options.wake.clone(), stop, writer)?);
        Ok(OpenSink { name: uri.to_owned(), takes, port, health, chain })
    }
}

fn share_tables(a: &SqliteTarget, b: &SqliteTarget, columns: &Columns) -> bool {
    let (a, b) = (a.table.with(columns), b.table.with(columns));
    a.iter().any(|(_, table)| b.iter().any(|(_, other)| table == other))
}

/// Which rows every sink of this machine takes.
pub(super) fn takes(emit: Emit) -> RowFilter {
    RowFilter { changes: emit == Emit::Changes, partial: true, open_every: 0 }
}

/// A path and the options after it, of which one is known.
fn path<'a>(text: &'a str, known: &str) -> Result<(PathBuf, Vec<(&'a str, &'a str)>), Vec<String>> {
    let (path, options) = match text.rsplit_once('?') {
        Some((path, options)) if options.is_empty() || options.contains('=') => (path, options),
        _ => (text, ""),
    };
    let mut mistakes = Vec::new();
    if path.is_empty() {
        mistakes.push("names no file".to_owned());
    }
    if path.contains('\0') {
        mistakes.push("a path holds no NUL".to_owned());
    }
    let mut found: Vec<(&str, &str)> = Vec::new();
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        if name != known {
            mistakes.push(format!(
                "the option {name} is not known, there is {known}=; if it belongs to the file's name, write one more `?` \
                 after it"
            ));
        } else if found.iter().any(|(before, _)| *before == name) {
            mistakes.push(format!("{name}= is there twice"));
        } else {
            found.push((name, value));
        }
    }
    if mistakes.is_empty() { Ok((PathBuf::from(path), found)) } else { Err(mistakes) }
}

/// Makes the job's folder.
fn make_folder(folder: &Path) -> Result<(), SinkError> {
    std::fs::create_dir_all(folder).map_err(|source| SinkError::NoFolder { folder: folder.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_follow_the_last_question_mark_if_they_are_any() {
        let table = |name: &str| TableName::parse(name).unwrap();
        let sqlite =
            |path: &str, name: &str| LocalTarget::Sqlite(SqliteTarget { path: path.into(), table: table(name) });
        let csv = |path: &str, rotate| LocalTarget::Csv(CsvTarget { path: path.into(), rotate });
        for (uri, want) in [
            ("sqlite:m.db", sqlite("m.db", "minutes")),
            ("sqlite:m.db?table=m5", sqlite("m.db", "m5")),
            ("sqlite:what?.db", sqlite("what?.db", "minutes")),
            ("sqlite:a?b=c?table=m5", sqlite("a?b=c", "m5")),
            ("sqlite:a?table=m5?", sqlite("a?table=m5", "minutes")),
            ("csv:a b?c.csv", csv("a b?c.csv", None)),
            ("csv:a?b=c.csv?", csv("a?b=c.csv", None)),
            ("csv:a.csv?rotate=1KB", csv("a.csv", Some(RotationRule::Bytes(1000)))),
            ("stdout:json", LocalTarget::Stdout(StdoutFormat::Json)),
        ] {
            assert_eq!(LocalTarget::parse(uri).unwrap(), Ok(want), "{uri}");
        }
        for (uri, want) in [
            (
                "sqlite:m.db?tabel=m5",
                "the option tabel is not known, there is table=; if it belongs to the file's name",
            ),
            ("sqlite:m.db?table=m5&table=m5", "table= is there twice"),
            ("sqlite:m.db?table=M5", "begins with a lower-case letter"),
            ("sqlite:?table=m5", "names no file"),
            ("csv:a.csv?table=m5", "the option table is not known, there is rotate="),
        ] {
            let mistakes = LocalTarget::parse(uri).unwrap().unwrap_err();
            assert!(mistakes.len() == 1 && mistakes[0].contains(want), "{uri}: {mistakes:?}");
            assert!(mistakes[0].starts_with(&format!("sink `{uri}`: ")), "{mistakes:?}");
        }
        assert_eq!(LocalTarget::parse("influxdb://h/o/b"), None);
    }
}
