//! Asks the server who owns a series of points, once. InfluxDB 1, 2 and 3 have InfluxQL in common, and an InfluxDB 2 may
//! lack the mapping that it needs: there it is Flux first.

use super::answer::{WriteVerdict, judge};
use super::client::{Client, HttpReply, brief};
use super::mark::{self, MarkAge, MarkAnswer};
use super::series::InfluxSeries;
use super::target::Destination;
use std::time::Duration;

/// The outcome of one query.
pub(super) enum QueryOutcome {
    /// The server's answer.
    Known(MarkAnswer),
    /// The server does not answer at present: why, and when to ask again if it said so.
    Unanswered(String, Option<Duration>),
}

/// Asks once for the mark of a series.
pub(super) async fn ask(client: &Client, series: &InfluxSeries, which: MarkAge) -> QueryOutcome {
    let (org, bucket) = match client.destination() {
        Destination::Database(database) => return ask_influxql(client, database, series, which).await,
        Destination::Bucket { org, bucket } => (org, bucket),
    };
    match client.flux(org, mark::flux(bucket, series, which)).await {
        HttpReply::Lost { why, .. } => QueryOutcome::Unanswered(why, None),
        HttpReply::Status { status: 200, text, .. } => match mark::from_csv(&text) {
            MarkAnswer::Unknown(_) => ask_influxql(client, bucket, series, which).await,
            known => QueryOutcome::Known(known),
        },
        HttpReply::Status { status: 400 | 404 | 405 | 501, .. } => ask_influxql(client, bucket, series, which).await,
        reply => unanswered(reply),
    }
}

async fn ask_influxql(client: &Client, database: &str, series: &InfluxSeries, which: MarkAge) -> QueryOutcome {
    let query = [("db", database.to_owned()), ("epoch", "ns".to_owned()), ("q", mark::influxql(series, which))];
    match client.get("/query", &query).await {
        HttpReply::Status { status: 200, text, .. } => QueryOutcome::Known(mark::from_json(&text)),
        reply => unanswered(reply),
    }
}

fn unanswered(reply: HttpReply) -> QueryOutcome {
    match reply {
        HttpReply::Lost { why, .. } => QueryOutcome::Unanswered(why, None),
        HttpReply::Status { status, retry_after, text, .. } => {
            let why = format!("{status}: {}", brief(&text));
            match judge(status, false) {
                WriteVerdict::Again => QueryOutcome::Unanswered(why, retry_after),
                _ => QueryOutcome::Known(MarkAnswer::Unknown(why)),
            }
        }
    }
}
