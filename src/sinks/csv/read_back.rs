//! What a file, or the files of a series, hold now: of each minute and symbol the last line. A line that is not ended is not there yet.

use super::records::{CsvRecords, NoRecord};
use super::rotate::{FileSeries, SeriesPosition};
use super::{CsvTarget, begins_as_ours};
use crate::sinks::stored::{
    EachStored, ForeignRemedy, ForeignRow, GIVEN_UP, ReadBackOptions, StoredCell, StoredRows, exact_text,
};
use crate::text::Columns;
use minutely_dataflows::coarse::WindowLevel;
use minutely_dataflows::decimal::ExactNumber;
use minutely_dataflows::derived::GROUP_COLUMNS;
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::time::WindowStart;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What helps where lines are not what was written.
const ANEW: &str = "move the file away, and `minutely repair --yes` makes it anew from the log";

/// See the module.
pub(in crate::sinks) struct StoredCsv {
    /// Each with how many bytes of it count; none: all.
    files: Vec<(PathBuf, Option<u64>)>,
    /// Files of a series that the state does not know.
    unknown: Vec<PathBuf>,
    columns: Columns,
    names: Vec<String>,
    kind: RowKind,
    /// What column `window` says of such rows, where there is that column.
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
        let (files, unknown) = match target.rotate {
            None if path.exists() => (vec![(path.clone(), Some(position))], Vec::new()),
            None => (Vec::new(), Vec::new()),
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
        Ok(StoredCsv { unknown, ..StoredCsv::of(files, options) })
    }

    fn of(files: Vec<(PathBuf, Option<u64>)>, options: &ReadBackOptions) -> Self {
        let (kind, columns) = (options.kind, options.columns.of(options.kind));
        let market: &[&str] = if columns.market { &["open", "high", "low", "close", "volume", "vwap"] } else { &[] };
        let own = ["count", "sum", "avg", "state"].iter().chain(market).map(|name| (*name).to_owned());
        let names = own.chain(columns.derived.iter().cloned()).collect();
        let window = match kind {
            RowKind::Window(level) => level,
            RowKind::Minute | RowKind::Group => WindowLevel::fixed(options.windowing.length),
        };
        StoredCsv { files, unknown: Vec::new(), columns, names, kind, window: window.to_string() }
    }
}

/// Adds the lines of one file that are of minutes and series; later ones win. Lines that are none are passed over.
fn lines(
    (path, most): (&Path, Option<u64>),
    of: &StoredCsv,
    minutes: &Range<WindowStart>,
    (rows, goes_on): (&mut Newest, &mut dyn FnMut() -> bool),
) -> Result<(), String> {
    let names = &of.names;
    let why = |e: &dyn std::fmt::Display| format!("csv {}: {e}", path.display());
    let mut records = CsvRecords::open(path, most).map_err(|e| why(&e))?;
    let header = records.header().map_err(|e| why(&e))?;
    let place = |name: &str| header.iter().position(|column| column == name);
    let places: Vec<Option<usize>> = names.iter().map(|name| place(name)).collect();
    let (window, group) = (place("window"), place(GROUP_COLUMNS[0]));
    while let Some(record) = records.next().map_err(|e| why(&e))? {
        if record.line.is_multiple_of(4096) && !goes_on() {
            return Err(why(&GIVEN_UP));
        }
        let Ok((start, cells)) = record.row else { continue };
        // (Without such a column, or with nothing in it, a row is of a minute and a series.)
        let says = |place: Option<usize>| place.and_then(|place| cells.get(place)).filter(|text| !text.is_empty());
        let is_of_window = says(window).map_or(!matches!(of.kind, RowKind::Window(_)), |window| *window == of.window);
        if !is_of_window || says(group).is_some() != (of.kind == RowKind::Group) || !minutes.contains(&start) {
            continue;
        }
        let cell = |(name, place): (&String, &Option<usize>)| {
            place.map(|place| cell(name, cells.get(place).map_or("", String::as_str)))
        };
        // (A file that was begun without a column has none to its end.)
        let stored = names.iter().zip(&places).map(|pair| cell(pair).unwrap_or(StoredCell::NoColumn));
        rows.insert((start, cells.first().cloned().unwrap_or_default()), stored.collect());
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

    fn read(
        &mut self,
        minutes: Range<WindowStart>,
        each: &mut EachStored<'_>,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<(), String> {
        let mut rows = Newest::new();
        for (path, most) in &self.files {
            lines((path, *most), self, &minutes, (&mut rows, goes_on))?;
        }
        rows.into_iter().for_each(|((minute, symbol), cells)| each(minute, symbol, cells));
        Ok(())
    }

    /// Lines that are none have no kind and no minute: they are told once, whatever is asked for.
    fn foreign(&mut self, _within: &[Range<WindowStart>], each: &mut dyn FnMut(ForeignRow)) -> Result<(), String> {
        if self.kind != RowKind::Minute {
            return Ok(());
        }
        let unknown = self.unknown.iter().map(|path| (path, Some(0)));
        for (path, most) in self.files.iter().map(|(path, most)| (path, *most)).chain(unknown) {
            let why = |e: std::io::Error| format!("csv {}: {e}", path.display());
            // (Behind what the state knows, too: a reader finds it there.)
            let mut records = CsvRecords::open(path, None).map_err(why)?;
            records.header().map_err(why)?;
            while let Some(record) = records.next().map_err(why)? {
                let Err(NoRecord { what, text }) = record.row else { continue };
                let mut cells = text.split(',').map(str::to_owned);
                let (symbol, minute) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
                let what = format!("extra: line {} of {} {what}: `{text}`", record.line, path.display());
                let is_known = most.is_none_or(|most| record.begins < most);
                let remedy = if is_known { ForeignRemedy::ByHand } else { ForeignRemedy::Cut };
                each(ForeignRow { minute, symbol, what, remedy });
            }
        }
        Ok(())
    }
}
