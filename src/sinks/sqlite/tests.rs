//! Rows over older rows, chains, owners, and databases that others lock, damage, move or fill.

use super::connect::is_transient;
use super::layout::APPLICATION_ID;
use super::writer::SqliteWriter;
use super::*;
use crate::sinks::options::{Owner, RowWriter, SinkOptions};
use crate::sinks::testing::{self, no_wake, poll, random_rows, row, seed, store_all, temp};
use crate::sinks::{check, open as open_sink, port::RowPort};
use crate::text::{Columns, MinuteText};
use crate::threads::{Health, Stop, WriterExit};
use minutely_dataflows::decimal::ExactNumber;
use minutely_dataflows::edge::RowBatch;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::time::{State, WindowStart, Windowing};
use rusqlite::{Connection, ErrorCode};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Of rows with all columns.
fn options(data: &Path) -> SinkOptions {
    SinkOptions { columns: testing::columns(true), ..testing::options(data) }
}

fn look(target: &SqliteTarget, options: &SinkOptions) -> Result<(), Halt> {
    Ok(super::look(target, options)?)
}

fn open(
    target: &SqliteTarget,
    options: &SinkOptions,
    health: Arc<Health>,
    stop: Stop,
) -> Result<(SqliteWriter, u64), Halt> {
    Ok(super::open(target, options, health, stop)?)
}

fn at(path: &Path) -> SqliteTarget {
    SqliteTarget { path: path.to_owned(), table: TableName::default() }
}

fn writer(path: &Path, chain: Option<u64>, generation: u64) -> SqliteWriter {
    let options = SinkOptions { chain, generation, ..options(Path::new("/nowhere")) };
    open(&at(path), &options, Health::new("sqlite"), Stop::new()).unwrap().0
}

fn read(path: &Path) -> Vec<(String, String, i64, String, f64, String)> {
    let db = Connection::open(path).unwrap();
    let mut select =
        db.prepare("SELECT symbol, minute, count, sum_exact, avg, state FROM minutes ORDER BY minute, symbol").unwrap();
    let rows = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn in_state(count: i64, state: State) -> Row {
    Row { state, ..row("A", 0, count) }
}

/// What is there after `new` was put over `old`.
fn over(old: (u64, u64, u64, State), new: (u64, u64, u64, State)) -> i64 {
    let dir = temp();
    let path = dir.path().join("db");
    for (count, (chain, generation, seq, state)) in [(1, old), (2, new)] {
        writer(&path, Some(chain), generation).rows(seq, &[in_state(count, state)]).unwrap();
    }
    read(&path)[0].2
}

#[test]
fn the_newest_version_stays_and_nothing_goes_over_a_final_row_but_a_final_one() {
    use State::{Closed, Final, Open, Partial};
    assert_eq!(over((1, 0, 1, Open), (1, 0, 2, Open)), 2);
    assert_eq!(over((1, 0, 2, Open), (1, 0, 2, Open)), 2, "repeated: the same bytes");
    assert_eq!(over((1, 0, 2, Open), (1, 0, 1, Open)), 1);
    assert_eq!(over((1, 1, 1, Open), (1, 0, 9, Closed)), 1);
    assert_eq!(over((1, 0, 9, Open), (1, 1, 1, Closed)), 2);
    assert_eq!(over((2, 0, 1, Open), (1, 9, 9, Final)), 1, "a zombie's final row is older too");
    assert_eq!(over((1, 9, 9, Open), (2, 0, 1, Open)), 2);
    assert_eq!(over((1, 0, 1, Final), (1, 0, 2, Closed)), 1);
    assert_eq!(over((1, 0, 1, Final), (2, 0, 1, Partial)), 1);
    assert_eq!(over((1, 0, 1, Final), (2, 0, 1, Final)), 2);
    assert_eq!(over((1, 0, 1, Partial), (1, 0, 2, Final)), 2);
}

#[test]
fn a_state_that_knows_less_than_the_rows_is_refused() {
    let dir = temp();
    let path = dir.path().join("db");
    writer(&path, Some(3), 1).rows(7, &[row("A", 0, 1)]).unwrap();
    writer(&path, Some(3), 1).rows(5, &[row("B", 0, 1)]).unwrap();
    let looked = |chain: Option<u64>, seq: u64| {
        let prior_state = Some(crate::sinks::PriorState { place: "the state".into(), seq });
        look(&at(&path), &SinkOptions { chain, prior_state, ..options(Path::new("/nowhere")) })
    };
    looked(Some(3), 7).unwrap();
    looked(Some(3), 8).unwrap();
    looked(Some(2), 1).unwrap(); // rows of another chain say nothing
    looked(None, 1).unwrap();

    // And a database that has less than the state knows, or is gone.
    assert_eq!(writer(&path, Some(3), 1).store(), Ok(None));
    let mut again = writer(&path, Some(3), 2);
    again.rows(8, &[row("C", 0, 1)]).unwrap();
    assert_eq!(again.store(), Ok(Some(8)));
    let known = |path: &Path, position: u64| {
        let prior_state = Some(crate::sinks::PriorState { place: "the state".into(), seq: 9 });
        let options = SinkOptions { chain: Some(3), prior_state, position: Some(position), ..options(dir.path()) };
        look(&at(path), &options)
    };
    known(&path, 8).unwrap();
    for (path, has) in [(path.clone(), 8), (dir.path().join("gone"), 0)] {
        let halt = known(&path, 9).unwrap_err();
        assert_eq!(halt.kind, HaltKind::Data);
        for part in [&format!("up to manifest {has},"), "had those of manifest 9", "restore the database"] {
            assert!(halt.why.contains(part), "{part}: {halt}");
        }
    }
    known(&dir.path().join("gone"), 0).unwrap();
    let halt = looked(Some(3), 6).unwrap_err();
    assert_eq!(halt.kind, HaltKind::Data);
    for part in ["rows of manifest 8", "the state is at manifest 6", "older copy", "minutely state rebuild"] {
        assert!(halt.why.contains(part), "{part}: {halt}");
    }
}

#[test]
fn any_order_of_versions_leaves_what_the_rules_leave() {
    let mut rng = seed();
    for _ in 0..6 {
        let dir = temp();
        let path = dir.path().join("db");
        let mut want: BTreeMap<i64, ((u64, u64, u64), i64, State)> = BTreeMap::new();
        for count in 1..40 {
            let version = (rng.u64(1..3), rng.u64(0..2), rng.u64(1..4));
            let state = [State::Open, State::Closed, State::Final, State::Partial][rng.usize(..4)];
            let minute = rng.i64(0..4);
            let new = (version, count, state);
            want.entry(minute)
                .and_modify(|old| {
                    if version >= old.0 && (state == State::Final || old.2 != State::Final) {
                        *old = new;
                    }
                })
                .or_insert(new);
            let new = Row { state, ..row("A", minute * 60, count) };
            writer(&path, Some(version.0), version.1).rows(version.2, &[new]).unwrap();
        }
        let got: Vec<_> = read(&path).into_iter().map(|r| (r.2, r.5)).collect();
        let want: Vec<_> = want.into_values().map(|w| (w.1, w.2.name().to_owned())).collect();
        assert_eq!(got, want);
    }
}

#[test]
fn rows_read_back_bit_for_bit_market_and_all() {
    let mut rng = seed();
    let dir = temp();
    let path = dir.path().join("db");
    let mut rows: BTreeMap<_, _> = BTreeMap::new();
    for row in random_rows(&mut rng, 3_000, true) {
        rows.insert((row.minute, row.symbol.clone()), row);
    }
    let rows: Vec<_> = rows.into_values().collect();
    let mut sinks = open_sink(&format!("sqlite:{}", path.display()), &options(dir.path())).unwrap();
    store_all(&mut *sinks[0].port, 1, &rows);
    let mut got = BTreeMap::new();
    let db = Connection::open(&path).unwrap();
    let columns = "symbol, minute, count, sum_exact, avg, state, open, high, low, close, volume_exact, vwap, sum, volume, sma5, macd_signal";
    let mut select = db.prepare(&format!("SELECT {columns} FROM minutes")).unwrap();
    let mut cursor = select.query([]).unwrap();
    while let Some(r) = cursor.next().unwrap() {
        let real = |i| r.get::<_, Option<f64>>(i).unwrap().map(f64::to_bits);
        let text = |i| r.get::<_, Option<String>>(i).unwrap();
        let key = (text(1).unwrap(), text(0).unwrap());
        let numbers = [4, 6, 7, 8, 9, 11, 12, 13, 14, 15].map(real);
        got.insert(key, (r.get::<_, i64>(2).unwrap(), text(3), text(5), numbers, text(10)));
    }
    let mut minute = MinuteText::new(minutely_dataflows::time::Windowing::default());
    let want: BTreeMap<_, _> = rows
        .iter()
        .map(|row| {
            let m = row.market.as_ref().unwrap();
            let prices = [row.avg, m.open, m.high, m.low, m.close].map(Some);
            let [avg, open, high, low, close] = prices;
            let (sum, volume) = (Some(row.sum.to_f64()), m.volume.map(ExactNumber::to_f64));
            let numbers = [avg, open, high, low, close, m.vwap, sum, volume, row.derived[0], row.derived[1]];
            let rest = (row.count, Some(row.sum.to_string()), Some(row.state.name().to_owned()));
            let value = (
                rest.0,
                rest.1,
                rest.2,
                numbers.map(|n| n.map(f64::to_bits)),
                m.volume.map(|volume| volume.to_string()),
            );
            ((minute.of(row.minute).to_owned(), row.symbol.clone()), value)
        })
        .collect();
    assert_eq!(got, want);
}

/// Each kind of rows has a table, and all tables are one job's.
#[test]
fn coarser_windows_have_tables_of_their_own() {
    let dir = temp();
    let path = dir.path().join("db");
    let uri = format!("sqlite:{}", path.display());
    let windows = vec!["5m".parse().unwrap(), "1h+15m".parse().unwrap()];
    let columns =
        Columns { windows: windows.clone(), derived: vec!["stddev".into()], groups: true, ..Columns::default() };
    let with = |chain| SinkOptions { columns: columns.clone(), chain, ..options(dir.path()) };
    let of = |kind, count| Row { kind, ..row("A", 0, count) };
    let mut sinks = open_sink(&uri, &with(None)).unwrap();
    let kinds = [RowKind::Minute, RowKind::Window(windows[0]), RowKind::Window(windows[1])];
    let group = Row { derived: Box::new([Some(1.0), Some(2.0), Some(2.5)]), ..of(RowKind::Group, 4) };
    store_all(&mut *sinks[0].port, 1, &[of(kinds[0], 1), of(kinds[1], 2), of(kinds[2], 3), group.clone()]);
    let counts = || {
        let db = Connection::open(&path).unwrap();
        let count =
            |table| -> i64 { db.query_row(&format!("SELECT count FROM {table}"), [], |row| row.get(0)).unwrap() };
        ["minutes", "window_5m", "window_1h_15m", "group_minutes"].map(count)
    };
    assert_eq!(counts(), [1, 2, 3, 4]);
    let sql = "SELECT members, listed, weight FROM group_minutes";
    let beside = |row: &rusqlite::Row<'_>| Ok([row.get::<_, f64>(0)?, row.get(1)?, row.get(2)?]);
    assert_eq!(Connection::open(&path).unwrap().query_row(sql, [], beside).unwrap(), [1.0, 2.0, 2.5]);
    let history = SqliteHistory::new(at(&path), columns.clone(), Windowing::default());
    for (kind, count) in kinds.into_iter().zip(1..) {
        let request =
            PageRequest { kind, minutes: WindowStart(0)..WindowStart(1), symbols: None, after: None, limit: 9 };
        let page = history.page(&request).unwrap();
        assert_eq!(page.iter().map(|row| (row.kind, row.count)).collect::<Vec<_>>(), [(kind, count)]);
    }
    let minutes = WindowStart(0)..WindowStart(1);
    let of_groups = PageRequest { kind: RowKind::Group, minutes, symbols: None, after: None, limit: 9 };
    assert_eq!(history.page(&of_groups).unwrap(), [group]);
    drop(sinks);
    // A chain is greater than that of any table, whichever was made anew.
    Connection::open(&path)
        .unwrap()
        .execute_batch("DROP TABLE minutes; DELETE FROM meta WHERE key = 'minutes: chain'")
        .unwrap();
    assert_eq!(open_sink(&uri, &with(None)).unwrap()[0].chain, Some(2));
    // Another job, whose rows are of one of those tables.
    let other = Owner { job: "other".into(), semantics: "others".into() };
    let named = format!("{uri}?table=window_5m");
    let halt = open_sink(&named, &SinkOptions { owner: other, ..options(dir.path()) }).map(drop).unwrap_err();
    assert!(halt.why.contains("its table window_5m belongs to job job"), "{halt}");
    let both = [uri.clone(), named];
    assert!(
        crate::sinks::distinct(&both, &columns).is_err() && crate::sinks::distinct(&both, &Columns::default()).is_ok()
    );
}

#[test]
fn each_run_that_begins_a_chain_takes_the_next_and_a_restart_keeps_its_own() {
    let dir = temp();
    let uri = format!("sqlite:{}", dir.path().join("db").display());
    let chain = |chain| open_sink(&uri, &SinkOptions { chain, ..options(dir.path()) }).unwrap()[0].chain;
    assert_eq!(chain(None), Some(1));
    assert_eq!(chain(None), Some(2));
    assert_eq!(chain(Some(1)), Some(1));
    assert_eq!(chain(None), Some(3));
    assert_eq!(chain(Some(9)), Some(9), "the table of a chain was replaced by an older one");
    assert_eq!(chain(None), Some(10));
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_was() {
    let dir = temp();
    let path = dir.path().join("theirs");
    let uri = format!("sqlite:{}", path.display());
    let refused = |want: &str| {
        let before = std::fs::read(&path).unwrap();
        let options = options(Path::new("/nowhere"));
        let halts = [check(&uri, &options).unwrap_err(), open_sink(&uri, &options).map(drop).unwrap_err()];
        let straight = open(&at(&path), &options, Health::new("sqlite"), Stop::new()).map(drop).unwrap_err();
        for halt in halts.into_iter().chain([straight]) {
            assert!(halt.kind == HaltKind::Usage && halt.why.contains("choose another path"), "{halt}");
        }
        assert!(check(&uri, &options).unwrap_err().why.contains(want));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    };
    std::fs::write(&path, "symbol,minute\n".repeat(100)).unwrap();
    refused("not a SQLite database");
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE minutes (x)").unwrap();
    refused("another program");
    std::fs::remove_file(&path).unwrap();
    drop(writer(&path, None, 0));
    check(&uri, &options(Path::new("/nowhere"))).unwrap();
    Connection::open(&path).unwrap().execute_batch("UPDATE meta SET value = 3 WHERE key = 'format'").unwrap();
    let halt = open_sink(&uri, &options(dir.path())).map(drop).unwrap_err();
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("format 3"), "{halt}");
    for name in [":memory:", "file:x?mode=memory", ""] {
        let path = dir.path().join(name);
        let options = SinkOptions { start_timeout: Duration::ZERO, ..options(dir.path()) };
        drop(open(&at(&path), &options, Health::new("sqlite"), Stop::new()).map(drop));
        assert_eq!(path.is_file(), !name.is_empty(), "{name} is a name like any other");
    }
}

#[test]
fn a_locked_database_is_waited_for_and_a_drop_does_not_wait() {
    let dir = temp();
    let path = dir.path().join("db");
    let mut sinks = open_sink(&format!("sqlite:{}", path.display()), &options(dir.path())).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = |round| RowBatch { round, seq: round, rows: vec![row("A", 0, 1)], last: true };
    sinks[0].port.offer(batch(1)).unwrap();
    poll("trouble is shown", || sinks[0].health.trouble().is_some_and(|t| t.contains("locked")));
    assert_eq!(sinks[0].port.stored(), Ok(None));
    other.execute_batch("ROLLBACK").unwrap();
    poll("the round is stored", || sinks[0].port.stored().unwrap().map(|stored| stored.at) == Some(1));
    assert_eq!(sinks[0].health.trouble(), None);
    assert_eq!(read(&path).len(), 1);

    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    sinks[0].port.offer(batch(2)).unwrap();
    poll("trouble is shown", || sinks[0].health.trouble().is_some());
    let health = sinks[0].health.clone();
    drop(sinks);
    assert_eq!(Arc::strong_count(&health), 1, "the thread has let go");

    let locked = SinkOptions { start_timeout: Duration::ZERO, ..options(dir.path()) };
    let halt = open_sink(&format!("sqlite:{}", path.display()), &locked).map(drop).unwrap_err();
    assert!(halt.kind == HaltKind::Unreachable && halt.why.contains("tried for 0."), "{halt}");
}

#[test]
fn a_full_disk_is_waited_out_with_every_row_there() {
    let dir = temp();
    let path = dir.path().join("db");
    let mut writer = writer(&path, None, 0);
    let (health, stop) = (writer.health.clone(), writer.stop.clone());
    let rows: Vec<_> = (0..5_000).map(|i| row("A", i * 60, 1)).collect();
    // A limit of SQLite's own stands for the disk's. The first batch meets it, is distinguished from other trouble, and is
    // tried again once it is lifted.
    writer.db.pragma_update(None, "max_page_count", 8).unwrap();
    let first = writer.put(1, &rows).unwrap_err();
    assert!(is_transient(&first) && first.sqlite_error_code() == Some(ErrorCode::DiskFull), "{first}");
    health.set_trouble(first.to_string());
    assert_eq!(read(&path), vec![], "nothing of a batch that failed");
    writer.db.pragma_update(None, "max_page_count", 1_000_000).unwrap();
    let mut port = RowPort::start("full", no_wake(), stop, Box::new(writer)).unwrap();
    store_all(&mut port, 1, &rows);
    assert_eq!(read(&path).len(), rows.len());
    assert_eq!(health.trouble(), None, "healed");
}

#[test]
fn a_damaged_database_ends_the_run() {
    let dir = temp();
    let path = dir.path().join("db");
    let mut writer = writer(&path, None, 0);
    Connection::open(&path).unwrap().execute_batch("DROP TABLE minutes").unwrap();
    let Err(WriterExit::Halt(halt)) = writer.rows(1, &[row("A", 0, 1)]) else { panic!("no halt") };
    assert!(halt.kind == HaltKind::Internal && halt.why.contains("no such table"), "{halt}");
}

const FORMAT_1: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE minutes (
        symbol TEXT NOT NULL, minute TEXT NOT NULL, count INTEGER NOT NULL, sum TEXT NOT NULL, avg REAL NOT NULL,
        state TEXT NOT NULL, open REAL, high REAL, low REAL, close REAL, volume TEXT, vwap REAL,
        chain INTEGER NOT NULL, generation INTEGER NOT NULL, seq INTEGER NOT NULL,
        PRIMARY KEY (minute, symbol)
    ) WITHOUT ROWID;
    INSERT INTO meta VALUES ('format', 1), ('chain', 2), ('newest of chain 2', 7);
    INSERT INTO minutes VALUES
        ('A', 'm', 1, '0.1', 0.1, 'final', 1, 1, 1, 1, '2500', 1, 2, 0, 7),
        ('B', 'm', 1, '123456789012345678.000000000000000001', 1, 'open', NULL, NULL, NULL, NULL, NULL, NULL, 2, 0, 7);
    CREATE VIEW sums AS SELECT symbol, sum FROM minutes;";

#[test]
fn a_database_of_format_1_is_taken_over_whole() {
    let dir = temp();
    let path = dir.path().join("db");
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
    db.execute_batch(FORMAT_1).unwrap();
    drop(db);
    let before = std::fs::read(&path).unwrap();
    let begun = |chain: Option<u64>, take_sink: bool| {
        let options = SinkOptions { chain, take_sink, ..options(Path::new("/nowhere")) };
        look(&at(&path), &options)?;
        open(&at(&path), &options, Health::new("sqlite"), Stop::new())
    };
    let halt = begun(None, false).map(drop).unwrap_err();
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("an earlier version"), "{halt}");
    assert_eq!(std::fs::read(&path).unwrap(), before, "a refused run changes nothing");
    let (mut writer, chain) = begun(Some(2), false).unwrap();
    assert_eq!(chain, 2);
    writer.rows(8, &[row("C", 0, 2)]).unwrap();
    drop(writer);
    let db = Connection::open(&path).unwrap();
    let mut select =
        db.prepare("SELECT symbol, sum, sum_exact, volume, volume_exact FROM minutes ORDER BY symbol").unwrap();
    let rows = select.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))).unwrap();
    let rows: Vec<(String, f64, String, Option<f64>, Option<String>)> = rows.map(Result::unwrap).collect();
    let exact = "123456789012345678.000000000000000001";
    assert_eq!(
        rows,
        [
            ("A".into(), 0.1, "0.1".into(), Some(2500.0), Some("2500".into())),
            ("B".into(), 123_456_789_012_345_680.0, exact.into(), None, None),
            ("C".into(), 201.0, "201".into(), None, None),
        ]
    );
    assert_eq!(begun(Some(2), false).map(drop), Ok(()), "once is enough");
    assert_eq!(begun(None, false).unwrap().1, 3, "it is this job's now");
}

#[test]
fn no_link_is_followed() {
    let dir = temp();
    let (victim, link) = (dir.path().join("victim"), dir.path().join("link"));
    std::fs::write(&victim, "").unwrap();
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let options = options(dir.path());
    let looked = look(&at(&link), &options).unwrap_err();
    let opened = open(&at(&link), &options, Health::new("sqlite"), Stop::new()).map(drop).unwrap_err();
    for halt in [looked, opened] {
        assert!(halt.kind == HaltKind::Usage && halt.why.contains("symbolic link"), "{halt}");
    }
    assert_eq!(std::fs::metadata(&victim).unwrap().len(), 0);
}

#[test]
fn numbers_are_numbers() {
    let dir = temp();
    let path = dir.path().join("db");
    writer(&path, None, 0).rows(1, &[row("A", 0, 5), row("B", 0, 997), row("C", 0, 2500)]).unwrap();
    let db = Connection::open(&path).unwrap();
    let most: (String, f64) =
        db.query_row("SELECT symbol, max(sum) FROM minutes", [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
    assert_eq!(most, ("C".to_owned(), 251_250.0));
}

#[test]
fn tables_of_one_file_know_nothing_of_one_another() {
    let dir = temp();
    let path = dir.path().join("db");
    let begun = |table: &str, job: &str, take_sink: bool| {
        let owner = crate::sinks::Owner { job: job.into(), semantics: job.into() };
        let options = SinkOptions { owner, take_sink, ..options(Path::new("/nowhere")) };
        let target = SqliteTarget { path: path.clone(), table: TableName::parse(table).unwrap() };
        look(&target, &options)?;
        open(&target, &options, Health::new("sqlite"), Stop::new())
    };
    let (mut one, chain) = begun("minutes", "one", false).unwrap();
    assert_eq!(chain, 1);
    one.rows(9, &[row("A", 0, 1)]).unwrap();
    let (mut two, chain) = begun("m2", "two", false).unwrap();
    assert_eq!(chain, 1, "each counts its own");
    two.rows(1, &[row("A", 0, 2)]).unwrap();
    assert_eq!((one.store(), two.store()), (Ok(Some(9)), Ok(Some(1))));
    let halt = begun("m2", "one", false).map(drop).unwrap_err();
    assert!(halt.why.contains("its table m2 belongs to job two"), "{halt}");
    assert_eq!(begun("m2", "one", true).unwrap().1, 2);
    assert!(begun("m2", "two", false).is_err(), "now it is the other's");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let halt = begun("theirs", "one", true).map(drop).unwrap_err();
    assert!(halt.why.contains("made by another program"), "{halt}");
    assert_eq!(read(&path)[0].2, 1);
}

#[test]
fn a_column_that_an_operator_adds_changes_nothing() {
    let dir = temp();
    let path = dir.path().join("db");
    let mut writer = writer(&path, None, 0);
    writer.rows(1, &[row("A", 0, 1)]).unwrap();
    Connection::open(&path).unwrap().execute_batch("ALTER TABLE minutes ADD COLUMN note TEXT").unwrap();
    writer.rows(2, &[row("A", 0, 2), row("B", 0, 1)]).unwrap();
    assert_eq!(read(&path).len(), 2);
}

/// Rows go to no file without a name, and continue where it is put back.
#[test]
fn a_database_that_is_gone_is_noticed_and_may_come_back() {
    for name in ["db", "db-wal"] {
        let dir = temp();
        let path = dir.path().join("db");
        let mut sinks = open_sink(&format!("sqlite:{}", path.display()), &options(dir.path())).unwrap();
        store_all(&mut *sinks[0].port, 1, &[row("A", 0, 1)]);
        let (file, aside) = (dir.path().join(name), dir.path().join("aside"));
        std::fs::rename(&file, &aside).unwrap();
        poll("it is noticed with nothing to do", || {
            sinks[0].health.trouble().is_some_and(|t| t.contains("was deleted or moved"))
        });
        let batch = RowBatch { round: 2, seq: 2, rows: vec![row("B", 0, 1)], last: true };
        sinks[0].port.offer(batch).unwrap();
        std::fs::write(&file, "another").unwrap();
        poll("it is another", || sinks[0].health.trouble().is_some_and(|t| t.contains("replaced by another")));
        assert_eq!(sinks[0].port.stored().unwrap().unwrap().at, 1);
        std::fs::rename(&aside, &file).unwrap();
        poll("the round is stored", || sinks[0].port.stored().unwrap().map(|stored| stored.at) == Some(2));
        assert_eq!((sinks[0].health.trouble(), read(&path).len()), (None, 2));
    }
}
