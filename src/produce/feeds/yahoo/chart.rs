//! What an answer of Yahoo's chart service says: bars of a minute, or why there are none.

use super::float32;
use crate::produce::feeds::client::words;
use crate::produce::feeds::record::FeedRecord;
use minutely_dataflows::escape::shortened;
use serde::Deserialize;

/// Seconds of a bar.
const BAR: i64 = 60;

/// An answer, as far as it matters for what is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::produce::feeds) enum ChartAnswer {
    /// Bars that are closed, by time; how many were left out because nothing was traded in their minute.
    Bars { records: Vec<FeedRecord>, empty: usize },
    /// There is nothing for this symbol: Yahoo's words.
    Refused(String),
    /// It wants a crumb first.
    WantsCrumb,
    /// It was asked too often.
    RateLimited,
    /// It is out of order, or not understood: why.
    Failed(String),
}

#[derive(Deserialize)]
struct Body {
    chart: Chart,
}

#[derive(Deserialize)]
struct Chart {
    result: Option<Vec<ChartResult>>,
    error: Option<ChartError>,
}

#[derive(Deserialize)]
struct ChartError {
    description: Option<String>,
    code: Option<String>,
}

#[derive(Deserialize)]
struct ChartResult {
    /// Starts of bars, in seconds since 1970; absent where there are none.
    #[serde(default)]
    timestamp: Vec<i64>,
    indicators: Indicators,
}

#[derive(Deserialize)]
struct Indicators {
    #[serde(default)]
    quote: Vec<Quote>,
}

/// Beside the starts; null where nothing was traded.
#[derive(Default, Deserialize)]
struct Quote {
    #[serde(default)]
    close: Vec<Option<f64>>,
    #[serde(default)]
    volume: Vec<Option<serde_json::Number>>,
}

/// The crumb of an answer; none where it is none.
pub(in crate::produce::feeds) fn crumb(status: u16, body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let is_crumb = status == 200 && !text.is_empty() && text.len() <= 64 && !text.contains(['<', ' ', '{']);
    is_crumb.then(|| text.to_owned())
}

impl ChartAnswer {
    /// Of this symbol, at this time in seconds since 1970.
    pub(in crate::produce::feeds) fn of(symbol: &str, status: u16, body: &[u8], now: i64) -> Self {
        let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
        if status == 429 || text.contains("Too Many Requests") {
            return ChartAnswer::RateLimited;
        }
        if text.contains("Will be right back") {
            return ChartAnswer::Failed("it is out of order (`Will be right back`)".to_owned());
        }
        match (status, serde_json::from_slice::<Body>(body)) {
            (401 | 403, _) => ChartAnswer::WantsCrumb,
            (_, Ok(Body { chart: Chart { error: Some(error), .. } })) => {
                let said = error.description.or(error.code).unwrap_or_default();
                ChartAnswer::Refused(shortened(&said))
            }
            (200, Ok(Body { chart: Chart { result: Some(results), .. } })) => match results.into_iter().next() {
                Some(result) => result.bars(symbol, now),
                None => ChartAnswer::Bars { records: Vec::new(), empty: 0 },
            },
            (200, _) => ChartAnswer::Failed(format!("its answer is not understood ({})", words(body))),
            _ => ChartAnswer::Failed(format!("it answers {status} ({})", words(body))),
        }
    }
}

impl ChartResult {
    /// The bars that are closed. The last element is often the price of now, off the grid of minutes, and may lie ahead.
    fn bars(self, symbol: &str, now: i64) -> ChartAnswer {
        let Quote { close, volume } = self.indicators.quote.into_iter().next().unwrap_or_default();
        let (mut records, mut empty) = (Vec::new(), 0);
        for (at, start) in self.timestamp.into_iter().enumerate() {
            if start.rem_euclid(BAR) != 0 || start.saturating_add(BAR) > now {
                continue;
            }
            let Some(price) = close.get(at).copied().flatten() else {
                empty += 1;
                continue;
            };
            records.push(FeedRecord {
                symbol: symbol.to_owned(),
                price: float32::of_widened(price),
                volume: volume.get(at).cloned().flatten().map(|volume| volume.to_string()),
                time_ms: start.saturating_mul(1000),
                trade_id: None,
            });
        }
        ChartAnswer::Bars { records, empty }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_772_462_640; // 2026-03-02T14:44:00Z

    fn of(status: u16, body: &str) -> ChartAnswer {
        ChartAnswer::of("NOK", status, body.as_bytes(), NOW)
    }

    #[test]
    fn closed_bars_on_the_grid_become_records() {
        let body = format!(
            r#"{{"chart":{{"result":[{{"meta":{{"symbol":"NOK","dataGranularity":"1m"}},"timestamp":[{},{},{},{},{}],
            "indicators":{{"quote":[{{"open":[1,null,1,1,1],"close":[5.119999885559082,null,5.25,5.5,5.75],
            "high":[],"low":[],"volume":[1200,null,0,7,8]}}]}}}}],"error":null}}}}"#,
            NOW - 240,
            NOW - 180,
            NOW - 60,
            NOW,      // not closed yet
            NOW - 13  // off the grid
        );
        let ChartAnswer::Bars { records, empty } = of(200, &body) else { panic!("{:?}", of(200, &body)) };
        let payloads: Vec<_> = records.iter().map(FeedRecord::payload).collect();
        let want = [
            r#"{"symbol":"NOK","price":"5.12","volume":"1200","ts":1772462400000}"#,
            r#"{"symbol":"NOK","price":"5.25","volume":"0","ts":1772462580000}"#,
        ];
        assert_eq!((payloads.as_slice(), empty), (want.map(str::to_owned).as_slice(), 1));
    }

    #[test]
    fn no_bars_are_no_mistake() {
        let none = ChartAnswer::Bars { records: Vec::new(), empty: 0 };
        assert_eq!(of(200, r#"{"chart":{"result":[{"meta":{},"indicators":{"quote":[{}]}}],"error":null}}"#), none);
        assert_eq!(of(200, r#"{"chart":{"result":[],"error":null}}"#), none);
        // Arrays of other lengths: what is not there is not made up.
        let short = r#"{"chart":{"result":[{"timestamp":[1772462400,1772462460],"indicators":{"quote":[{"close":[5.0]}]}}],"error":null}}"#;
        let ChartAnswer::Bars { records, empty } = of(200, short) else { panic!("{:?}", of(200, short)) };
        assert_eq!((records.len(), records[0].volume.as_ref(), empty), (1, None, 1));
    }

    #[test]
    fn other_answers_say_what_to_do() {
        let gone = r#"{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}"#;
        assert_eq!(of(404, gone), ChartAnswer::Refused("No data found, symbol may be delisted".into()));
        assert_eq!(of(429, "Too Many Requests\r\n"), ChartAnswer::RateLimited);
        assert_eq!(of(200, "Edge: Too Many Requests"), ChartAnswer::RateLimited);
        assert_eq!(of(401, r#"{"finance":{"error":{"code":"Unauthorized"}}}"#), ChartAnswer::WantsCrumb);
        assert_eq!(of(403, ""), ChartAnswer::WantsCrumb);
        let outage = "<html><body><h1>Will be right back...</h1></body></html>";
        assert!(matches!(of(503, outage), ChartAnswer::Failed(why) if why.contains("Will be right back")));
        assert!(matches!(of(500, ""), ChartAnswer::Failed(why) if why.contains("500 (without a text)")));
        assert!(matches!(of(200, "{}"), ChartAnswer::Failed(why) if why.contains("not understood")));
        assert_eq!(crumb(200, b"aB.c1\n").as_deref(), Some("aB.c1"));
        for (status, body) in [(200, ""), (200, "<html>"), (429, "Too"), (200, "Too Many Requests"), (500, "abc")] {
            assert_eq!(crumb(status, body.as_bytes()), None, "{body}");
        }
    }
}
