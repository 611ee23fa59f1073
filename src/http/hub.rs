//! Between worker 0 and the server: a bounded queue one way, and a ring of events that all streams read from.
//!
//! A stream keeps no queue of its own, only its place in the ring; one that falls behind the ring's oldest event is sent a
//! `reset`. So the memory of any number of readers that do not read is one ring.

use super::rows::LiveRow;
use super::view::{MOST_DEAD_LETTERS, ShownDeadLetter, View};
use super::{RunInfo, status};
use minutely_dataflows::coarse::WindowLevel;
use minutely_dataflows::marks::Marks;
use minutely_dataflows::partition::DelayHistogram;
use minutely_dataflows::record::DeadLetter;
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::status::Status;
use minutely_dataflows::time::{EventTime, Monotonic, SECOND, WindowStart};
use minutely_dataflows::watch::{PreviewRows, Watcher};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Rows that may wait for the server.
const MOST_QUEUED: usize = 200_000;
/// How many events a stream may be behind, and how many bytes, roughly.
const MOST_EVENTS: usize = 4096;
const MOST_BYTES: usize = 32 << 20;
/// Bytes of a row and its text, roughly.
const ROW_BYTES: usize = 320;
/// Rows in one event: a reader that does not read keeps one in memory.
const EVENT_ROWS: usize = 1024;
/// Events come at most this often, and rows are read at most this often while there is a reader. Nanoseconds.
pub(crate) const EVERY_NS: i64 = 40_000_000;
const EVERY: Duration = Duration::from_nanos(EVERY_NS.unsigned_abs());
/// Rows are read this often while there is no reader.
const UNWATCHED: Duration = Duration::from_millis(250);
const STATUS_EVERY: i64 = SECOND;

/// What waits for the server.
#[derive(Default)]
struct Queue {
    rows: Vec<Vec<Row>>,
    count: usize,
    /// Of coarser windows: no more than are held.
    coarse: BTreeMap<(RowKind, WindowStart, String), Row>,
    groups: Vec<Row>,
    /// Rows of groups up to this minute found no room.
    lost_groups: Option<WindowStart>,
    lost: Option<WindowStart>,
    marks: Option<Marks>,
    status: Option<(Status, DelayHistogram)>,
    dead_letters: VecDeque<ShownDeadLetter>,
}

/// What a reader of the stream is sent.
pub(super) enum EventBody {
    Rows(Vec<LiveRow>),
    /// Of this name, with this text.
    Other(&'static str, String),
}

/// An event, with its text, which is made when the first stream wants it.
pub(super) struct StreamEvent {
    pub(super) body: EventBody,
    text: OnceLock<Arc<str>>,
}

impl StreamEvent {
    fn new(body: EventBody) -> Arc<Self> {
        Arc::new(StreamEvent { body, text: OnceLock::new() })
    }

    pub(super) fn name(&self) -> &'static str {
        match self.body {
            EventBody::Rows(_) => "rows",
            EventBody::Other(name, _) => name,
        }
    }

    /// Its data, with the rows of all symbols.
    pub(super) fn text(&self) -> Arc<str> {
        let text = self.text.get_or_init(|| match &self.body {
            EventBody::Rows(rows) => rows_text(rows.iter()).into(),
            EventBody::Other(_, text) => text.as_str().into(),
        });
        Arc::clone(text)
    }
}

pub(super) fn rows_text<'a>(rows: impl Iterator<Item = &'a LiveRow>) -> String {
    let mut text = String::from("{\"rows\":[");
    for (n, row) in rows.enumerate() {
        if n > 0 {
            text.push(',');
        }
        text += &serde_json::to_string(row).expect("memory takes it");
    }
    text += "]}";
    text
}

/// Events by number, from 1.
#[derive(Default)]
pub(super) struct Ring {
    events: VecDeque<Arc<StreamEvent>>,
    bytes: usize,
    /// The newest.
    pub(super) last: u64,
}

impl Ring {
    fn push(&mut self, body: EventBody) {
        self.bytes += weight(&body);
        self.events.push_back(StreamEvent::new(body));
        self.last += 1;
        while self.events.len() > MOST_EVENTS || (self.bytes > MOST_BYTES && self.events.len() > 1) {
            self.bytes -= self.events.pop_front().map_or(0, |event| weight(&event.body));
        }
    }

    /// Events after the one of this number; `None` if that has left the ring, or never was.
    pub(super) fn after(&self, number: u64) -> Option<impl Iterator<Item = (u64, Arc<StreamEvent>)> + '_> {
        let missing = usize::try_from(self.last.checked_sub(number)?).ok()?;
        let skip = self.events.len().checked_sub(missing)?;
        Some((number + 1..).zip(self.events.iter().skip(skip).cloned()))
    }
}

fn weight(body: &EventBody) -> usize {
    match body {
        EventBody::Rows(rows) => rows.len() * ROW_BYTES,
        EventBody::Other(_, text) => 2 * text.len() + ROW_BYTES,
    }
}

/// The queue from worker 0, what the server knows of the run, and the events of all streams.
pub(super) struct Hub {
    about: Arc<RunInfo>,
    queue: Mutex<Queue>,
    /// Rung when something was put into the queue.
    bell: Notify,
    view: Mutex<View>,
    /// Of coarser windows: each as the first one, but for what is not of rows.
    coarser: Vec<(WindowLevel, Mutex<View>)>,
    /// Of groups, where there are any.
    groups: Option<Mutex<View>>,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
    pub(super) streams: AtomicUsize,
    pub(super) resets: AtomicUsize,
    started: EventTime,
    /// The run, as streams name it.
    pub(super) run: String,
}

/// A lock that a panic elsewhere does not take away: what it guards is whole at all times.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub(super) fn new(about: &Arc<RunInfo>) -> Self {
        let started = about.clock.wall();
        Hub {
            about: Arc::clone(about),
            queue: Mutex::default(),
            bell: Notify::new(),
            view: Mutex::new(View::new(about)),
            coarser: View::coarser(about).into_iter().map(|(level, view)| (level, Mutex::new(view))).collect(),
            groups: View::of_groups(about).map(Mutex::new),
            ring: Mutex::default(),
            newest: watch::Sender::new(0),
            streams: AtomicUsize::new(0),
            resets: AtomicUsize::new(0),
            started,
            run: format!("{:x}", started.0),
        }
    }

    /// Nanoseconds between two readings of rows.
    pub(super) fn every(&self) -> i64 {
        let every = if self.streams.load(Ordering::Relaxed) > 0 { EVERY } else { UNWATCHED };
        i64::try_from(every.as_nanos()).unwrap_or(i64::MAX)
    }

    pub(super) fn view(&self) -> MutexGuard<'_, View> {
        lock(&self.view)
    }

    /// The rows of groups.
    pub(super) fn groups(&self) -> Option<MutexGuard<'_, View>> {
        self.groups.as_ref().map(lock)
    }

    /// The rows of this kind; those of minutes where there are none of it.
    pub(super) fn view_of(&self, kind: RowKind) -> MutexGuard<'_, View> {
        if let (RowKind::Group, Some(groups)) = (kind, &self.groups) {
            return lock(groups);
        }
        let coarser = self.coarser.iter().find(|(level, _)| RowKind::Window(*level) == kind);
        lock(coarser.map_or(&self.view, |(_, view)| view))
    }

    pub(super) fn ring(&self) -> MutexGuard<'_, Ring> {
        lock(&self.ring)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    pub(super) fn started(&self) -> EventTime {
        self.started
    }

    /// Takes what is in the queue and makes events of it, for ever.
    pub(super) async fn work(&self) {
        let mut status_at = None;
        loop {
            self.bell.notified().await;
            let rows = self.turn(&mut status_at);
            // What comes without rows is little, and rows are not to wait for it.
            tokio::time::sleep(if rows { EVERY } else { EVERY / 10 }).await;
        }
    }

    /// Handles what is in the queue; returns whether there were rows.
    fn turn(&self, status_at: &mut Option<Monotonic>) -> bool {
        let queue = std::mem::take(&mut *lock(&self.queue));
        let (now, wall) = (self.about.clock.monotonic(), self.about.clock.wall());
        let mut view = self.view();
        let mut newest = BTreeMap::new();
        for row in queue.rows.into_iter().flatten() {
            let row = view.take(row);
            newest.insert((row.minute, Arc::clone(&row.symbol)), row);
        }
        for row in queue.coarse.into_values() {
            self.view_of(row.kind).take(row);
        }
        for (_, coarse) in &self.coarser {
            let mut coarse = lock(coarse);
            queue.lost.iter().for_each(|minute| coarse.lost(*minute));
            coarse.marks = queue.marks.unwrap_or(coarse.marks);
        }
        if let Some(minute) = queue.lost {
            view.lost(minute);
        }
        if let Some(mut groups) = self.groups() {
            queue.groups.into_iter().for_each(|row| drop(groups.take(row)));
            queue.lost_groups.iter().for_each(|minute| groups.lost(*minute));
        }
        for letter in queue.dead_letters {
            view.dead_letters.push_front(letter);
        }
        view.dead_letters.truncate(MOST_DEAD_LETTERS);
        let mut events = Vec::new();
        let mut rows: Vec<LiveRow> = newest.into_values().collect();
        let any_rows = !rows.is_empty();
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(EVENT_ROWS));
            events.push(EventBody::Rows(std::mem::replace(&mut rows, rest)));
        }
        if let Some(minute) = queue.lost {
            // Before the marks: a reader that keeps a row that is not the newest would call it final.
            events.push(EventBody::Other("lost", status::lost(minute)));
        }
        if let Some((status, behind)) = queue.status {
            view.status(status, behind, now, wall);
        }
        let line = |view: &View| view.now.as_ref().and_then(|now| now.status.retired_before);
        if let Some(marks) = queue.marks.filter(|marks| *marks != view.marks) {
            view.marks = marks;
            events.push(EventBody::Other("marks", status::marks(&marks, line(&view))));
        }
        // A reader that comes later begins with a status.
        let any_reader = self.streams.load(Ordering::Relaxed) > 0;
        if any_reader && view.now.is_some() && status_at.is_none_or(|at| now.0 - at.0 >= STATUS_EVERY) {
            *status_at = Some(now);
            events.push(EventBody::Other("status", status::text(&view, &self.about, self.started)));
        }
        drop(view);
        if !events.is_empty() {
            let mut ring = self.ring();
            events.into_iter().for_each(|event| ring.push(event));
            self.newest.send_replace(ring.last);
        }
        any_rows
    }
}

/// Worker 0's side: puts what happens into the queue.
pub(super) struct HubWatcher(pub(super) Arc<Hub>);

impl HubWatcher {
    fn put(&self, put: impl FnOnce(&mut Queue)) {
        put(&mut lock(&self.0.queue));
        self.0.bell.notify_one();
    }
}

impl Watcher for HubWatcher {
    fn rows(&mut self, PreviewRows { mut rows, lost, .. }: PreviewRows) {
        let coarse: Vec<Row> = match self.0.coarser.is_empty() {
            true => Vec::new(),
            false => rows.extract_if(.., |row| row.kind != RowKind::Minute).collect(),
        };
        self.put(|queue| {
            queue.coarse.extend(coarse.into_iter().map(|row| (row.point(), row)));
            queue.lost = queue.lost.max(lost);
            if queue.count + rows.len() > MOST_QUEUED {
                queue.lost = queue.lost.max(rows.iter().map(|row| row.minute).max());
            } else {
                queue.count += rows.len();
                queue.rows.push(rows);
            }
        });
    }

    fn groups(&mut self, rows: Vec<Row>) {
        self.put(|queue| {
            if queue.groups.len() + rows.len() > MOST_QUEUED {
                queue.lost_groups = queue.lost_groups.max(rows.iter().map(|row| row.minute).max());
            } else {
                queue.groups.extend(rows);
            }
        });
    }

    fn marks(&mut self, marks: Marks) {
        self.put(|queue| queue.marks = Some(marks));
    }

    fn status(&mut self, status: &Status, behind: &DelayHistogram) {
        let news = (status.clone(), behind.clone());
        self.put(|queue| queue.status = Some(news));
    }

    fn dead_letters(&mut self, new: &[DeadLetter]) {
        let at = self.0.about.clock.wall();
        let newest = new.len().saturating_sub(MOST_DEAD_LETTERS);
        let shown: Vec<_> =
            new[newest..].iter().map(|letter| ShownDeadLetter::of(letter, at, self.0.about.decimals)).collect();
        self.put(|queue| {
            queue.dead_letters.extend(shown);
            let most = queue.dead_letters.len().saturating_sub(MOST_DEAD_LETTERS);
            queue.dead_letters.drain(..most);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing;
    use crate::http::view::tests::row;

    #[test]
    fn streams_hear_of_rows_that_were_left_out_before_they_are_called_final() {
        let hub = Arc::new(Hub::new(&Arc::new(testing::about())));
        let mut watching = HubWatcher(Arc::clone(&hub));
        let minute = |n: i64| WindowStart(n * 60 * SECOND);
        let mut events_of = |rows, lost, w| {
            let from = hub.ring().last;
            watching.rows(PreviewRows { rows, lost, derived_from: None });
            watching.marks(Marks { w: Some(EventTime(w)), ..Marks::default() });
            hub.turn(&mut None);
            let events: Vec<_> = hub.ring().after(from).unwrap().map(|(_, event)| event).collect();
            events.iter().map(|event| (event.name(), event.text().to_string())).collect::<Vec<_>>()
        };
        let names = |events: &[(&'static str, String)]| events.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(&events_of(vec![row("A", 0, 1), row("A", 2, 1)], None, 1)), ["rows", "marks"]);
        let events = events_of(vec![row("A", 3, 1)], Some(minute(1)), 2);
        assert_eq!(names(&events), ["rows", "lost", "marks"]);
        assert_eq!(events[1].1, r#"{"through":60000}"#);
        assert_eq!(hub.view().begins(), minute(2));
        // What finds no room is lost, too.
        let many = (0..=MOST_QUEUED).map(|_| row("A", 4, 1)).collect();
        let events = events_of(many, None, 3);
        assert_eq!((names(&events), events[0].1.as_str()), (vec!["lost", "marks"], r#"{"through":240000}"#));
    }

    fn numbers(ring: &Ring, after: u64) -> Option<Vec<u64>> {
        ring.after(after).map(|events| events.map(|(number, _)| number).collect())
    }

    #[test]
    fn a_place_in_the_ring_is_kept_or_told_to_be_gone() {
        let mut ring = Ring::default();
        assert_eq!(numbers(&ring, 0), Some(vec![]));
        assert_eq!(numbers(&ring, 1), None, "of another run");
        for _ in 0..10 {
            ring.push(EventBody::Other("marks", String::new()));
        }
        assert_eq!(numbers(&ring, 7), Some(vec![8, 9, 10]));
        for _ in 0..MOST_EVENTS {
            ring.push(EventBody::Other("marks", String::new()));
        }
        assert_eq!(numbers(&ring, 9), None);
        assert_eq!(numbers(&ring, 10).map(|all| all.len()), Some(MOST_EVENTS));
        let last = ring.last;
        ring.push(EventBody::Other("status", "x".repeat(MOST_BYTES / 3)));
        assert!(numbers(&ring, last).is_some_and(|all| all.len() == 1));
        ring.push(EventBody::Other("status", "x".repeat(MOST_BYTES / 3)));
        assert_eq!(numbers(&ring, last), None, "bytes count, too");
        assert_eq!(numbers(&ring, last + 1), Some(vec![last + 2]));
    }
}
