//! A live feed as an input: its thread, and the queue between that and the copier.

use super::chart_client::ChartClient;
use super::client::{FeedClient, stand_in};
use super::connection::FeedConnection;
use super::output::{FeedEvent, FeedOutput};
use super::request::{FeedKind, FeedRequest};
use super::retry::FeedWaits;
use super::tally::{FeedTally, add};
use crate::clock::SystemClock;
use crate::console::say;
use crate::produce::input::{InputProgress, InputRecord, InputTurn, RecordInput};
use minutely_dataflows::edge::{Halt, HaltKind};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Records that wait for the copier at most: then the websocket is not read on, and the server notices.
const QUEUE: usize = 10_000;
/// How long connections may take to be closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Records of a feed as they come.
pub(in crate::produce) struct FeedInput {
    name: &'static str,
    events: mpsc::Receiver<FeedEvent>,
    tally: Arc<FeedTally>,
    /// Dropped or true: the connections are to be closed.
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl FeedInput {
    /// Begins to connect.
    ///
    /// # Errors
    /// TLS or a thread cannot be set up.
    pub(in crate::produce) fn open(request: &FeedRequest, clock: SystemClock) -> Result<Self, Halt> {
        let stand_in = stand_in().map_err(|why| Halt::new(HaltKind::Usage, why))?;
        let waits = FeedWaits::default();
        let client = FeedClient::new(stand_in, waits.connect).map_err(|why| Halt::new(HaltKind::Internal, why))?;
        Self::start(request, client, waits, clock)
    }

    pub(super) fn start(
        request: &FeedRequest,
        client: FeedClient,
        waits: FeedWaits,
        clock: SystemClock,
    ) -> Result<Self, Halt> {
        let (events_in, events) = mpsc::channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::new(FeedTally::default());
        let out = FeedOutput { events: events_in, tally: Arc::clone(&tally) };
        let feeds = request.feeds();
        let many = feeds.len();
        let label = |at| match many {
            1 => request.name().to_owned(),
            _ => format!("{} (connection {at} of {many})", request.name()),
        };
        let connect = |(at, feed)| FeedConnection::new(label(at), feed, client.clone(), waits, out.clone());
        let connections: Vec<_> = (1..).zip(feeds).map(connect).collect();
        let backfill = (request.kind == FeedKind::Yahoo).then(|| {
            say(
                "yahoo: best effort: nothing is promised by Yahoo, which refuses clients that it does not know; its terms allow \
                 personal use alone",
            );
            ChartClient::new(client, waits, clock)
        });
        let plan = FeedWork { symbols: request.symbols.clone(), backfill, connections, out };
        let failed = |why: std::io::Error| Halt::new(HaltKind::Internal, format!("{}: {why}", request.name()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = std::thread::Builder::new().name(format!("feed:{}", request.name()));
        let thread = thread.spawn(move || runtime.block_on(plan.run(stopped))).map_err(failed)?;
        Ok(FeedInput { name: request.name(), events, tally, stop, thread: Some(thread) })
    }
}

/// What the thread does.
struct FeedWork {
    symbols: Vec<String>,
    backfill: Option<ChartClient>,
    connections: Vec<FeedConnection>,
    out: FeedOutput,
}

impl FeedWork {
    /// What has been, then what is, until it is stopped.
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        if let Some(backfill) = self.backfill {
            tokio::select! {
                _ = stopped.changed() => return,
                records = backfill.records(&self.symbols) => {
                    for record in records {
                        add(&self.out.tally.records, 1);
                        tokio::select! {
                            _ = stopped.changed() => return,
                            sent = self.out.events.send(FeedEvent::Record(record)) => if sent.is_err() { return },
                        }
                    }
                }
            }
        }
        drop(self.out);
        let mut tasks = JoinSet::new();
        for connection in self.connections {
            tasks.spawn(connection.run(stopped.clone()));
        }
        let ended = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = ended => {}
            // A socket that does not take a farewell is not waited for.
            () = async { let _stop = stopped.changed().await; tokio::time::sleep(CLOSE_TIMEOUT).await; } => {}
        }
    }
}

impl RecordInput for FeedInput {
    /// One: records of a feed come in one order. Keys spread them, where that is asked for.
    fn partitions(&self) -> i32 {
        1
    }

    fn turn(
        &mut self,
        max: usize,
        each: &mut dyn FnMut(&InputRecord<'_>) -> ControlFlow<()>,
    ) -> Result<InputTurn, Halt> {
        let mut turn = InputTurn::default();
        while turn.read < max {
            let record = match self.events.try_recv() {
                Ok(FeedEvent::Record(record)) => record,
                Ok(FeedEvent::Failed(halt)) => return Err(halt),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    return Err(Halt::new(HaltKind::Unreachable, format!("{}: its connections have ended", self.name)));
                }
            };
            turn.read += 1;
            let payload = record.payload();
            let time = record.time();
            let input = InputRecord {
                key: Some(record.symbol.as_bytes()),
                payload: Some(payload.as_bytes()),
                time,
                stamp: time,
                ..InputRecord::default()
            };
            if each(&input).is_break() {
                break;
            }
        }
        Ok(turn)
    }

    /// Never by itself.
    fn ended(&self) -> bool {
        false
    }

    fn progress(&self) -> Option<InputProgress> {
        None
    }

    fn finish(&mut self) -> Option<String> {
        self.stop.send_replace(true);
        // A thread that waits for room in the queue sees that no one takes from it.
        self.events.close();
        if let Some(thread) = self.thread.take() {
            // A panic there was printed by the hook.
            drop(thread.join());
        }
        Some(self.tally.describe(self.name))
    }
}

impl Drop for FeedInput {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.events.close();
    }
}
