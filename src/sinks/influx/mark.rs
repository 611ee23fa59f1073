//! Which job owns a series. A series (bucket, measurement, static tags) belongs to one job, because two would overwrite each
//! other's final rows; its mark is the newest point of measurement `minutely_jobs`:
//!
//! ```text
//! minutely_jobs,measurement=minute,tags=none job="market",semantics="…",version="0.1.0",folder="…" 1767225600000000000
//! ```
//!
//! A series without a mark is free: no job owns it, or an older version wrote there. What cannot be read is *unknown*, never
//! free. Pure; `query.rs` asks.

use super::series::{InfluxSeries, MARKS};
use crate::sinks::options::Owner;
use crate::text::rfc3339;
use minutely_dataflows::time::EventTime;
use serde_json::Value;

/// Which job owns a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) owner: Owner,
    /// When the job wrote that last.
    pub(super) at: EventTime,
}

/// The answer to a query for a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MarkAnswer {
    /// A job owns the series.
    Marked(Mark),
    /// There is no mark.
    Unmarked,
    /// Not known, and why.
    Unknown(String),
}

/// May a job write to a series?
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MarkVerdict {
    /// It is the job's own, free, or to be taken. The mark is to be written at this time: it must be the newest, also where
    /// another machine's clock is ahead.
    Ours(EventTime),
    /// It cannot be known, and why.
    Unknown(String),
    /// It is another job's.
    Theirs(Mark),
}

/// Decides. `is_owner`: is that this job? `take`: another job's series becomes this job's.
pub(super) fn decide(asked: MarkAnswer, is_owner: impl Fn(&Owner) -> bool, take: bool, now: EventTime) -> MarkVerdict {
    match asked {
        MarkAnswer::Unmarked => MarkVerdict::Ours(now),
        MarkAnswer::Unknown(why) => MarkVerdict::Unknown(why),
        MarkAnswer::Marked(mark) if is_owner(&mark.owner) || take => MarkVerdict::Ours(now.max(mark.at.plus(1))),
        MarkAnswer::Marked(mark) => MarkVerdict::Theirs(mark),
    }
}

/// What to do about another job's series.
pub(super) fn refusal(series: &InfluxSeries, mark: &Mark, owner: &Owner) -> String {
    let Mark { owner: theirs, at } = mark;
    let who = match theirs.job == owner.job {
        true => format!("another job that is called `{}` as well, with another source or other options", theirs.job),
        false => format!("job `{}`", theirs.job),
    };
    format!(
        "{} belongs to {who} (it said so at {}), and two jobs in one place overwrite each other's final rows; write \
         elsewhere in the bucket with ?measurement=NAME (then NAME and NAME_live), or with ?tag.NAME=VALUE on every point, \
         or take it with --take-sink",
        series.shown(),
        rfc3339(*at, 0)
    )
}

/// The text of a field, in line protocol.
fn quoted(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    format!("\"{}\"", visible.replace('\\', r"\\").replace('"', "\\\""))
}

/// The mark as a line.
pub(super) fn line(series: &InfluxSeries, owner: &Owner, folder: &str, at: EventTime) -> String {
    let tag = |text: &str| text.replace(',', r"\,").replace('=', r"\=").replace(' ', r"\ ");
    format!(
        "{MARKS},measurement={},tags={} job={},semantics={},version={},folder={} {}\n",
        tag(&series.measurement),
        tag(&series.tags_text()),
        quoted(&owner.job),
        quoted(&owner.semantics),
        quoted(env!("CARGO_PKG_VERSION")),
        quoted(folder),
        at.0
    )
}

/// Which mark of a series is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MarkAge {
    /// The one that counts.
    Newest,
    /// The first that was written.
    Oldest,
}

/// A query for a mark, in Flux.
pub(super) fn flux(bucket: &str, series: &InfluxSeries, which: MarkAge) -> String {
    let one = if which == MarkAge::Newest { "last" } else { "first" };
    let text = |text: &str| format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\x24"));
    format!(
        "from(bucket: {}) |> range(start: 0, stop: 2262-04-11T00:00:00Z) |> filter(fn: (r) => r._measurement == {} and \
         r.measurement == {} and r.tags == {} and (r._field == \"job\" or r._field == \"semantics\")) |> {one}()",
        text(bucket),
        text(MARKS),
        text(&series.measurement),
        text(&series.tags_text())
    )
}

/// The same in InfluxQL.
pub(super) fn influxql(series: &InfluxSeries, which: MarkAge) -> String {
    let order = if which == MarkAge::Newest { "DESC" } else { "ASC" };
    let text = |text: &str| format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"));
    format!(
        "SELECT job, semantics FROM {MARKS} WHERE \"measurement\" = {} AND \"tags\" = {} ORDER BY time {order} LIMIT 1",
        text(&series.measurement),
        text(&series.tags_text())
    )
}

const NO_ANSWER: &str = "the answer to a query is not understood";

/// The answer to [`flux`], as CSV.
pub(super) fn from_csv(text: &str) -> MarkAnswer {
    read_csv(text).unwrap_or_else(|| MarkAnswer::Unknown(NO_ANSWER.to_owned()))
}

fn read_csv(text: &str) -> Option<MarkAnswer> {
    if text.trim().is_empty() {
        return Some(MarkAnswer::Unmarked);
    }
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().ok()?.clone();
    let column = |name: &str| header.iter().position(|column| column == name);
    let (field, value, time) = (column("_field")?, column("_value")?, column("_time")?);
    let (mut owner, mut at) = (Owner::default(), None);
    for record in reader.records() {
        let record = record.ok()?;
        match record.get(field)? {
            "job" => record.get(value)?.clone_into(&mut owner.job),
            "semantics" => record.get(value)?.clone_into(&mut owner.semantics),
            _ => return None,
        }
        at = Some(record.get(time)?.parse::<jiff::Timestamp>().ok()?);
    }
    let at = EventTime(i64::try_from(at?.as_nanosecond()).ok()?);
    Some(MarkAnswer::Marked(Mark { owner, at }))
}

/// The answer to [`influxql`], as JSON, times in nanoseconds.
pub(super) fn from_json(text: &str) -> MarkAnswer {
    read_json(text).unwrap_or_else(|| MarkAnswer::Unknown(NO_ANSWER.to_owned()))
}

fn read_json(text: &str) -> Option<MarkAnswer> {
    let answer: Value = serde_json::from_str(text).ok()?;
    let result = answer.get("results")?.get(0)?.as_object()?;
    if let Some(why) = result.get("error") {
        return Some(MarkAnswer::Unknown(why.as_str()?.to_owned()));
    }
    let Some(series) = result.get("series") else {
        // What only looks like InfluxDB has other things here.
        return result.keys().all(|key| key == "statement_id").then_some(MarkAnswer::Unmarked);
    };
    let row = series.pointer("/0/values/0")?.as_array()?;
    let text = |n: usize| row.get(n)?.as_str().map(str::to_owned);
    let owner = Owner { job: text(1)?, semantics: text(2)? };
    Some(MarkAnswer::Marked(Mark { owner, at: EventTime(row.first()?.as_i64()?) }))
}

#[cfg(test)]
mod tests {
    use super::super::series::tests::series;
    use super::*;

    fn owner(job: &str, semantics: &str) -> Owner {
        Owner { job: job.into(), semantics: semantics.into() }
    }

    #[test]
    fn a_series_is_its_jobs_free_or_unknown() {
        let (me, now) = (owner("me", "s"), EventTime(100));
        let mark = |job, semantics, at| MarkAnswer::Marked(Mark { owner: owner(job, semantics), at: EventTime(at) });
        assert_eq!(decide(MarkAnswer::Unmarked, |other: &Owner| *other == me, false, now), MarkVerdict::Ours(now));
        assert_eq!(decide(mark("me", "s", 7), |other: &Owner| *other == me, false, now), MarkVerdict::Ours(now));
        assert_eq!(
            decide(mark("me", "s", 200), |other: &Owner| *other == me, false, now),
            MarkVerdict::Ours(EventTime(201)),
            "a clock ahead of ours"
        );
        assert_eq!(
            decide(mark("you", "s", 200), |other: &Owner| *other == me, true, now),
            MarkVerdict::Ours(EventTime(201))
        );
        for (job, semantics, says) in [("you", "s", "job `you`"), ("me", "t", "another job that is called `me`")] {
            let MarkVerdict::Theirs(found) = decide(mark(job, semantics, 7), |other: &Owner| *other == me, false, now)
            else {
                panic!("{job}")
            };
            let why = refusal(&series(&[("tag.a", "1")]).unwrap(), &found, &me);
            for part in [says, "measurement `minute` with a=1", "?measurement=", "?tag.", "--take-sink", "1970-01-01T"]
            {
                assert!(why.contains(part), "`{part}` is not in: {why}");
            }
        }
        assert_eq!(
            decide(MarkAnswer::Unknown("no".into()), |other: &Owner| *other == me, true, now),
            MarkVerdict::Unknown("no".into())
        );
    }

    #[test]
    fn answers_are_a_mark_none_or_unknown() {
        let found = MarkAnswer::Marked(Mark { owner: owner("a \"b", "s"), at: EventTime(1_500_000_000) });
        let table = "result,table,_time,_value,_field\n_result,0,1970-01-01T00:00:01.5Z,\"a \"\"b\",job\n\
                     _result,1,1970-01-01T00:00:01.5Z,s,semantics";
        assert_eq!(from_csv(table), found);
        assert_eq!(from_csv("\r\n"), MarkAnswer::Unmarked);
        for text in
            ["<html>", "error,reference\nfailed,897", "{\"code\":1}", "_time,_value,_field\n", "result,table\n1,2"]
        {
            assert!(matches!(from_csv(text), MarkAnswer::Unknown(_)), "{text}");
        }
        let answer = |result: &str| from_json(&format!("{{\"results\":[{result}]}}"));
        let columns = r#""columns":["time","job","semantics"]"#;
        assert_eq!(
            answer(&format!("{{\"series\":[{{{columns},\"values\":[[1500000000,\"a \\\"b\",\"s\"]]}}]}}")),
            found
        );
        assert_eq!((answer("{\"statement_id\":0}"), answer("{}")), (MarkAnswer::Unmarked, MarkAnswer::Unmarked));
        assert_eq!(
            answer("{\"error\":\"database not found: x\"}"),
            MarkAnswer::Unknown("database not found: x".into())
        );
        for result in ["{\"name\":\"databases\"}", "{\"series\":[]}", "7", "{\"series\":[{\"values\":[[1,2,3]]}]}"] {
            assert!(matches!(answer(result), MarkAnswer::Unknown(_)), "{result}");
        }
        assert!(matches!(from_json("<html>"), MarkAnswer::Unknown(_)));
    }
}
