//! What a file, or the files of a series, hold now: of each minute and symbol the last line. A line that is not ended is not there yet.

use super::rotate::{FileSeries, SeriesPosition};
use super::{CsvTarget, begins_as_ours};
use crate::sinks::stored::{EachStored, ReadBackOptions, StoredCell, StoredRows, exact_text, minute};
use crate::text::Columns;
use minutely_dataflows::coarse::WindowLevel;
use minutely_dataflows::decimal::ExactNumber;
use minutely_dataflows::derived::GROUP_COLUMNS;
use minutely_dataflows::row::Row;
use minutely_dataflows::time::WindowStart;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What helps where lines are not what was written.
const ANEW: &str = "move the file away, and `minutely repair --yes` makes it anew from the log";

/// See the module.
pub(in crate::sinks) struct StoredCsv {
    /// Each with how many bytes of it count; none: all.
    files: Vec<(PathBuf, Option<u64>)>,
    columns: Columns,
    names: Vec<String>,
    /// What column `window` says of a minute.
    window: String,
}

impl StoredCsv {
    /// Finds the files.
    ///
    /// # Errors
    /// There are none, in words.
    pub(in crate::sinks) fn open(target: &CsvTarget, options: &ReadBackOptions) -> Result<Self, String> {
        let path = &target.path;
        let files = match target.rotate {
            None if path.exists() => vec![path.clone()],
            None => Vec::new(),
            Some(_) => FileSeries::new(path).files().map_err(|e| format!("csv {}: {e}", path.display()))?,
        };
        if files.is_empty() {
            return Err(format!("csv {}: there is no such file", path.display()));
        }
        Ok(StoredCsv::of(files.into_iter().map(|path| (path, None)).collect(), options))
    }

    /// What the state knows of: what is behind this position is not there, nor is a file that is missing.
    ///
    /// # Errors
    /// A file is not one that this job writes, in words.
    pub(in crate::sinks) fn as_known(
        target: &CsvTarget,
        options: &ReadBackOptions,
        position: u64,
    ) -> Result<Self, String> {
        let path = &target.path;
        let files = match target.rotate {
            None if path.exists() => vec![(path.clone(), Some(position))],
            None => Vec::new(),
            Some(_) => {
                let files = FileSeries::new(path).known_files(SeriesPosition::unpack(position));
                files.map_err(|e| format!("csv {}: {e}", path.display()))?
            }
        };
        for (path, _) in &files {
            let why = |what: String| format!("csv {}: {what}; {ANEW}", path.display());
            let is_ours = begins_as_ours(path, &options.columns, options.windowing).map_err(|e| why(e.to_string()))?;
            if !is_ours {
                return Err(why("its first line is not the one that this job writes".into()));
            }
        }
        Ok(StoredCsv::of(files, options))
    }

    fn of(files: Vec<(PathBuf, Option<u64>)>, options: &ReadBackOptions) -> Self {
        let columns = options.columns.clone();
        let market: &[&str] = if columns.market { &["open", "high", "low", "close", "volume", "vwap"] } else { &[] };
        let own = ["count", "sum", "avg", "state"].iter().chain(market).map(|name| (*name).to_owned());
        let names = own.chain(columns.derived.iter().cloned()).collect();
        let window = WindowLevel::fixed(options.windowing.length).to_string();
        StoredCsv { files, columns, names, window }
    }
}

/// Adds the lines of one file that are of minutes and series; later ones win.
fn lines(
    (path, most): (&Path, Option<u64>),
    of: &StoredCsv,
    minutes: &Range<WindowStart>,
    rows: &mut Newest,
) -> Result<(), String> {
    let names = &of.names;
    let why = |e: &dyn std::fmt::Display| format!("csv {}: {e}", path.display());
    let file = File::open(path).map_err(|e| why(&e))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(WholeLines::new(file, most));
    let header = reader.headers().map_err(|e| why(&e))?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let places: Vec<Option<usize>> = names.iter().map(|name| place(name)).collect();
    let (window, group) = (place("window"), place(GROUP_COLUMNS[0]));
    for record in reader.records() {
        let record = record.map_err(|e| why(&e))?;
        // (Without such a column, or with nothing in it, a row is of a minute and a series.)
        let says = |place: Option<usize>| place.and_then(|place| record.get(place)).filter(|text| !text.is_empty());
        if says(window).is_some_and(|window| window != of.window) || says(group).is_some() {
            continue;
        }
        let Some(start) = record.get(1).and_then(minute) else {
            return Err(why(&format!("a line has no minute in its second column: {record:?}; {ANEW}")));
        };
        if minutes.contains(&start) {
            let cell = |(name, place): (&String, &Option<usize>)| {
                place.map(|place| cell(name, record.get(place).unwrap_or_default()))
            };
            // (A file that was begun without a column has none to its end.)
            let cells = names.iter().zip(&places).map(|pair| cell(pair).unwrap_or(StoredCell::NoColumn));
            rows.insert((start, record.get(0).unwrap_or_default().to_owned()), cells.collect());
        }
    }
    Ok(())
}

type Newest = HashMap<(WindowStart, String), Vec<StoredCell>>;

/// A cell as a reader would take it, by the name of its column.
fn cell(name: &str, text: &str) -> StoredCell {
    let parsed = match (name, text) {
        (_, "") => Some(StoredCell::Nothing),
        ("count", number) => number.parse().ok().map(StoredCell::Integer),
        ("sum" | "volume", number) => exact_text(number).map(StoredCell::Text),
        ("state", state) => Some(StoredCell::Text(state.to_owned())),
        (_, number) => number.parse().ok().map(StoredCell::Float),
    };
    parsed.unwrap_or_else(|| StoredCell::Text(text.to_owned()))
}

/// A file up to its last line end.
struct WholeLines {
    file: std::io::Take<File>,
    buffer: Vec<u8>,
    given: usize,
    /// Bytes of the buffer up to its last line end.
    whole: usize,
    ended: bool,
}

impl WholeLines {
    /// `most`: bytes of it that count.
    fn new(file: File, most: Option<u64>) -> Self {
        let file = file.take(most.unwrap_or(u64::MAX));
        WholeLines { file, buffer: Vec::new(), given: 0, whole: 0, ended: false }
    }
}

impl Read for WholeLines {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.given == self.whole && !self.ended {
            self.buffer.drain(..self.given);
            self.given = 0;
            let before = self.buffer.len();
            self.buffer.resize(before + (1 << 18), 0);
            let read = self.file.read(&mut self.buffer[before..])?;
            self.buffer.truncate(before + read);
            self.ended = read == 0;
            self.whole = memchr::memrchr(b'\n', &self.buffer).map_or(0, |at| at + 1);
        }
        let many = out.len().min(self.whole - self.given);
        out[..many].copy_from_slice(&self.buffer[self.given..self.given + many]);
        self.given += many;
        Ok(many)
    }
}

impl StoredRows for StoredCsv {
    fn columns(&self) -> &[String] {
        &self.names
    }

    fn cells(&self, row: &Row) -> Vec<StoredCell> {
        let float = |number: Option<f64>| number.map_or(StoredCell::Nothing, StoredCell::Float);
        let exact = |number: ExactNumber| StoredCell::Text(number.to_string());
        let mut cells = vec![
            StoredCell::Integer(row.count),
            exact(row.sum),
            float(Some(row.avg)),
            StoredCell::Text(row.state.name().to_owned()),
        ];
        if self.columns.market {
            let market = row.market.as_ref();
            let price = |of: fn(&minutely_dataflows::row::MarketRow) -> f64| float(market.map(of));
            cells.extend([price(|m| m.open), price(|m| m.high), price(|m| m.low), price(|m| m.close)]);
            cells.push(market.and_then(|market| market.volume).map_or(StoredCell::Nothing, exact));
            cells.push(float(market.and_then(|market| market.vwap)));
        }
        let derived = |place: usize| float(row.derived.get(place).copied().flatten());
        cells.extend((0..self.columns.derived.len()).map(derived));
        cells
    }

    fn read(&mut self, minutes: Range<WindowStart>, each: &mut EachStored<'_>) -> Result<(), String> {
        let mut rows = Newest::new();
        for (path, most) in &self.files {
            lines((path, *most), self, &minutes, &mut rows)?;
        }
        rows.into_iter().for_each(|((minute, symbol), cells)| each(minute, symbol, cells));
        Ok(())
    }
}
