//! Rows as text: CSV, the same in a file, on standard output and over HTTP; and JSON lines.
//!
//! In both, all numbers but the count have a decimal point: `150.0`. Readers take the type of a column from its first lines; some
//! round later numbers if those lines had whole ones.

use minutely_dataflows::coarse::WindowLevel;
use minutely_dataflows::derived::{DerivedList, GROUP_COLUMNS};
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::time::{EventTime, SECOND, WindowStart, Windowing};
use std::fmt::Write;

/// A time in RFC 3339, UTC. `digits`: of a second, 0 to 9.
pub(crate) fn rfc3339(time: EventTime, digits: usize) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time.0)) {
        Ok(stamp) => format!("{stamp:.digits$}"),
        Err(_) => unreachable!("every i64 of nanoseconds lies between the years 1677 and 2262"),
    }
}

/// A time from its text in RFC 3339, with a zone.
pub(crate) fn event_time(text: &str) -> Option<EventTime> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(stamp.as_nanosecond()).ok().map(EventTime)
}

/// Window starts as text. All of a run have the same number of digits, so that their texts sort as the times do.
pub(crate) struct MinuteText {
    digits: usize,
    of: WindowStart,
    text: String,
}

impl MinuteText {
    /// With the digits of a second that starts of windows of this length need: 0, 3, 6 or 9.
    pub(crate) fn new(windowing: Windowing) -> Self {
        let digits = match windowing.length {
            l if l % SECOND == 0 => 0,
            l if l % 1_000_000 == 0 => 3,
            l if l % 1_000 == 0 => 6,
            _ => 9,
        };
        let of = WindowStart(0);
        MinuteText { digits, of, text: rfc3339(EventTime(of.0), digits) }
    }

    /// The least text of a start that is not before this time.
    pub(crate) fn from(&mut self, time: WindowStart) -> &str {
        let unit = [SECOND, 1_000_000, 1_000, 1][self.digits / 3];
        let time = time.0.clamp(-EventTime::FARTHEST, EventTime::FARTHEST);
        self.of(WindowStart((time + unit - 1).div_euclid(unit) * unit))
    }

    /// The text of a start. Rows are ordered by minute, so the last text is nearly always the right one.
    pub(crate) fn of(&mut self, minute: WindowStart) -> &str {
        if self.of != minute {
            self.of = minute;
            self.text = rfc3339(EventTime(minute.0), self.digits);
        }
        &self.text
    }
}

/// Writes a number with a decimal point and no exponent.
fn decimal(number: &dyn std::fmt::Display, out: &mut String) {
    let begins = out.len();
    write!(out, "{number}").expect("a string takes what is written to it");
    if !out[begins..].contains('.') {
        out.push_str(".0");
    }
}

/// A number with a decimal point, as rows of text have it.
pub(crate) fn decimal_text(number: &dyn std::fmt::Display) -> String {
    let mut text = String::new();
    decimal(number, &mut text);
    text
}

/// The columns of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    /// Those of `--metrics market`.
    pub(crate) market: bool,
    /// Those of `--derive`, after all others.
    pub(crate) derived: Vec<String>,
    /// The lengths of `--windows`, whose rows have tables of their own, and in text a column for it ([`WindowText`]).
    pub(crate) windows: Vec<WindowLevel>,
    /// There are rows of groups (`--groups`), which have tables of their own, and in text columns behind all others.
    pub(crate) groups: bool,
}

impl Columns {
    /// As `--metrics`, `--derive` and `--windows` say.
    pub(crate) fn new(market: bool, derive: &DerivedList, windows: &[WindowLevel]) -> Self {
        Columns { market, derived: derive.columns().collect(), windows: windows.to_vec(), groups: false }
    }

    /// The kinds of rows that there are; minutes come first.
    pub(crate) fn kinds(&self) -> Vec<RowKind> {
        let windows = self.windows.iter().map(|level| RowKind::Window(*level));
        std::iter::once(RowKind::Minute).chain(windows).chain(self.groups.then_some(RowKind::Group)).collect()
    }

    /// Those of a table of rows of this kind.
    pub(crate) fn of(&self, kind: RowKind) -> Self {
        match kind {
            RowKind::Minute | RowKind::Window(_) => self.clone(),
            RowKind::Group => Columns { derived: GROUP_COLUMNS.map(str::to_owned).into(), ..self.clone() },
        }
    }

    /// The names of those that text has last: of `--derive`, and of groups.
    fn last_names(&self) -> impl Iterator<Item = &str> {
        let groups = GROUP_COLUMNS.into_iter().filter(|_| self.groups);
        self.derived.iter().map(String::as_str).chain(groups)
    }

    /// The values of a row in those.
    fn last_values<'a>(&self, row: &'a Row) -> impl Iterator<Item = Option<f64>> + use<'a> {
        let is_group = row.kind == RowKind::Group;
        let of = |many: usize, there: bool| {
            (0..many).map(move |place| row.derived.get(place).copied().flatten().filter(|_| there))
        };
        of(self.derived.len(), !is_group).chain(of(if self.groups { GROUP_COLUMNS.len() } else { 0 }, is_group))
    }
}

/// How long the window of a row is, as text has it: in a column of its own where there are several lengths, and else nowhere.
struct WindowText {
    minute: String,
    others: Vec<(WindowLevel, String)>,
}

impl WindowText {
    fn new(columns: &Columns, windowing: Windowing) -> Option<Self> {
        let others: Vec<_> = columns.windows.iter().map(|level| (*level, level.to_string())).collect();
        let minute = WindowLevel::fixed(windowing.length).to_string();
        (!others.is_empty()).then_some(WindowText { minute, others })
    }

    fn of(&self, kind: RowKind) -> &str {
        match kind {
            RowKind::Minute | RowKind::Group => &self.minute,
            RowKind::Window(level) => {
                let known = self.others.iter().find(|(known, _)| *known == level);
                known.map_or("", |(_, text)| text.as_str())
            }
        }
    }
}

/// Writes rows as JSON lines, with the columns of [`CsvText`] as names. `sum` and `volume` are exact: numbers with all their
/// digits.
pub(crate) struct JsonText {
    minute: MinuteText,
    window: Option<WindowText>,
    columns: Columns,
    line: String,
}

impl JsonText {
    pub(crate) fn new(columns: &Columns, windowing: Windowing) -> Self {
        let window = WindowText::new(columns, windowing);
        JsonText { minute: MinuteText::new(windowing), window, columns: columns.clone(), line: String::new() }
    }

    /// Appends rows to `out`.
    pub(crate) fn rows(&mut self, rows: &[Row], out: &mut Vec<u8>) {
        for row in rows {
            self.line.clear();
            let symbol = serde_json::to_string(&row.symbol).expect("text is JSON");
            let (minute, count) = (self.minute.of(row.minute), row.count);
            let begin = write!(self.line, "{{\"symbol\":{symbol},\"minute\":\"{minute}\"");
            let window = self.window.iter().try_for_each(|window| {
                let text = window.of(row.kind);
                write!(self.line, ",\"window\":\"{text}\"")
            });
            let count = write!(self.line, ",\"count\":{count}");
            begin.and(window).and(count).expect("a string takes what is written to it");
            self.number("sum", &row.sum);
            self.number("avg", &row.avg);
            self.line.push_str(",\"state\":\"");
            self.line.push_str(row.state.name());
            self.line.push('"');
            if let Some(market) = &row.market {
                let prices =
                    [("open", market.open), ("high", market.high), ("low", market.low), ("close", market.close)];
                prices.iter().for_each(|(name, price)| self.number(name, price));
                self.number_if_any("volume", market.volume.as_ref().map(|volume| volume as &dyn std::fmt::Display));
                self.number_if_any("vwap", market.vwap.as_ref().map(|vwap| vwap as &dyn std::fmt::Display));
            }
            let columns = std::mem::take(&mut self.columns);
            let many = if columns.groups { usize::MAX } else { row.derived.len() };
            for (name, value) in columns.last_names().zip(columns.last_values(row)).take(many) {
                self.number_if_any(name, value.as_ref().map(|value| value as &dyn std::fmt::Display));
            }
            self.columns = columns;
            self.line.push_str("}\n");
            out.extend_from_slice(self.line.as_bytes());
        }
    }

    fn number_if_any(&mut self, name: &str, number: Option<&dyn std::fmt::Display>) {
        match number {
            Some(number) => self.number(name, number),
            None => write!(self.line, ",\"{name}\":null").expect("a string takes what is written to it"),
        }
    }

    fn number(&mut self, name: &str, number: &dyn std::fmt::Display) {
        write!(self.line, ",\"{name}\":").expect("a string takes what is written to it");
        decimal(number, &mut self.line);
    }
}

/// Writes rows as CSV, RFC 4180 quoting, `\n` after each.
pub(crate) struct CsvText {
    columns: Columns,
    minute: MinuteText,
    window: Option<WindowText>,
    scratch: String,
}

impl CsvText {
    pub(crate) fn new(columns: &Columns, windowing: Windowing) -> Self {
        let window = WindowText::new(columns, windowing);
        CsvText { columns: columns.clone(), minute: MinuteText::new(windowing), window, scratch: String::new() }
    }

    /// The first line.
    pub(crate) fn header(&self) -> String {
        let market = if self.columns.market { ",open,high,low,close,volume,vwap" } else { "" };
        let window = if self.window.is_some() { ",window" } else { "" };
        let derived = self.columns.last_names().flat_map(|name| [",", name]);
        format!("symbol,minute{window},count,sum,avg,state{market}{}\n", derived.collect::<String>())
    }

    /// Appends rows to `out`.
    pub(crate) fn rows(&mut self, rows: &[Row], out: &mut Vec<u8>) {
        let mut csv = csv::WriterBuilder::new().flexible(true).from_writer(out);
        // (A file may have been begun without columns for groups.)
        let groups = self.columns.groups;
        for row in rows.iter().filter(|row| groups || row.kind != RowKind::Group) {
            self.row(row, &mut csv).expect("memory takes what is written to it");
        }
        csv.flush().expect("memory takes what is written to it");
    }

    fn row(&mut self, row: &Row, csv: &mut csv::Writer<&mut Vec<u8>>) -> csv::Result<()> {
        let count = row.count.to_string();
        let mut number = |csv: &mut csv::Writer<&mut Vec<u8>>, number: &dyn std::fmt::Display| {
            self.scratch.clear();
            decimal(number, &mut self.scratch);
            csv.write_field(&self.scratch)
        };
        csv.write_field(&row.symbol)?;
        csv.write_field(self.minute.of(row.minute))?;
        if let Some(window) = &self.window {
            csv.write_field(window.of(row.kind))?;
        }
        csv.write_field(count)?;
        number(csv, &row.sum)?;
        number(csv, &row.avg)?;
        csv.write_field(row.state.name())?;
        if self.columns.market {
            match &row.market {
                Some(market) => {
                    for price in [market.open, market.high, market.low, market.close] {
                        number(csv, &price)?;
                    }
                    match market.volume {
                        Some(volume) => number(csv, &volume)?,
                        None => csv.write_field("")?,
                    }
                    match market.vwap {
                        Some(vwap) => number(csv, &vwap)?,
                        None => csv.write_field("")?,
                    }
                }
                None => (0..6).try_for_each(|_| csv.write_field(""))?,
            }
        }
        for value in self.columns.last_values(row) {
            match value {
                Some(value) => number(csv, &value)?,
                None => csv.write_field("")?,
            }
        }
        csv.write_record(None::<&[u8]>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::{columns, random_rows, row, seed};
    use minutely_dataflows::decimal::ExactNumber;

    #[test]
    fn minutes_have_the_digits_that_their_windows_need() {
        let at = |length, time| MinuteText::new(Windowing { length, lateness: 0 }).of(WindowStart(time)).to_owned();
        assert_eq!(at(60 * SECOND, 1_767_225_600 * SECOND), "2026-01-01T00:00:00Z");
        assert_eq!(at(60 * SECOND, -60 * SECOND), "1969-12-31T23:59:00Z");
        assert_eq!(at(250_000_000, 1_250_000_000), "1970-01-01T00:00:01.250Z");
        assert_eq!(at(250_000_000, 1_000_000_000), "1970-01-01T00:00:01.000Z");
        assert_eq!(at(1_000, -1_000), "1969-12-31T23:59:59.999999Z");
        assert_eq!(at(7, 7), "1970-01-01T00:00:00.000000007Z");
        assert_eq!(rfc3339(EventTime(EventTime::LIMIT), 9), "2116-02-20T23:53:38.427387904Z");
        assert_eq!(rfc3339(EventTime(-EventTime::LIMIT), 9), "1823-11-12T00:06:21.572612096Z");
    }

    #[test]
    fn a_line_is_what_a_reader_expects() {
        let mut out = Vec::new();
        let mut text = CsvText::new(&Columns::default(), Windowing::default());
        text.rows(&[row("AAPL", 1_767_225_600, 3), row("say \"hi\", you", 0, 1)], &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "AAPL,2026-01-01T00:00:00Z,3,301.5,100.5,final\n\"say \"\"hi\"\", you\",1970-01-01T00:00:00Z,1,100.5,100.5,final\n"
        );
    }

    /// Without coarser windows a file is as it was before there were any.
    #[test]
    fn the_length_of_a_window_is_told_where_there_are_several() {
        let windows = vec!["5m".parse().unwrap(), "1d+9h30m".parse().unwrap()];
        let columns = Columns { windows: windows.clone(), ..Columns::default() };
        let kinds = [RowKind::Minute, RowKind::Window(windows[0]), RowKind::Window(windows[1])];
        let rows = kinds.map(|kind| Row { kind, ..row("A", 0, 1) });
        let (mut csv, mut json) = (Vec::new(), Vec::new());
        let mut text = CsvText::new(&columns, Windowing::default());
        text.rows(&rows, &mut csv);
        JsonText::new(&columns, Windowing::default()).rows(&rows, &mut json);
        assert_eq!(text.header(), "symbol,minute,window,count,sum,avg,state\n");
        let (csv, json) = (String::from_utf8(csv).unwrap(), String::from_utf8(json).unwrap());
        for (lines, of) in [(csv, "A,1970-01-01T00:00:00Z,{},1,"), (json, "\"window\":\"{}\",\"count\":1,")] {
            for (line, window) in lines.lines().zip(["1m", "5m", "1d+9h30m"]) {
                assert!(line.contains(&of.replace("{}", window)), "{line}");
            }
        }
    }

    #[test]
    fn numbers_look_like_numbers_with_a_point() {
        let text = |number: &dyn std::fmt::Display| {
            let mut out = String::new();
            decimal(number, &mut out);
            out
        };
        for (number, want) in [(150.0, "150.0"), (150.75, "150.75"), (-0.0, "-0.0"), (1e-18, "0.000000000000000001")] {
            assert_eq!(text(&number), want);
        }
        assert_eq!(text(&1e21), "1000000000000000000000.0");
        assert_eq!(text(&row("A", 0, 2).sum), "201.0");
    }

    #[test]
    fn rows_of_groups_have_columns_of_their_own_behind_all_others() {
        let columns = Columns { derived: vec!["sma5".into()], groups: true, ..Columns::default() };
        let series = Row { derived: Box::new([Some(1.5)]), ..row("A", 0, 2) };
        let group = Row { kind: RowKind::Group, derived: Box::new([Some(2.0), Some(3.0), None]), ..row("g", 0, 2) };
        let text = |columns: &Columns| {
            let (mut csv, mut out) = (CsvText::new(columns, Windowing::default()), Vec::new());
            csv.rows(&[series.clone(), group.clone()], &mut out);
            let rows = String::from_utf8(out).unwrap();
            let ends: Vec<_> = rows.lines().map(|line| line.split_once(",final,").unwrap().1.to_owned()).collect();
            (csv.header(), ends)
        };
        let (header, ends) = text(&columns);
        assert!(header.ends_with(",state,sma5,members,listed,weight\n"), "{header}");
        assert_eq!(ends, ["1.5,,,", ",2.0,3.0,"]);
        assert_eq!(text(&Columns { groups: false, ..columns.clone() }).1.len(), 1, "no column, no row");
        let mut out = Vec::new();
        JsonText::new(&columns, Windowing::default()).rows(&[group], &mut out);
        let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            [&line["sma5"], &line["members"], &line["weight"]].map(serde_json::Value::as_f64),
            [None, Some(2.0), None]
        );
    }

    #[test]
    fn json_lines_have_every_column_and_the_same_numbers() {
        let mut rng = seed();
        let rows = random_rows(&mut rng, 500, true);
        let (mut json, mut csv_text) = (Vec::new(), CsvText::new(&columns(true), Windowing::default()));
        JsonText::new(&columns(true), Windowing::default()).rows(&rows, &mut json);
        let header = csv_text.header();
        // With the header, as a file has it: a reader drops U+FEFF from the beginning of a file, where a symbol may have it.
        let mut csv = header.as_bytes().to_vec();
        csv_text.rows(&rows, &mut csv);
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        let lines = std::str::from_utf8(&json).unwrap().split_terminator('\n');
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!((lines.clone().count(), records.len()), (rows.len(), rows.len()));
        for (line, record) in lines.zip(&records) {
            let values: std::collections::BTreeMap<&str, Box<serde_json::value::RawValue>> =
                serde_json::from_str(line).unwrap();
            for (name, cell) in header.trim_end().split(',').zip(record) {
                let value = values[name].get();
                match name {
                    "symbol" | "minute" | "state" => assert_eq!(serde_json::from_str::<String>(value).unwrap(), cell),
                    _ if cell.is_empty() => assert_eq!(value, "null"),
                    _ => assert_eq!(value, cell, "{name}"),
                }
            }
        }
        let mut out = Vec::new();
        JsonText::new(&columns(true), Windowing::default()).rows(&[row("say \"hi\"", 0, 2)], &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"symbol\":\"say \\\"hi\\\"\",\"minute\":\"1970-01-01T00:00:00Z\",\"count\":2,\"sum\":201.0,\"avg\":100.5,\"state\":\"final\"}\n"
        );
    }

    #[test]
    fn what_is_written_reads_back_bit_for_bit() {
        let mut rng = seed();
        for market in [false, true] {
            let rows = random_rows(&mut rng, 2_000, market);
            let mut text = CsvText::new(&columns(market), Windowing::default());
            let mut out = text.header().as_bytes().to_vec();
            text.rows(&rows, &mut out);
            let mut reader = csv::Reader::from_reader(out.as_slice()); // refuses lines of another length
            let read: Vec<_> = reader.records().map(Result::unwrap).collect();
            assert_eq!(read.len(), rows.len());
            let bits = |text: &str| text.parse::<f64>().unwrap().to_bits();
            let exact = |text: &str| {
                let (whole, part) = text.split_once('.').unwrap();
                ExactNumber::new(format!("{whole}{part}").parse().unwrap(), part.len().try_into().unwrap())
            };
            for (got, want) in read.iter().zip(&rows) {
                assert_eq!(&got[0], want.symbol);
                assert_eq!(got[1].parse::<jiff::Timestamp>().unwrap().as_nanosecond(), i128::from(want.minute.0));
                assert_eq!(got[2].parse::<i64>().unwrap(), want.count);
                assert_eq!(exact(&got[3]), want.sum);
                assert_eq!(bits(&got[4]), want.avg.to_bits());
                assert_eq!(&got[5], want.state.name());
                assert_eq!(got.len(), if market { 14 } else { 6 });
                let number = |text: &str| (!text.is_empty()).then(|| bits(text));
                let derived = want.derived.iter().map(|value| value.map(f64::to_bits));
                assert!(got.iter().skip(12).map(number).eq(derived));
                if let Some(want) = &want.market {
                    for (got, want) in got.iter().skip(6).zip([want.open, want.high, want.low, want.close]) {
                        assert_eq!(bits(got), want.to_bits());
                    }
                    assert_eq!(Some(&got[10]).filter(|t| !t.is_empty()).map(exact), want.volume);
                    assert_eq!(Some(&got[11]).filter(|t| !t.is_empty()).map(bits), want.vwap.map(f64::to_bits));
                }
            }
        }
    }
}
