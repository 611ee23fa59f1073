//! `/api/explain`: all that is known of one minute of one symbol. `/api/digests`: what minutes come to. Log or state are read again for
//! them, so it is done for one client at a time, on a thread of its own, and given up once its client is gone or has waited too long.

use super::Server;
use super::query::Query;
use super::reply::{HttpError, json};
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use minutely_dataflows::time::EventTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Characters of a symbol: as many as one has.
const MOST_SYMBOL: usize = 1024;
/// How long a request waits for the one before it.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the log may be read for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Seconds after which a client may ask again.
const RETRY_AFTER: &str = "2";

/// Reads the log again.
pub(crate) trait Explainer: Send + Sync {
    /// All that is known of the minute that holds this time, as JSON. Blocks. `stop`: is set once the answer is not waited for any more.
    ///
    /// # Errors
    /// See [`ExplainRefusal`].
    fn explain(&self, symbol: &str, time: EventTime, stop: &AtomicBool) -> Result<String, ExplainRefusal>;

    /// The first so many digests of these minutes, and one of all, as JSON. Blocks.
    ///
    /// # Errors
    /// The state cannot be read.
    fn digests(&self, from: Option<EventTime>, to: Option<EventTime>, most: usize) -> Result<String, ExplainRefusal>;
}

/// Why there is no answer, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExplainRefusal {
    /// The symbol is not known.
    Unknown(String),
    /// State, log or a sink cannot be read now.
    Unavailable(String),
}

/// Is set when it is dropped: the request has ended, one way or another.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

pub(super) async fn answer(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    answered(explained(&server, query.as_deref()).await)
}

pub(super) async fn answer_digests(State(server): State<Arc<Server>>, RawQuery(query): RawQuery) -> Response<Body> {
    answered(digests(&server, query.as_deref()).await)
}

fn answered(outcome: Result<String, HttpError>) -> Response<Body> {
    match outcome {
        Ok(text) => json(text),
        Err(error) => {
            let mut answer = error.answer();
            if error.status == StatusCode::SERVICE_UNAVAILABLE {
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
            }
            answer
        }
    }
}

async fn explained(server: &Server, query: Option<&str>) -> Result<String, HttpError> {
    let query = Query::parse(query, &["symbol", "minute"])?;
    let missing = |name: &str| HttpError::new(StatusCode::BAD_REQUEST, &format!("`{name}` is missing"));
    let symbol = query.text("symbol", MOST_SYMBOL)?.filter(|symbol| !symbol.is_empty());
    let symbol = symbol.ok_or_else(|| missing("symbol"))?.to_owned();
    let time = EventTime(query.time("minute")?.ok_or_else(|| missing("minute"))?.0);
    in_turn(server, move |explainer, stop| explainer.explain(&symbol, time, stop)).await
}

async fn digests(server: &Server, query: Option<&str>) -> Result<String, HttpError> {
    let query = Query::parse(query, &["from", "to", "limit"])?;
    let time = |name: &str| Ok::<_, HttpError>(query.time(name)?.map(|window| EventTime(window.0)));
    let (from, to, most) = (time("from")?, time("to")?, query.number("limit", 1, 10_000)?.unwrap_or(1000));
    in_turn(server, move |explainer, _| explainer.digests(from, to, most)).await
}

/// Asks once those before are answered.
async fn in_turn(
    server: &Server,
    ask: impl FnOnce(&dyn Explainer, &AtomicBool) -> Result<String, ExplainRefusal> + Send + 'static,
) -> Result<String, HttpError> {
    let explainer = server.about.explainer.clone().map_err(|why| HttpError::new(StatusCode::NOT_FOUND, why))?;
    let busy = |why: &str| HttpError::new(StatusCode::SERVICE_UNAVAILABLE, why);
    let turn = tokio::time::timeout(TURN_TIMEOUT, Arc::clone(&server.explaining).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else { return Err(busy("another one is being answered; ask again in 2 s")) };
    let stop = StopOnDrop(Arc::default());
    let (stopped, (sender, answer)) = (Arc::clone(&stop.0), tokio::sync::oneshot::channel());
    let explain = move || {
        let answer = ask(&*explainer, &stopped);
        // The next one begins when this thread has ended, not when its client has gone.
        drop(turn);
        sender.send(answer).ok();
    };
    let thread = std::thread::Builder::new().name("explain".into()).spawn(explain);
    thread.map_err(|e| busy(&format!("there is no thread for it: {e}")))?;
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(Ok(text))) => Ok(text),
        Ok(Ok(Err(ExplainRefusal::Unknown(why)))) => Err(HttpError::new(StatusCode::NOT_FOUND, &why)),
        Ok(Ok(Err(ExplainRefusal::Unavailable(why)))) => Err(busy(&why)),
        Ok(Err(_)) => Err(HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "there is no answer")),
        Err(_) => {
            let seconds = ANSWER_TIMEOUT.as_secs();
            let why =
                format!("it was read for {seconds} s and was not at its end; the command waits as long as it takes");
            Err(HttpError::new(StatusCode::GATEWAY_TIMEOUT, &why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::connections::Connections;
    use crate::http::hub::Hub;
    use crate::http::{ListenAddress, testing};
    use std::sync::atomic::AtomicUsize;

    /// Answers once it is told to stop, or with what the symbol says.
    #[derive(Default)]
    struct Scripted {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Explainer for Scripted {
        fn digests(&self, _: Option<EventTime>, _: Option<EventTime>, most: usize) -> Result<String, ExplainRefusal> {
            Ok(most.to_string())
        }

        fn explain(&self, symbol: &str, time: EventTime, stop: &AtomicBool) -> Result<String, ExplainRefusal> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            while symbol == "SLOW" && !stop.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.now.fetch_sub(1, Ordering::SeqCst);
            match symbol {
                "NONE" => Err(ExplainRefusal::Unknown("no such symbol".into())),
                "AWAY" => Err(ExplainRefusal::Unavailable("no broker".into())),
                "PANIC" => panic!("for a test"),
                _ => Ok(format!("{{\"of\":{}}}", time.0)),
            }
        }
    }

    fn server(explainer: Result<Arc<dyn Explainer>, &'static str>) -> Server {
        let about = Arc::new(crate::http::RunInfo { explainer, ..testing::about() });
        Server {
            address: ListenAddress::of(Some("127.0.0.1:0"), false, &[], None, None).unwrap().unwrap(),
            started: about.clock.wall(),
            connections: Arc::new(Connections::new(16)),
            hub: Arc::new(Hub::new(&about)),
            about,
            answers: Default::default(),
            explaining: Arc::new(tokio::sync::Semaphore::new(1)),
        }
    }

    #[tokio::test]
    async fn what_is_asked_is_checked_and_what_is_answered_is_passed_on() {
        let server = server(Ok(Arc::new(Scripted::default())));
        let status = async |query: &str| explained(&server, Some(query)).await.map_err(|error| error.status.as_u16());
        assert_eq!(status("symbol=A&minute=1").await, Ok("{\"of\":1000000}".to_owned()));
        assert_eq!(status("symbol=NONE&minute=1").await, Err(404));
        assert_eq!(status("symbol=AWAY&minute=1").await, Err(503));
        assert_eq!(status("symbol=PANIC&minute=1").await, Err(500));
        for bad in ["", "symbol=A", "minute=1", "symbol=&minute=1", "symbol=A&minute=x", "symbol=A&minute=1&x=1"] {
            assert_eq!(status(bad).await, Err(400), "{bad}");
        }
        let symbol = "%f4%8f%bf%bf".repeat(256);
        assert!(status(&format!("symbol={symbol}&minute=1")).await.is_ok(), "the longest symbol");
    }

    #[tokio::test]
    async fn a_run_without_a_state_says_so() {
        let server = server(Err("keeps no state"));
        let error = explained(&server, Some("symbol=A&minute=1")).await.unwrap_err();
        assert_eq!((error.status, error.why.as_str()), (StatusCode::NOT_FOUND, "keeps no state"));
    }

    #[tokio::test]
    async fn one_at_a_time_and_given_up_when_its_client_is_gone() {
        let scripted = Arc::new(Scripted::default());
        let server = server(Ok(Arc::clone(&scripted) as Arc<dyn Explainer>));
        let slow = explained(&server, Some("symbol=SLOW&minute=1"));
        // Its client goes after a moment, while another waits for its turn.
        let gone = async { tokio::time::timeout(Duration::from_millis(300), slow).await.is_err() };
        let (is_gone, next) = tokio::join!(gone, async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            explained(&server, Some("symbol=A&minute=2")).await
        });
        assert!(is_gone && next.is_ok(), "{next:?}");
        assert_eq!(scripted.most.load(Ordering::SeqCst), 1);
        // One that does not end makes others ask again.
        let (_, busy) = tokio::join!(
            tokio::time::timeout(Duration::from_millis(2500), explained(&server, Some("symbol=SLOW&minute=1"))),
            async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                explained(&server, Some("symbol=A&minute=2")).await
            }
        );
        assert_eq!(busy.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
