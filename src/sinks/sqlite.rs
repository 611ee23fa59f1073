//! `sqlite:PATH`: one table `minutes` with the newest row of every minute and symbol.
//!
//! A row carries the version of what committed it: (chain, generation, seq). A run that begins a chain takes the next
//! number from the table's `meta`; a restart keeps its own. The upsert refuses an older version, and any row that is
//! not final over a final one: so whatever is repeated, delayed or sent by a run that has been taken over does no harm.
//!
//! What `meta` also has is the manifest of each chain's newest rows: a state that knows less is an older copy.
//!
//! Each batch is one transaction with an fsync, so a batch that fails half-way (disk full, locked by another program)
//! is simply tried again. Readers may see part of a round. The file is marked as ours in its header, so that
//! looking at it needs no SQLite and leaves no trace.

use super::append;
use super::port::{Health, Leave, Pauses, Stop};
use super::{RowWriter, SinkOptions};
use crate::text::MinuteText;
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::row::Row;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// "mntl" in the header's field for whose format it is, bytes 68 to 71.
const APPLICATION_ID: u32 = 0x6d6e_746c;
/// What a database begins with: <https://www.sqlite.org/fileformat.html>.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The layout of the tables below.
const FORMAT: i64 = 1;
/// How long SQLite itself waits for a lock; short, for a stop must not wait longer.
const BUSY: Duration = Duration::from_millis(250);

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE minutes (
    symbol TEXT NOT NULL, minute TEXT NOT NULL, count INTEGER NOT NULL, sum TEXT NOT NULL, avg REAL NOT NULL,
    state TEXT NOT NULL, open REAL, high REAL, low REAL, close REAL, volume TEXT, vwap REAL,
    chain INTEGER NOT NULL, generation INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (minute, symbol)
) WITHOUT ROWID;";

const UPSERT: &str = "
INSERT INTO minutes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
ON CONFLICT (minute, symbol) DO UPDATE SET
    count = excluded.count, sum = excluded.sum, avg = excluded.avg, state = excluded.state, open = excluded.open,
    high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume, vwap = excluded.vwap,
    chain = excluded.chain, generation = excluded.generation, seq = excluded.seq
WHERE (excluded.chain, excluded.generation, excluded.seq) >= (chain, generation, seq)
    AND (excluded.state = 'final' OR state <> 'final')";

/// What a state that is gone on with must know of.
const NEWEST: &str = "
INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)";

/// Writes rows to a database.
pub(super) struct SqliteWriter {
    db: Connection,
    path: PathBuf,
    chain: i64,
    generation: i64,
    minute: MinuteText,
    /// The manifest of the newest rows that this run wrote.
    newest: Option<u64>,
    health: Arc<Health>,
    stop: Stop,
}

fn usage(path: &Path, why: &str) -> Halt {
    Halt::new(HaltKind::Usage, format!("sqlite {}: {why}", path.display()))
}

/// Would [`open`] do, leaving nothing behind?
///
/// # Errors
/// 64, with what to do. 65: it has rows that the state which is gone on with does not know.
pub(super) fn look(path: &Path, options: &SinkOptions) -> Result<(), Halt> {
    if !append::look_writable("sqlite", path, &options.data)? {
        return fits(path, options, None);
    }
    let mut header = Vec::new();
    let file = File::open(path).map_err(|e| usage(path, &e.to_string()))?;
    file.take(100).read_to_end(&mut header).map_err(|e| usage(path, &e.to_string()))?;
    match header.as_slice() {
        [] => fits(path, options, None),
        h if !h.starts_with(MAGIC) => Err(usage(path, "is not a SQLite database; choose another path")),
        h if h.get(68..72) == Some(APPLICATION_ID.to_be_bytes().as_slice()) => match options.chain {
            Some(chain) => fits(path, options, newest(path, chain, options.patience)?),
            None => Ok(()),
        },
        _ => Err(usage(path, "is a database of another program; choose another path")),
    }
}

/// Do the newest rows fit to the state? If an older copy of it was restored, rows that go on from there are older than
/// those which are here, and all of them would be refused. If the database was, or is gone, it lacks rows that are
/// forgotten.
fn fits(path: &Path, options: &SinkOptions, newest: Option<u64>) -> Result<(), Halt> {
    let (Some(_), Some(left)) = (options.chain, &options.left) else { return Ok(()) };
    let (newest, known) = (newest.unwrap_or(0), options.position.unwrap_or(0));
    let (path, place, seq) = (path.display(), &left.place, left.seq);
    let why = if newest > seq {
        format!(
            "sqlite {path}: has rows of manifest {newest}, and the state {place} is at manifest {seq}: it is an older copy, \
             whose rows would be refused there; restore the newest copy, or begin anew from the log (minutely state rebuild)"
        )
    } else if newest < known {
        format!(
            "sqlite {path}: has rows up to manifest {newest}, and had those of manifest {known} when the state {place} was \
             written, which are forgotten: restore the database, or begin anew from the log (minutely state rebuild)"
        )
    } else {
        return Ok(());
    };
    Err(Halt::new(HaltKind::Data, why))
}

/// The manifest of the newest rows of this chain. Others may use the database: it is tried for a while.
fn newest(path: &Path, chain: u64, patience: Duration) -> Result<Option<u64>, Halt> {
    let begun = Instant::now();
    loop {
        match newest_row(path, chain) {
            Ok(newest) => return Ok(newest.and_then(|newest| u64::try_from(newest).ok())),
            Err(e) if passes(&e) && begun.elapsed() < patience => std::thread::sleep(BUSY),
            Err(e) => {
                let why = format!("sqlite {}: {e}; see who uses it, and to the disk", path.display());
                return Err(Halt::new(HaltKind::Unreachable, why));
            }
        }
    }
}

/// The manifest of the newest rows that a chain has written.
fn newest_row(path: &Path, chain: u64) -> Result<Option<i64>, rusqlite::Error> {
    let db = connect(path)?;
    db.query_row("SELECT value FROM meta WHERE key = ?1", [newest_key(chain)], |row| row.get(0)).optional()
}

fn newest_key(chain: impl std::fmt::Display) -> String {
    format!("newest of chain {chain}")
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    // `./`, lest a name such as `:memory:` means something else. No URI flag, for the same reason.
    let plain = if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(plain, flags)?;
    db.busy_timeout(BUSY)?;
    Ok(db)
}

/// May the same thing work a little later? Then it is tried again; else the run ends.
fn passes(error: &rusqlite::Error) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OperationInterrupted,
        OutOfMemory, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    matches!(
        error.sqlite_error_code(),
        Some(
            DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | SystemIoFailure
                | CannotOpen
                | OutOfMemory
                | ReadOnly
                | PermissionDenied
                | FileLockingProtocolFailed
                | OperationInterrupted
        )
    )
}

/// Opens the database, makes what is not there yet, and begins or continues a chain. Says which chain that is.
///
/// # Errors
/// 64 when it is not ours; 69 when it stays locked, or the disk full, for longer than the patience.
pub(super) fn open(
    path: &Path,
    options: &SinkOptions,
    health: Arc<Health>,
    stop: Stop,
) -> Result<(SqliteWriter, u64), Halt> {
    let generation = i64::try_from(options.generation).map_err(|_| usage(path, "the generation is out of range"))?;
    let begun = Instant::now();
    let mut pauses = Pauses::new();
    loop {
        let why = match begin(path, options.chain) {
            Ok((db, chain)) => {
                let minute = MinuteText::new(options.windowing);
                let number =
                    u64::try_from(chain).map_err(|_| usage(path, "its chain is negative; choose another path"))?;
                let path = path.to_owned();
                return Ok((SqliteWriter { db, path, chain, generation, minute, newest: None, health, stop }, number));
            }
            Err(Refused::Halt(halt)) => return Err(halt),
            Err(Refused::Sqlite(e)) if passes(&e) => e.to_string(),
            Err(Refused::Sqlite(e)) => return Err(usage(path, &format!("{e}; choose another path"))),
        };
        if begun.elapsed() >= options.patience {
            let why = format!("sqlite {}: {why}; see who uses it, and to the disk", path.display());
            return Err(Halt::new(HaltKind::Unreachable, why));
        }
        health.hurts(why);
        if pauses.wait(&stop).is_err() {
            return Err(usage(path, "told to stop while it was opened"));
        }
    }
}

/// Why [`begin`] did not.
enum Refused {
    Sqlite(rusqlite::Error),
    Halt(Halt),
}

impl From<rusqlite::Error> for Refused {
    fn from(e: rusqlite::Error) -> Self {
        Refused::Sqlite(e)
    }
}

fn begin(path: &Path, chain: Option<u64>) -> Result<(Connection, i64), Refused> {
    let halt = |why: &str| Refused::Halt(usage(path, why));
    let mut db = connect(path)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    let chain = {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id: i64 = tx.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (id == i64::from(APPLICATION_ID), tables) {
            (true, 1..) => {}
            (_, 0) => {
                tx.pragma_update(None, "application_id", APPLICATION_ID)?;
                tx.execute_batch(TABLES)?;
                tx.execute("INSERT INTO meta VALUES ('format', ?1), ('chain', 0)", [FORMAT])?;
            }
            _ => return Err(halt("is a database of another program; choose another path")),
        }
        let meta = |key: &str| -> Result<Option<i64>, rusqlite::Error> {
            tx.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
        };
        match meta("format")? {
            Some(FORMAT) => {}
            Some(other) => {
                return Err(halt(&format!(
                    "has format {other}, and this version writes format {FORMAT}; choose another path"
                )));
            }
            None => return Err(halt("says nothing of its format; choose another path")),
        }
        let greatest = meta("chain")?.unwrap_or(0);
        let chain = match chain {
            None => greatest.checked_add(1).ok_or_else(|| halt("has run out of chains; choose another path"))?,
            Some(ours) => i64::try_from(ours).map_err(|_| halt("the chain is out of range"))?,
        };
        tx.execute("INSERT OR REPLACE INTO meta VALUES ('chain', max(?1, ?2))", [greatest, chain])?;
        tx.commit()?;
        chain
    };
    // After the first commit, so that the header in the file itself says whose it is. Where WAL cannot be, the mode
    // stays what it was, and commits are as durable.
    let _mode: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    append::sync_folder_of(path).map_err(|e| halt(&format!("its folder cannot be synchronized: {e}")))?;
    Ok((db, chain))
}

impl SqliteWriter {
    fn put(&mut self, seq: i64, rows: &[Row]) -> Result<(), rusqlite::Error> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut upsert = tx.prepare_cached(UPSERT)?;
            for row in rows {
                let market = row.market.as_ref();
                upsert.execute(rusqlite::params![
                    row.symbol,
                    self.minute.of(row.minute),
                    row.count,
                    row.sum.to_string(),
                    row.avg,
                    row.state.name(),
                    market.map(|m| m.open),
                    market.map(|m| m.high),
                    market.map(|m| m.low),
                    market.map(|m| m.close),
                    market.map(|m| m.volume.to_string()),
                    market.and_then(|m| m.vwap),
                    self.chain,
                    self.generation,
                    seq,
                ])?;
            }
            tx.prepare_cached(NEWEST)?.execute(rusqlite::params![newest_key(self.chain), seq])?;
        }
        tx.commit()
    }
}

impl RowWriter for SqliteWriter {
    fn rows(&mut self, seq: u64, rows: &[Row]) -> Result<(), Leave> {
        let version = i64::try_from(seq).map_err(|_| usage(&self.path, "the manifest's number is out of range"))?;
        let mut pauses = Pauses::new();
        loop {
            match self.put(version, rows) {
                Ok(()) => {
                    self.newest = self.newest.max(Some(seq));
                    self.health.heals();
                    return Ok(());
                }
                Err(e) if passes(&e) => {
                    self.health.hurts(format!("{}: {e}", self.path.display()));
                    pauses.wait(&self.stop)?;
                }
                Err(e) => {
                    let why = format!(
                        "sqlite {}: {e}; it is damaged or was changed by another program: move it away and start again",
                        self.path.display()
                    );
                    return Err(Leave::Halt(Halt::new(HaltKind::Internal, why)));
                }
            }
        }
    }

    fn store(&mut self) -> Result<Option<u64>, Leave> {
        Ok(self.newest) // every batch was committed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::{no_wake, options, poll, random_rows, row, seed, store_all, temp};
    use crate::sinks::{check, open as open_sink, port::RowPort};
    use minutely_dataflows::edge::RowBatch;
    use minutely_dataflows::time::State;
    use std::collections::BTreeMap;

    fn writer(path: &Path, chain: Option<u64>, generation: u64) -> SqliteWriter {
        let options = SinkOptions { chain, generation, ..options(Path::new("/nowhere")) };
        open(path, &options, Health::new("sqlite"), Stop::new()).unwrap().0
    }

    fn read(path: &Path) -> Vec<(String, String, i64, String, f64, String)> {
        let db = Connection::open(path).unwrap();
        let mut select =
            db.prepare("SELECT symbol, minute, count, sum, avg, state FROM minutes ORDER BY minute, symbol").unwrap();
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
            let left = Some(super::super::Left { place: "the state".into(), seq });
            look(&path, &SinkOptions { chain, left, ..options(Path::new("/nowhere")) })
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
            let left = Some(super::super::Left { place: "the state".into(), seq: 9 });
            let options = SinkOptions { chain: Some(3), left, position: Some(position), ..options(dir.path()) };
            look(path, &options)
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
        let mut select = db.prepare("SELECT * FROM minutes").unwrap();
        let mut cursor = select.query([]).unwrap();
        while let Some(r) = cursor.next().unwrap() {
            let real = |i| r.get::<_, Option<f64>>(i).unwrap().map(f64::to_bits);
            let text = |i| r.get::<_, Option<String>>(i).unwrap();
            let key = (text(1).unwrap(), text(0).unwrap());
            let numbers = [real(4), real(6), real(7), real(8), real(9), real(11)];
            got.insert(key, (r.get::<_, i64>(2).unwrap(), text(3), text(5), numbers, text(10)));
        }
        let mut minute = MinuteText::new(minutely_dataflows::time::Windowing::default());
        let want: BTreeMap<_, _> = rows
            .iter()
            .map(|row| {
                let m = row.market.as_ref().unwrap();
                let numbers = [Some(row.avg), Some(m.open), Some(m.high), Some(m.low), Some(m.close), m.vwap];
                let rest = (row.count, Some(row.sum.to_string()), Some(row.state.name().to_owned()));
                let value = (rest.0, rest.1, rest.2, numbers.map(|n| n.map(f64::to_bits)), Some(m.volume.to_string()));
                ((minute.of(row.minute).to_owned(), row.symbol.clone()), value)
            })
            .collect();
        assert_eq!(got, want);
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
            let straight = open(&path, &options, Health::new("sqlite"), Stop::new()).map(drop).unwrap_err();
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
        Connection::open(&path).unwrap().execute_batch("UPDATE meta SET value = 2 WHERE key = 'format'").unwrap();
        let halt = open_sink(&uri, &options(dir.path())).map(drop).unwrap_err();
        assert!(halt.kind == HaltKind::Usage && halt.why.contains("format 2"), "{halt}");
        for name in [":memory:", "file:x?mode=memory", ""] {
            let path = dir.path().join(name);
            let options = SinkOptions { patience: Duration::ZERO, ..options(dir.path()) };
            drop(open(&path, &options, Health::new("sqlite"), Stop::new()).map(drop));
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
        poll("trouble is told", || sinks[0].health.trouble().is_some_and(|t| t.contains("locked")));
        assert_eq!(sinks[0].port.stored(), Ok(None));
        other.execute_batch("ROLLBACK").unwrap();
        poll("the round is stored", || sinks[0].port.stored().unwrap().map(|stored| stored.at) == Some(1));
        assert_eq!(sinks[0].health.trouble(), None);
        assert_eq!(read(&path).len(), 1);

        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        sinks[0].port.offer(batch(2)).unwrap();
        poll("trouble is told", || sinks[0].health.trouble().is_some());
        let health = sinks[0].health.clone();
        drop(sinks);
        assert_eq!(Arc::strong_count(&health), 1, "the thread has let go");

        let locked = SinkOptions { patience: Duration::ZERO, ..options(dir.path()) };
        let halt = open_sink(&format!("sqlite:{}", path.display()), &locked).map(drop).unwrap_err();
        assert_eq!(halt.kind, HaltKind::Unreachable, "{halt}");
    }

    #[test]
    fn a_full_disk_is_waited_out_with_every_row_there() {
        let dir = temp();
        let path = dir.path().join("db");
        let mut writer = writer(&path, None, 0);
        let (health, stop) = (writer.health.clone(), writer.stop.clone());
        let rows: Vec<_> = (0..5_000).map(|i| row("A", i * 60, 1)).collect();
        // A limit of SQLite's own stands for the disk's. The first batch meets it, is told from other trouble, and is
        // tried again once it is lifted.
        writer.db.pragma_update(None, "max_page_count", 8).unwrap();
        let first = writer.put(1, &rows).unwrap_err();
        assert!(passes(&first) && first.sqlite_error_code() == Some(ErrorCode::DiskFull), "{first}");
        health.hurts(first.to_string());
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
        let Err(Leave::Halt(halt)) = writer.rows(1, &[row("A", 0, 1)]) else { panic!("no halt") };
        assert!(halt.kind == HaltKind::Internal && halt.why.contains("no such table"), "{halt}");
    }
}
