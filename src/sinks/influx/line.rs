//! A row as a line of InfluxDB's line protocol.
//!
//! ```text
//! minute,symbol=AAPL count=3i,sum="301.5",avg=100.5,state="final" 1767225600000000000
//! ```
//!
//! A point always carries the same fields with the same types: InfluxDB merges the fields of writes to one point, and
//! holds a type per field and shard. Some are left out: `volume` while no record had a weight, and `vwap` while the sum of
//! the weights is not above 0; and a column of `--derive` while it has no value. A record never stops counting, so a volume that is there stays there, and so does a vwap where no
//! weight is below 0. With `--weight-sign keep` a vwap may go: then `minute_live` shows the last one, beside a volume that is not
//! above 0; `minute`, whose points are written once, never does.
//!
//! A tag's value escapes comma, equals sign and space by a backslash; a backslash itself is not escaped, and means
//! itself wherever none of those three follows. So a backslash before one of them still reads back, while one at the
//! value's end would escape what ends the value: such a symbol has no line.

use super::series::InfluxSeries;
use crate::text::Columns;
use minutely_dataflows::row::{Row, RowKind};
use std::io::{self, Write};

/// Writes lines of one series, and of those beside it that rows of coarser windows and of groups go to.
pub(super) struct LineWriter {
    /// The series of each kind of rows; minutes come first.
    series: Vec<KindSeries>,
}

/// Where rows of one kind go.
struct KindSeries {
    kind: RowKind,
    series: InfluxSeries,
    /// What stands before each symbol.
    before: String,
    /// What stands after it.
    after: String,
    /// The columns of [`Row::derived`].
    derived: Vec<String>,
}

impl KindSeries {
    fn new(kind: RowKind, series: InfluxSeries, derived: &[String]) -> Self {
        let (before, after) = series.around_symbol();
        KindSeries { kind, series, before, after, derived: derived.to_vec() }
    }
}

impl LineWriter {
    /// Of this series.
    pub(super) fn of(series: &InfluxSeries, derived: &[String]) -> Self {
        LineWriter { series: vec![KindSeries::new(RowKind::Minute, series.clone(), derived)] }
    }

    /// And of those of the other kinds of rows. `base`: the series of final rows; `suffix`: what this one has behind its name.
    pub(super) fn with_kinds(mut self, (base, suffix): (&InfluxSeries, &str), columns: &Columns) -> Self {
        let of = |kind| KindSeries::new(kind, base.of(kind).with(suffix), &columns.of(kind).derived);
        self.series.extend(columns.kinds().into_iter().skip(1).map(of));
        self
    }

    /// The columns of [`Row::derived`] of a kind.
    pub(super) fn derived(&self, kind: RowKind) -> &[String] {
        &self.kind(kind).derived
    }

    /// Where rows of any kind go.
    pub(super) fn all_series(&self) -> Vec<InfluxSeries> {
        self.series.iter().map(|of| of.series.clone()).collect()
    }

    /// Where rows of a kind go.
    pub(super) fn series(&self, kind: RowKind) -> &InfluxSeries {
        &self.kind(kind).series
    }

    fn kind(&self, kind: RowKind) -> &KindSeries {
        let of = self.series.iter().find(|series| series.kind == kind);
        of.expect("rows are of the kinds that the run was given")
    }

    /// Appends the row's line, newline included.
    ///
    /// # Errors
    /// Why line protocol cannot carry it. Then nothing was appended.
    pub(super) fn write(&self, row: &Row, out: &mut Vec<u8>) -> Result<(), &'static str> {
        let reason = match row.symbol.as_str() {
            "" => "a tag value cannot be empty",
            symbol if symbol.ends_with('\\') => "line protocol has no tag value that ends in a backslash",
            symbol if symbol.contains(['\n', '\r', '\0']) => "line protocol has no tag value with control characters",
            _ => {
                line(self, row, out).expect("memory takes what is written to it");
                return Ok(());
            }
        };
        Err(reason)
    }
}

fn line(writer: &LineWriter, row: &Row, out: &mut Vec<u8>) -> io::Result<()> {
    let around = writer.kind(row.kind);
    out.extend_from_slice(around.before.as_bytes());
    for byte in row.symbol.bytes() {
        if matches!(byte, b',' | b'=' | b' ') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.extend_from_slice(around.after.as_bytes());
    // `sum` and `state` are digits and letters: nothing in them to escape.
    write!(out, " count={}i,sum=\"{}\",avg={},state=\"{}\"", row.count, row.sum, row.avg, row.state.name())?;
    if let Some(market) = &row.market {
        write!(out, ",open={},high={},low={},close={}", market.open, market.high, market.low, market.close)?;
        if let Some(volume) = market.volume {
            write!(out, ",volume={}", volume.to_f64())?;
        }
        if let Some(vwap) = market.vwap {
            write!(out, ",vwap={vwap}")?;
        }
    }
    for (name, value) in around.derived.iter().zip(&row.derived).filter_map(|(name, value)| Some((name, (*value)?))) {
        write!(out, ",{name}={value}")?;
    }
    writeln!(out, " {}", row.minute.0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::series::tests::series;
    use super::*;
    use crate::sinks::testing::{columns, random_rows, row, seed};
    use std::collections::BTreeMap;

    /// Measurement, symbol, time.
    pub(crate) type PointKey = (String, String, i64);
    /// Fields as they were written.
    pub(crate) type PointFields = BTreeMap<String, String>;

    /// Where this byte first stands without a backslash before it: InfluxDB looks back one byte, no more.
    fn unescaped(text: &str, byte: u8) -> Option<usize> {
        let bytes = text.as_bytes();
        (0..bytes.len()).find(|&i| bytes[i] == byte && (i == 0 || bytes[i - 1] != b'\\'))
    }

    /// Reads a line as InfluxDB 2 does; independent of the writer.
    pub(crate) fn parse(line: &str) -> Option<(PointKey, PointFields)> {
        let (head, rest) = line.split_at(unescaped(line, b' ')?);
        let (measurement, tag) = head.split_at(unescaped(head, b',')?);
        let value = tag.strip_prefix(",symbol=").filter(|v| !v.is_empty())?;
        if unescaped(value, b',').is_some() || unescaped(value, b'=').is_some() {
            return None;
        }
        let symbol = value.replace("\\,", ",").replace("\\ ", " ").replace("\\=", "=");
        let (fields, time) = rest[1..].rsplit_once(' ')?;
        let fields = fields.split(',').map(|f| f.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())));
        Some(((measurement.to_owned(), symbol, time.parse().ok()?), fields.collect::<Option<_>>()?))
    }

    /// What a row's point must hold.
    pub(crate) fn want(measurement: &str, row: &Row) -> (PointKey, PointFields) {
        let mut fields = vec![
            ("count", format!("{}i", row.count)),
            ("sum", format!("\"{}\"", row.sum)),
            ("avg", row.avg.to_string()),
            ("state", format!("\"{}\"", row.state.name())),
        ];
        if let Some(m) = &row.market {
            fields.extend([
                ("open", m.open.to_string()),
                ("high", m.high.to_string()),
                ("low", m.low.to_string()),
                ("close", m.close.to_string()),
            ]);
            fields.extend(m.volume.map(|v| ("volume", v.to_f64().to_string())));
            fields.extend(m.vwap.map(|v| ("vwap", v.to_string())));
        }
        let derived = columns(row.market.is_some()).derived;
        let derived =
            derived.into_iter().zip(&row.derived).filter_map(|(name, value)| Some((name, value.as_ref()?.to_string())));
        let fields = fields.into_iter().map(|(k, v)| (k.to_owned(), v)).chain(derived).collect();
        ((measurement.to_owned(), row.symbol.clone(), row.minute.0), fields)
    }

    fn write(measurement: &str, row: &Row, out: &mut Vec<u8>) -> Result<(), &'static str> {
        LineWriter::of(
            &InfluxSeries { measurement: measurement.to_owned(), ..InfluxSeries::default() },
            &columns(true).derived,
        )
        .write(row, out)
    }

    #[test]
    fn static_tags_stand_around_the_symbol() {
        let series = series(&[("tag.zone", "a b"), ("tag.desk", "x")]).unwrap();
        let mut out = Vec::new();
        LineWriter::of(&series, &[]).write(&row("A=B", 0, 1), &mut out).unwrap();
        let want = "minute,desk=x,symbol=A\\=B,zone=a\\ b count=1i,sum=\"100.5\",avg=100.5,state=\"final\" 0\n";
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }

    #[test]
    fn coarser_windows_and_groups_have_measurements_of_their_own() {
        let windows = ["5m", "1h+15m"].map(|level| level.parse().unwrap());
        let columns = Columns { windows: windows.into(), groups: true, ..Columns::default() };
        let names = |options: &[(&str, &str)], suffix| {
            let base = series(options).unwrap();
            let writer = LineWriter::of(&base.with(suffix), &[]).with_kinds((&base, suffix), &columns);
            let line = |kind| {
                let mut out = Vec::new();
                writer.write(&Row { kind, ..row("A", 0, 1) }, &mut out).unwrap();
                let line = String::from_utf8(out).unwrap();
                assert_eq!(line.split(',').next(), Some(writer.series(kind).measurement.as_str()));
                line.split(" count").next().unwrap().to_owned()
            };
            [RowKind::Minute, RowKind::Window(windows[0]), RowKind::Window(windows[1]), RowKind::Group].map(line)
        };
        assert_eq!(
            names(&[], ""),
            ["minute,symbol=A", "window_5m,symbol=A", "window_1h_15m,symbol=A", "group_minute,symbol=A"]
        );
        let tagged = [("measurement", "t"), ("tag.a", "1")];
        let want = [
            "t_live,a=1,symbol=A",
            "t_5m_live,a=1,symbol=A",
            "t_1h_15m_live,a=1,symbol=A",
            "t_group_live,a=1,symbol=A",
        ];
        assert_eq!(names(&tagged, "_live"), want);
    }

    #[test]
    fn a_line_is_what_the_page_says() {
        let mut out = Vec::new();
        write("minute", &row("AAPL", 1_767_225_600, 3), &mut out).unwrap();
        write("minute", &row("a b,c=d\\e\\,f\"", 0, 1), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "minute,symbol=AAPL count=3i,sum=\"301.5\",avg=100.5,state=\"final\" 1767225600000000000\n\
             minute,symbol=a\\ b\\,c\\=d\\e\\\\,f\" count=1i,sum=\"100.5\",avg=100.5,state=\"final\" 0\n"
        );
    }

    #[test]
    fn every_symbol_reads_back_or_is_refused_for_its_last_backslash() {
        let mut rng = seed();
        let mut refused = 0;
        for row in random_rows(&mut rng, 20_000, true) {
            let mut out = Vec::new();
            match write("minute_live", &row, &mut out) {
                Ok(()) => {
                    let line = String::from_utf8(out).unwrap();
                    assert_eq!(parse(line.strip_suffix('\n').unwrap()).unwrap(), want("minute_live", &row), "{line}");
                }
                Err(_) => {
                    refused += 1;
                    assert!(row.symbol.ends_with('\\') && out.is_empty(), "{}", row.symbol);
                }
            }
        }
        assert!(refused > 0);
        assert!(write("minute", &row("", 0, 1), &mut Vec::new()).is_err());
        assert!(write("minute", &row("a\nb", 0, 1), &mut Vec::new()).is_err());
    }
}
