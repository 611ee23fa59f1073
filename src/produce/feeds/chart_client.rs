//! Asks Yahoo's chart service for the minutes of today, once, before the quotes.

use super::client::FeedClient;
use super::record::FeedRecord;
use super::retry::FeedWaits;
use super::tally::shown;
use super::yahoo::chart::{ChartAnswer, crumb};
use crate::clock::SystemClock;
use crate::console::{say, warn};
use minutely_dataflows::time::SECOND;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Attempts for one symbol at most; then what is missing is said, and the quotes begin.
const ATTEMPTS: u64 = 3;
/// Between two symbols: nobody waits for a backfill, and Yahoo counts requests.
const PAUSE: Duration = Duration::from_millis(200);

/// The service, and what was learned of it.
pub(super) struct ChartClient {
    client: FeedClient,
    waits: FeedWaits,
    clock: SystemClock,
    random: RandomState,
}

/// What came of one symbol.
enum Backfilled {
    Bars(Vec<FeedRecord>),
    /// Nothing of it.
    None(String),
    /// Nothing of any symbol: further requests would make it worse.
    GiveUp(String),
}

/// Cookies and the crumb that belongs to them; empty where none was asked for.
#[derive(Default)]
struct YahooSession {
    cookies: String,
    crumb: Option<String>,
    has_asked: bool,
}

impl ChartClient {
    pub(super) fn new(client: FeedClient, waits: FeedWaits, clock: SystemClock) -> Self {
        ChartClient { client, waits, clock, random: RandomState::new() }
    }

    /// Closed bars of all symbols, by time: a partition whose times go back would have the later symbols late.
    pub(super) async fn records(&self, symbols: &[String]) -> Vec<FeedRecord> {
        let mut session = YahooSession::default();
        let mut records = Vec::new();
        for (at, symbol) in symbols.iter().enumerate() {
            match self.symbol(symbol, &mut session).await {
                Backfilled::Bars(bars) => records.extend(bars),
                Backfilled::None(why) => warn(&format!("yahoo: {symbol}: no bars of today: {why}")),
                Backfilled::GiveUp(why) => {
                    let left = symbols.len() - at;
                    warn(&format!("yahoo: no bars of today of {left} symbols, from {symbol} on: {why}"));
                    break;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        records.sort_by(|a, b| (a.time_ms, &a.symbol).cmp(&(b.time_ms, &b.symbol)));
        say(&format!("yahoo: {} bars of today, of {} symbols; quotes follow", records.len(), symbols.len()));
        records
    }

    /// One symbol, by a few attempts. Asking again is safe: it changes nothing there.
    async fn symbol(&self, symbol: &str, session: &mut YahooSession) -> Backfilled {
        let mut why = String::new();
        for attempt in 1..=ATTEMPTS {
            let now = self.clock.wall().0.div_euclid(SECOND);
            let answer = match self.client.get(&url(symbol, session.crumb.as_deref()), &session.cookies).await {
                Ok(answer) => ChartAnswer::of(symbol, answer.status, &answer.body, now),
                Err(why) => ChartAnswer::Failed(why),
            };
            let share = u32::try_from(self.random.hash_one(attempt) % 1024).expect("below 1024");
            let (wait, is_rate_limited) = match answer {
                ChartAnswer::Bars { records, .. } => return Backfilled::Bars(records),
                ChartAnswer::Refused(said) => return Backfilled::None(said),
                ChartAnswer::WantsCrumb if session.has_asked => {
                    return Backfilled::GiveUp("it wants a login (401 or 403), and its crumb is not enough".to_owned());
                }
                ChartAnswer::WantsCrumb => {
                    *session = self.new_session().await;
                    why = "it wants a crumb, and gives none".to_owned();
                    continue;
                }
                ChartAnswer::RateLimited => {
                    why = "it answers `Too Many Requests`".to_owned();
                    (self.waits.rate_limited + self.waits.rate_limited / 2 * share / 1024, true)
                }
                ChartAnswer::Failed(reason) => {
                    why = reason;
                    (self.waits.first + self.waits.first * share / 1024, false)
                }
            };
            if is_rate_limited && attempt == 2 {
                return Backfilled::GiveUp(format!("{why}, and again after {}", shown(self.waits.rate_limited)));
            }
            if attempt < ATTEMPTS {
                warn(&format!("yahoo: {symbol}: {why}; the next attempt is in {}", shown(wait)));
                tokio::time::sleep(wait).await;
            }
        }
        Backfilled::None(why)
    }

    /// A cookie, and the crumb of it.
    async fn new_session(&self) -> YahooSession {
        let cookies = self.client.get("https://fc.yahoo.com/", "").await.map(|answer| answer.cookies);
        let cookies = cookies.unwrap_or_default();
        let answer = self.client.get("https://query1.finance.yahoo.com/v1/test/getcrumb", &cookies).await;
        let crumb = answer.ok().and_then(|answer| crumb(answer.status, &answer.body));
        YahooSession { cookies, crumb, has_asked: true }
    }
}

/// Today's minutes of a symbol.
fn url(symbol: &str, crumb: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("interval", "1m").append_pair("range", "1d").append_pair("includePrePost", "false");
    if let Some(crumb) = crumb {
        query.append_pair("crumb", crumb);
    }
    let symbol: String = form_urlencoded::byte_serialize(symbol.as_bytes()).collect();
    format!("https://query2.finance.yahoo.com/v8/finance/chart/{symbol}?{}", query.finish())
}
