//! How long a bucket or database keeps points: a warning if that is too short, and how often a mark is written depend on it.

use super::client::{Client, HttpReply};
use super::target::Destination;
use crate::sinks::options::SinkOptions;
use minutely_dataflows::coarse::WindowLevel;
use std::time::Duration;

/// Seconds that points are kept; none if they are never deleted, or if we may not ask. (The v1 endpoint of an InfluxDB 2 says
/// `0s` of every bucket, so nothing is known there.)
pub(super) async fn retention(client: &Client) -> Option<u64> {
    let (path, query) = match client.destination() {
        Destination::Bucket { org, bucket } => {
            ("/api/v2/buckets", vec![("name", bucket.clone()), ("org", org.clone())])
        }
        Destination::Database(database) => {
            let name = database.replace('\\', r"\\").replace('"', r#"\""#);
            ("/query", vec![("q", format!("SHOW RETENTION POLICIES ON \"{name}\""))])
        }
    };
    let HttpReply::Status { status: 200, text, .. } = client.get(path, &query).await else { return None };
    let answer = serde_json::from_str(&text).ok()?;
    match client.destination() {
        Destination::Bucket { bucket, .. } => rule_of(&answer, bucket),
        Destination::Database(_) => default_policy(&answer),
    }
}

/// What is wrong with how long the bucket or database keeps points.
pub(super) fn too_short(retention: Option<u64>, options: &SinkOptions) -> Option<String> {
    let kept = Duration::from_secs(retention?);
    let coarsest = options.columns.windows.iter().map(WindowLevel::length).max();
    let length = options.windowing.length.max(coarsest.unwrap_or_default());
    let held = length.saturating_add(options.windowing.lateness);
    let held = Duration::from_nanos(u64::try_from(held).unwrap_or_default());
    (kept < held).then(|| {
        format!(
            "the database keeps points for {} s, less than window and lateness ({} s): final rows come too late for it; \
             make its retention longer",
            kept.as_secs(),
            held.as_secs_f64()
        )
    })
}

/// The seconds of the shortest rule of this bucket in a list of buckets; none without a limit.
fn rule_of(answer: &serde_json::Value, bucket: &str) -> Option<u64> {
    let buckets = answer.get("buckets")?.as_array()?;
    let bucket = buckets.iter().find(|one| one.get("name").is_some_and(|name| name == bucket))?;
    let rules = bucket.get("retentionRules")?.as_array()?.iter();
    rules.filter_map(|rule| rule.get("everySeconds")?.as_u64().filter(|seconds| *seconds > 0)).min()
}

/// The seconds of the default retention policy in the answer to `SHOW RETENTION POLICIES`; none without a limit.
fn default_policy(answer: &serde_json::Value) -> Option<u64> {
    let table = answer.pointer("/results/0/series/0")?;
    let columns = table.get("columns")?.as_array()?;
    let column = |name: &str| columns.iter().position(|column| column == name);
    let (default, duration) = (column("default")?, column("duration")?);
    let policy = table.get("values")?.as_array()?.iter().find(|policy| policy[default] == true)?;
    seconds(policy[duration].as_str()?).filter(|seconds| *seconds > 0)
}

/// `168h0m0s`, as Go writes it.
fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut sum) = (text, 0_u64);
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit = match after.chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = &after[1..];
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_default_retention_policy_is_the_one_that_counts() {
        assert_eq!(seconds("168h0m0s"), Some(7 * 86_400));
        assert_eq!((seconds("1h2m3s"), seconds("0s"), seconds("")), (Some(3_723), Some(0), Some(0)));
        assert_eq!((seconds("1h2"), seconds("h"), seconds("1.5h"), seconds("INF")), (None, None, None, None));
        let answer = |policies: serde_json::Value| {
            let columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"];
            json!({"results": [{"statement_id": 0, "series": [{"columns": columns, "values": policies}]}]})
        };
        let week = json!(["week", "168h0m0s", "24h0m0s", 1, false]);
        let hour = json!(["hour", "1h0m0s", "1h0m0s", 1, true]);
        let ever = json!(["autogen", "0s", "168h0m0s", 1, true]);
        assert_eq!(default_policy(&answer(json!([week, hour]))), Some(3_600));
        assert_eq!(default_policy(&answer(json!([week, ever]))), None);
        assert_eq!(default_policy(&answer(json!([]))), None);
        assert_eq!(default_policy(&json!({"results": [{"statement_id": 0, "error": "no"}]})), None);
        assert_eq!(default_policy(&json!({"error": "authorization failed"})), None);
    }
}
