//! The stored rows of a `sqlite:` sink, read back for the API. The database is opened read-only for each page, without
//! the sink.

use super::layout::{columns, exact};
use super::target::SqliteTarget;
use crate::text::{Columns, MinuteText};
use minutely_dataflows::decimal::ExactNumber;
use minutely_dataflows::row::{MarketRow, Row, RowKind};
use minutely_dataflows::time::{State, WindowStart, Windowing};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use std::fmt::Write;
use std::ops::Range;
use std::time::Duration;

/// How long a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows of one table.
pub(crate) struct SqliteHistory {
    target: SqliteTarget,
    columns: Columns,
    windowing: Windowing,
}

impl SqliteHistory {
    /// Of this table, which the sink has made or will make, with windows of these lengths.
    pub(in crate::sinks) fn new(target: SqliteTarget, columns: Columns, windowing: Windowing) -> Self {
        SqliteHistory { target, columns, windowing }
    }

    /// Rows in the order of (minute, symbol).
    ///
    /// # Errors
    /// In plain words.
    pub(crate) fn page(&self, request: &PageRequest<'_>) -> Result<Vec<Row>, String> {
        self.read(request).map_err(|e| format!("sqlite {}: {e}", self.target.path.display()))
    }

    fn read(&self, request: &PageRequest<'_>) -> rusqlite::Result<Vec<Row>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.target.path, flags)?;
        db.busy_timeout(Duration::from_secs(1))?;
        // Another version may have made the table.
        let there = columns(&db, &self.target.table.of(request.kind))?;
        let derived = self.columns.of(request.kind).derived;
        let derived: Vec<_> = derived.iter().map(|name| there.contains(name).then_some(name)).collect();
        let (sql, values) = question(self, &derived, request);
        let mut statement = db.prepare(&sql)?;
        let stop = db.get_interrupt_handle();
        let (done, waits) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                if waits.recv_timeout(PAGE_TIMEOUT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    stop.interrupt();
                }
            });
            let of_kind = |found: &rusqlite::Row<'_>| Ok(Row { kind: request.kind, ..row(found)? });
            let rows = statement.query_map(params_from_iter(values), of_kind)?.collect();
            drop(done);
            rows
        })
    }
}

/// What a page has.
pub(crate) struct PageRequest<'a> {
    /// What the rows are of.
    pub(crate) kind: RowKind,
    /// When their windows begin.
    pub(crate) minutes: Range<WindowStart>,
    /// Of these symbols, or all.
    pub(crate) symbols: Option<&'a [String]>,
    /// Those after this key.
    pub(crate) after: Option<&'a (WindowStart, String)>,
    /// At most so many.
    pub(crate) limit: usize,
}

fn question(of: &SqliteHistory, derived: &[Option<&String>], request: &PageRequest<'_>) -> (String, Vec<Value>) {
    let PageRequest { kind, minutes, symbols, after, limit } = request;
    let mut text = MinuteText::new(of.windowing);
    let mut text = |minute: WindowStart| Value::Text(text.from(minute).to_owned());
    let derived = derived.iter().map(|name| name.map_or(", NULL".to_owned(), |name| format!(", \"{name}\"")));
    let derived: String = derived.collect();
    let mut sql = format!(
        "SELECT symbol, minute, count, sum_exact, avg, state, open, high, low, close, volume_exact, vwap{derived} FROM \"{}\" \
         WHERE minute >= ? AND minute < ?",
        of.target.table.of(*kind).as_str()
    );
    // SQLite looks up no more than the minutes: from the first one again, each page would pass over all before it.
    let first = after.map_or(minutes.start, |(minute, _)| minutes.start.max(*minute));
    let mut values = vec![text(first), text(minutes.end)];
    if let Some((minute, symbol)) = after {
        sql += " AND (minute, symbol) > (?, ?)";
        values.extend([text(*minute), Value::Text(symbol.clone())]);
    }
    if let Some(symbols) = symbols {
        let places = vec!["?"; symbols.len()].join(", ");
        write!(sql, " AND symbol IN ({places})").expect("a string takes it");
        values.extend(symbols.iter().cloned().map(Value::Text));
    }
    write!(sql, " ORDER BY minute, symbol LIMIT {limit}").expect("a string takes it");
    (sql, values)
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let wrong = |column: usize| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            "another program wrote it".into(),
        )
    };
    let decimal = |column: usize| -> rusqlite::Result<Option<ExactNumber>> {
        let text: Option<String> = row.get(column)?;
        text.map(|text| exact(&text).ok_or_else(|| wrong(column))).transpose()
    };
    let minute: jiff::Timestamp = row.get::<_, String>(1)?.parse().map_err(|_| wrong(1))?;
    let open: Option<f64> = row.get(6)?;
    let market = match open {
        None => None,
        Some(open) => Some(MarketRow {
            open,
            high: row.get(7)?,
            low: row.get(8)?,
            close: row.get(9)?,
            volume: decimal(10)?,
            vwap: row.get(11)?,
        }),
    };
    let state = row.get::<_, String>(5)?;
    let states = [State::Open, State::Closed, State::Final, State::Partial];
    Ok(Row {
        kind: RowKind::Minute,
        symbol: row.get(0)?,
        minute: WindowStart(i64::try_from(minute.as_nanosecond()).map_err(|_| wrong(1))?),
        count: row.get(2)?,
        sum: decimal(3)?.ok_or_else(|| wrong(3))?,
        avg: row.get(4)?,
        state: states.into_iter().find(|known| known.name() == state).ok_or_else(|| wrong(5))?,
        market,
        derived: (12..row.as_ref().column_count()).map(|column| row.get(column)).collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::target::TableName;
    use super::*;
    use crate::sinks::testing::{self, options, random_rows, seed, store_all, temp};
    use crate::sinks::{SinkOptions, open};
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    fn at(path: PathBuf) -> SqliteTarget {
        SqliteTarget { path, table: TableName::default() }
    }

    #[test]
    fn what_was_stored_is_read_back_page_by_page() {
        let mut rng = seed();
        for market in [false, true] {
            let dir = temp();
            let path = dir.path().join("db");
            let options = SinkOptions { columns: testing::columns(market), ..options(dir.path()) };
            let mut sinks = open(&format!("sqlite:{}", path.display()), &options).unwrap();
            let rows = random_rows(&mut rng, 500, market);
            let rows: BTreeMap<_, _> = rows.into_iter().map(|row| ((row.minute, row.symbol.clone()), row)).collect();
            let all: Vec<_> = rows.into_values().collect();
            store_all(&mut *sinks[0].port, 1, &all);
            let stored = SqliteHistory::new(at(path), testing::columns(market), Windowing::default());
            let (low, high) = (all[50].minute, all[450].minute);
            let some: Vec<_> = all[100..140].iter().map(|row| row.symbol.clone()).collect();
            for symbols in [None, Some(some.as_slice())] {
                let of = |row: &&Row| {
                    (low..high).contains(&row.minute) && symbols.is_none_or(|symbols| symbols.contains(&row.symbol))
                };
                let want: Vec<Row> = all.iter().filter(of).cloned().collect();
                let (mut got, mut after): (Vec<Row>, _) = (Vec::new(), None);
                loop {
                    let (kind, after_this) = (RowKind::Minute, after.as_ref());
                    let request = PageRequest { kind, minutes: low..high, symbols, after: after_this, limit: 37 };
                    let page = stored.page(&request).unwrap();
                    let Some(last) = page.last() else { break };
                    after = Some((last.minute, last.symbol.clone()));
                    got.extend(page);
                }
                assert_eq!(got, want);
            }
        }
        let minutes = WindowStart::MIN..WindowStart(0);
        let request = PageRequest { kind: RowKind::Minute, minutes, symbols: None, after: None, limit: 1 };
        assert!(
            SqliteHistory::new(at("/nowhere".into()), Columns::default(), Windowing::default()).page(&request).is_err()
        );
    }

    /// In steps of SQLite's machine: an answer of many pages must not cost the square of their number.
    #[test]
    fn a_late_page_costs_what_an_early_one_does() {
        let dir = temp();
        let path = dir.path().join("db");
        let uri = format!("sqlite:{}", path.display());
        let mut sinks = open(&uri, &options(dir.path())).unwrap();
        let minute = |n: i64| WindowStart(n * Windowing::default().length);
        let rows: Vec<Row> = (0..2000).map(|n| testing::row("A", n * 60, 1)).collect();
        store_all(&mut *sinks[0].port, 1, &rows);
        let db = Connection::open(&path).unwrap();
        let stored = SqliteHistory::new(at(path), Columns::default(), Windowing::default());
        let steps = |after: i64| {
            let after = (minute(after), "A".to_owned());
            let minutes = minute(0)..minute(2000);
            let request = PageRequest { kind: RowKind::Minute, minutes, symbols: None, after: Some(&after), limit: 50 };
            let (sql, values) = question(&stored, &[], &request);
            let mut statement = db.prepare(&sql).unwrap();
            let found = statement.query_map(params_from_iter(values), row).unwrap().count();
            assert_eq!(found, 50);
            statement.get_status(rusqlite::StatementStatus::VmStep)
        };
        assert_eq!(steps(1800), steps(10));
    }
}
