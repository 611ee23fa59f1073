//! Any text as a query.

use super::query::Query;
use crate::fuzz::any_bytes;
use minutely_dataflows::time::EventTime;

#[test]
fn any_query_is_read_or_refused() {
    let seeds = [
        "symbol=A&symbol=%C3%A9&from=2026-01-05T08:00:00Z&limit=100",
        "from=-62135596800000&limit=0&text=a+b%20c",
        "text=%ff&&=&limit=18446744073709551616&from=2026-01-05T08:00:60.000000001+23:59",
    ];
    any_bytes(&seeds.map(|seed| seed.as_bytes().to_vec()), |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let Ok(query) = Query::parse(Some(&text), &["symbol*", "from", "limit", "text"]) else { return };
        if let Ok(Some(text)) = query.text("text", 10) {
            assert!(text.chars().count() <= 10);
        }
        if let Ok(Some(limit)) = query.number("limit", 1, 1000) {
            assert!((1..=1000).contains(&limit));
        }
        if let Ok(names) = query.names("symbol", 3) {
            assert!(names.len() <= 3 && !names.contains(&""));
        }
        if let Ok(Some(from)) = query.time("from") {
            assert!(from.0.abs() <= EventTime::LIMIT);
        }
    });
}
