//! A file `NAME.amended.csv` beside `NAME.csv`. It is written as a whole to another file, which then takes its name: a kill leaves the old
//! one or the new one. Its rows are in the order of minute and symbol, whatever was amended first.

use super::CsvTarget;
use crate::sinks::amended::{AMENDED, AmendedOptions, AmendedRow, AmendedRows, StoredAmended, StoredAmendedRows};
use crate::sinks::append::{folder_of, sync_folder_of};
use crate::sinks::stored::{StoredCell, minute};
use crate::text::{MinuteText, decimal_text};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::time::WindowStart;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// See the module.
pub(in crate::sinks) struct AmendedCsv {
    path: PathBuf,
    options: AmendedOptions,
}

/// Cells of each row behind minute and symbol, as text.
type Lines = BTreeMap<(WindowStart, String), Vec<String>>;

impl AmendedCsv {
    /// Opens nothing yet.
    pub(in crate::sinks) fn new(target: &CsvTarget, options: &AmendedOptions) -> Self {
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let extension = target.path.extension().map_or_else(|| ".csv".into(), |e| format!(".{}", e.to_string_lossy()));
        let path = target.path.with_file_name(format!("{}.{AMENDED}{extension}", text(target.path.file_stem())));
        AmendedCsv { path, options: options.clone() }
    }

    fn header(&self) -> Vec<&'static str> {
        let mut names = vec!["symbol", "minute", "count", "sum", "avg", "state"];
        if self.options.columns.market {
            names.extend(["open", "high", "low", "close", "volume", "vwap"]);
        }
        names.extend(["letter_count", "letters"]);
        names
    }

    fn refused(&self, why: &str) -> Halt {
        let path = self.path.display();
        Halt::new(
            HaltKind::Usage,
            format!("csv {path}: {why}: it is no file of amended rows of this job; move it away"),
        )
    }

    /// All its rows; none where there is no file.
    fn lines(&self) -> Result<Lines, Halt> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Lines::new()),
            Err(e) => return Err(self.failed(&e)),
        };
        let mut reader = csv::ReaderBuilder::new().from_reader(io::BufReader::new(file));
        let header = reader.headers().map_err(|e| self.refused(&e.to_string()))?;
        if header.iter().ne(self.header()) {
            return Err(self.refused("has other columns"));
        }
        let mut lines = Lines::new();
        for record in reader.records() {
            let record = record.map_err(|e| self.refused(&e.to_string()))?;
            let symbol = record.get(0).unwrap_or_default().to_owned();
            let start = record.get(1).and_then(minute).ok_or_else(|| self.refused("a row has no minute"))?;
            lines.insert((start, symbol), record.iter().skip(2).map(str::to_owned).collect());
        }
        Ok(lines)
    }

    fn text(&self, lines: &Lines) -> csv::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.header())?;
        let mut minute = MinuteText::new(self.options.windowing);
        for ((start, symbol), cells) in lines {
            let key = [symbol.as_str(), minute.of(*start)];
            writer.write_record(key.into_iter().chain(cells.iter().map(String::as_str)))?;
        }
        writer.into_inner().map_err(|e| io::Error::other(e.to_string()).into())
    }

    /// The cells of a row behind minute and symbol.
    fn texts(&self, AmendedRow { row, letters, letter_count }: &AmendedRow) -> Vec<String> {
        let mut cells = vec![row.count.to_string(), decimal_text(&row.sum), decimal_text(&row.avg), AMENDED.to_owned()];
        if let (true, Some(market)) = (self.options.columns.market, &row.market) {
            let prices = [market.open, market.high, market.low, market.close];
            cells.extend(prices.map(|price| decimal_text(&price)));
            cells.push(market.volume.map(|volume| decimal_text(&volume)).unwrap_or_default());
            cells.push(market.vwap.map(|vwap| decimal_text(&vwap)).unwrap_or_default());
        }
        cells.extend([letter_count.to_string(), letters.clone()]);
        cells
    }

    fn failed(&self, e: &dyn std::fmt::Display) -> Halt {
        Halt::new(HaltKind::Unreachable, format!("csv {}: {e}", self.path.display()))
    }
}

/// Puts these bytes in place of what is there.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = tempfile_in(path)?;
    let written = temporary.1.write_all(bytes).and_then(|()| temporary.1.sync_all());
    let named = written.and_then(|()| std::fs::rename(&temporary.0, path));
    if named.is_err() {
        // What is left of it is in nobody's way, and is overwritten the next time.
        drop(std::fs::remove_file(&temporary.0));
    }
    named.and_then(|()| sync_folder_of(path))
}

/// A new file beside it, with the rights that a new file has. A former one, of an amendment that was killed, is overwritten.
fn tempfile_in(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let at = folder_of(path).join(name);
    match std::fs::remove_file(&at) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = File::create_new(&at)?;
    Ok((at, file))
}

impl AmendedRows for AmendedCsv {
    fn columns(&self) -> Vec<&'static str> {
        self.header().split_off(2)
    }

    fn cells(&self, row: &AmendedRow) -> Vec<StoredCell> {
        self.texts(row).into_iter().map(StoredCell::Text).collect()
    }

    fn read(&mut self, minutes: Range<WindowStart>) -> Result<StoredAmendedRows, Halt> {
        let lines = self.lines()?.into_iter().filter(|((minute, _), _)| minutes.contains(minute));
        let stored = |cells: Vec<String>| StoredAmended {
            letters: cells.last().cloned().unwrap_or_default(),
            cells: cells.into_iter().map(StoredCell::Text).collect(),
        };
        Ok(lines.map(|(key, cells)| (key, stored(cells))).collect())
    }

    fn write(&mut self, rows: &[AmendedRow]) -> Result<(), Halt> {
        let mut lines = self.lines()?;
        for row in rows {
            lines.insert((row.row.minute, row.row.symbol.clone()), self.texts(row));
        }
        let text = self.text(&lines).map_err(|e| self.failed(&e))?;
        if std::fs::symlink_metadata(&self.path).is_ok_and(|meta| !meta.is_file()) {
            return Err(self.refused("is not a regular file, or a symbolic link, which is not followed"));
        }
        replace(&self.path, &text).map_err(|e| self.failed(&e))
    }
}
