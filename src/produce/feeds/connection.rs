//! The one loop of all feeds: connect, subscribe, read; ping, notice silence; say what was missed; wait, and connect again.
//!
//! Connecting again is safe: a subscription changes nothing at the server, and what it repeats is told from what is new.

use super::client::{FeedClient, FeedSocket};
use super::end::ConnectionEnd;
use super::feed::Feed;
use super::frame::{FrameContent, FrameError};
use super::output::{FeedEvent, FeedOutput};
use super::retry::{FeedWaits, Retry};
use super::tally::{RemarkLimit, add, shown};
use crate::console::{say, warn};
use futures_util::{SinkExt, StreamExt};
use minutely_dataflows::edge::{Halt, HaltKind};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// One connection of a feed, for ever.
pub(super) struct FeedConnection {
    /// Its name in messages.
    label: String,
    feed: Box<dyn Feed>,
    client: FeedClient,
    waits: FeedWaits,
    out: FeedOutput,
    /// Symbols of which nothing came yet; emptied once they were named.
    unseen: BTreeSet<String>,
    /// When the first connection was open.
    opened: Option<Instant>,
    /// When the last frame came that was no refusal, of any connection.
    last_frame: Option<Instant>,
    /// This connection has not brought a frame yet.
    is_new: bool,
    garbage: RemarkLimit,
    gaps: RemarkLimit,
}

impl FeedConnection {
    pub(super) fn new(
        label: String,
        feed: Box<dyn Feed>,
        client: FeedClient,
        waits: FeedWaits,
        out: FeedOutput,
    ) -> Self {
        let unseen = feed.symbols().iter().cloned().collect();
        FeedConnection {
            label,
            feed,
            client,
            waits,
            out,
            unseen,
            opened: None,
            last_frame: None,
            is_new: true,
            garbage: RemarkLimit::default(),
            gaps: RemarkLimit::default(),
        }
    }

    /// Connects again and again, until it is stopped or refused.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut retry = Retry::new(self.waits);
        let mut attempts = 0_u64;
        let random = RandomState::new();
        loop {
            let begun = Instant::now();
            let end = self.once(&mut stopped).await;
            let (why, is_rate_limited, asked) = match end {
                ConnectionEnd::Stopped => return,
                ConnectionEnd::Refused(why) if self.last_frame.is_none() => {
                    let halt = Halt::new(HaltKind::Unreachable, format!("{}: {why}", self.label));
                    drop(self.out.events.send(FeedEvent::Failed(halt)).await);
                    return;
                }
                ConnectionEnd::Refused(why) | ConnectionEnd::Lost(why) => (why, false, None),
                ConnectionEnd::RateLimited(why, asked) => (why, true, asked),
            };
            attempts += 1;
            let share = u32::try_from(random.hash_one(attempts) % 1024).expect("below 1024");
            let wait = retry.wait(begun.elapsed(), is_rate_limited, share).max(asked.unwrap_or_default());
            warn(&format!("{}: no connection: {why}; the next attempt is in {}", self.label, shown(wait)));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stopped.changed() => return,
            }
        }
    }

    /// One connection, from its handshake to its end.
    async fn once(&mut self, stopped: &mut watch::Receiver<bool>) -> ConnectionEnd {
        let url = self.feed.url();
        let mut socket = tokio::select! {
            _ = stopped.changed() => return ConnectionEnd::Stopped,
            opened = self.client.open(&url) => match opened {
                Ok(socket) => socket,
                Err(error) => return ConnectionEnd::of_handshake(error),
            },
        };
        self.opened.get_or_insert_with(Instant::now);
        let end = self.read(&mut socket, stopped).await;
        // A farewell in good form; what does not take it in time is dropped.
        drop(timeout(Duration::from_secs(1), socket.close(None)).await);
        end
    }

    /// Subscribes, and reads until the end.
    async fn read(&mut self, socket: &mut FeedSocket, stopped: &mut watch::Receiver<bool>) -> ConnectionEnd {
        self.is_new = true;
        let (subscription, again) = (self.feed.subscription(), self.feed.resubscribe_every());
        if let Some(end) = send_text(socket, self.waits.connect, subscription.clone()).await {
            return end;
        }
        let mut heard = Instant::now();
        let mut pinged = Instant::now();
        let mut subscribed = Instant::now();
        loop {
            let unseen = self.opened.filter(|_| !self.unseen.is_empty()).map(|opened| opened + self.waits.unseen);
            let resubscribe = again.map(|every| subscribed + every);
            let due = [Some(heard + self.waits.silence), Some(pinged + self.waits.ping), unseen, resubscribe];
            let due = due.into_iter().flatten().min().expect("silence has a limit");
            tokio::select! {
                _ = stopped.changed() => return ConnectionEnd::Stopped,
                () = tokio::time::sleep_until(due.into()) => {
                    let now = Instant::now();
                    if now >= heard + self.waits.silence {
                        let silence = shown(self.waits.silence);
                        return ConnectionEnd::Lost(format!("silent for {silence}, pings without an answer among that"));
                    }
                    if unseen.is_some_and(|at| now >= at) {
                        self.name_unseen();
                    }
                    if resubscribe.is_some_and(|at| now >= at) {
                        subscribed = now;
                        if let Some(end) = send_text(socket, self.waits.connect, subscription.clone()).await { return end; }
                    }
                    if now >= pinged + self.waits.ping {
                        pinged = now;
                        let ping = Message::Ping(Vec::new().into());
                        if let Some(end) = send(socket, self.waits.connect, ping).await { return end; }
                    }
                }
                message = socket.next() => {
                    if let Some(end) = self.take(message, stopped).await { return end; }
                    // From now on: while the queue was full, it was not the server that was silent.
                    heard = Instant::now();
                }
            }
        }
    }

    /// Takes a message over; its end, where it is one.
    async fn take(
        &mut self,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
        stopped: &mut watch::Receiver<bool>,
    ) -> Option<ConnectionEnd> {
        let frame = match message {
            Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
            Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
            Some(Ok(Message::Close(frame))) => {
                return Some(ConnectionEnd::of_close(frame.map(|frame| (frame.code.into(), frame.reason.to_string()))));
            }
            Some(Ok(_)) => return None, // a ping, whose answer the library sends, or a pong
            Some(Err(why)) => return Some(ConnectionEnd::Lost(format!("broken: {why}"))),
            None => return Some(ConnectionEnd::of_close(None)),
        };
        add(&self.out.tally.frames, 1);
        let content = match self.feed.read(&frame) {
            Err(FrameError::Refused(why)) => return Some(ConnectionEnd::of_refusal(&why)),
            Err(FrameError::Garbage(why)) => {
                add(&self.out.tally.garbage, 1);
                let text = format!("{}: a frame is not understood: {why}", self.label);
                self.garbage.admit(&text, Instant::now(), self.waits.remark).iter().for_each(|text| warn(text));
                FrameContent::default()
            }
            Ok(content) => content,
        };
        let before = self.last_frame.replace(Instant::now());
        if let (true, Some(before)) = (std::mem::take(&mut self.is_new), before) {
            add(&self.out.tally.reconnects, 1);
            let (feed, records, away) = (&self.label, self.feed.records(), shown(before.elapsed()));
            say(&format!("{feed}: was away for {away}; {records} of that time, if there were any, are missing"));
        }
        self.hand_over(content, stopped).await
    }

    /// Gives a record to the copier; waits while the queue is full.
    async fn hand_over(&mut self, content: FrameContent, stopped: &mut watch::Receiver<bool>) -> Option<ConnectionEnd> {
        add(&self.out.tally.repeats, u64::from(content.is_repeat));
        if let Some(missing) = content.missing {
            add(&self.out.tally.missing, missing.count());
            let text = format!("{}: {missing}", self.label);
            self.gaps.admit(&text, Instant::now(), self.waits.remark).iter().for_each(|text| warn(text));
        }
        let record = content.record?;
        self.unseen.remove(&record.symbol);
        add(&self.out.tally.records, 1);
        tokio::select! {
            _ = stopped.changed() => Some(ConnectionEnd::Stopped),
            sent = self.out.events.send(FeedEvent::Record(record)) => sent.is_err().then_some(ConnectionEnd::Stopped),
        }
    }

    /// Names the symbols of which nothing came, once: a feed may take names that it does not know without a word.
    fn name_unseen(&mut self) {
        let unseen = std::mem::take(&mut self.unseen);
        let words = unseen_words(self.feed.records(), &unseen, self.waits.unseen);
        warn(&format!("{}: {words}", self.label));
    }
}

/// That nothing came of these symbols for so long.
fn unseen_words(records: &str, unseen: &BTreeSet<String>, since: Duration) -> String {
    let named: Vec<_> = unseen.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = match unseen.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (named, since) = (named.join(", "), shown(since));
    format!("no {records} of {named}{more} for {since}: is it written as the feed has it, and is its market open?")
}

async fn send_text(socket: &mut FeedSocket, limit: Duration, text: Option<String>) -> Option<ConnectionEnd> {
    send(socket, limit, Message::text(text?)).await
}

/// Sends; how that ended the connection, where it did.
async fn send(socket: &mut FeedSocket, limit: Duration, message: Message) -> Option<ConnectionEnd> {
    match timeout(limit, socket.send(message)).await {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(ConnectionEnd::Lost(format!("broken: {why}"))),
        Err(_) => Some(ConnectionEnd::Lost("it takes nothing".to_owned())),
    }
}

/// Symbols that a message names at most.
const MOST_NAMED: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_which_nothing_came_are_named() {
        let of = |many: usize| (0..many).map(|n| format!("S{n:02}")).collect();
        let words = |many| unseen_words("trades", &of(many), Duration::from_secs(60));
        assert!(words(2).starts_with("no trades of S00, S01 for 60.0 s: is it written"), "{}", words(2));
        assert!(words(25).contains("S19 and 5 more for"), "{}", words(25));
    }
}
