//! What an answer to a write means, by its status and its text. Pure.

use minutely_dataflows::delivery::Outcome;

/// What an answer to a write says. Answers seen on a real InfluxDB 2.7, and those that proxies give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteVerdict {
    /// 204, or what a proxy or a database of the same protocol makes of it: written.
    Done,
    /// The outcome is unknown (a real 500 "timeout" had written): the identical bytes again, after a while.
    Again,
    /// 413: in two halves.
    Split,
    /// 400: nothing of it was written (by an InfluxDB 1: or all but some points). 422: all but some points were. Find those
    /// that are to blame.
    Blame,
    /// A matter of set-up, such as a token that was revoked: hold everything and look again every few seconds.
    Hold,
}

/// What this HTTP status says. `fails`: the text says that it is a failure, or it is a page for people, whatever the status.
pub(super) fn judge(status: u16, fails: bool) -> WriteVerdict {
    match status {
        204 => WriteVerdict::Done,
        200..=202 if !fails => WriteVerdict::Done,
        408 | 425 | 429 | 500..=599 => WriteVerdict::Again,
        413 => WriteVerdict::Split,
        400 | 422 => WriteVerdict::Blame,
        _ => WriteVerdict::Hold, // 401, 403, 404; and what no InfluxDB answers, such as a redirect
    }
}

/// Does this answer say that a request took too long? (A real InfluxDB says so by 500; a proxy by 504, Cloudflare's by 524.)
pub(super) fn too_slow(status: u16, answer: &str) -> bool {
    matches!(status, 408 | 504 | 524) || (matches!(status, 500 | 503) && answer.contains("timeout"))
}

/// Which points of a write a refusal blames. `text`: what the database said; `answer`: the same, for people; `times` of the points
/// in the order they were sent.
pub(super) fn blame(status: u16, text: &str, answer: String, times: &[i64]) -> Outcome {
    let oldest = oldest_dropped(text, times);
    // An InfluxDB 1 says 400 to a partial write as well.
    let partial = status == 422 || text.starts_with("partial write: ");
    let dropped = oldest.or_else(|| if partial { dropped(text) } else { None });
    Outcome::Blame { answer, dropped, oldest: oldest.is_some() }
}

/// How many points the answer to a partial write says were left out, if it says so: `… dropped=2`, `… dropped 2 points
/// outside retention …`. The last such word counts: a tag's value may stand before it.
fn dropped(answer: &str) -> Option<usize> {
    let (_, rest) = answer.rsplit_once("dropped")?;
    let digits = rest.strip_prefix(['=', ' '])?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// How many of these points, the oldest, a partial write has left out because the database keeps points for less long; none
/// if it is another partial write. `times` of the points in the order they were sent.
///
/// A real InfluxDB leaves out what is older than its retention *unless* the same write has a younger point for the same
/// shard: then the shard is there, and takes it. So halves of a write are judged otherwise than the whole, and bisection
/// would find points to blame that the whole has stored. What it leaves out is whole shards: the oldest points.
fn oldest_dropped(answer: &str, times: &[i64]) -> Option<usize> {
    let (_, why) = answer.split_once("partial write: ")?;
    let of_2 = || why.strip_prefix("dropped ")?.split_once(" points outside retention policy")?.0.parse().ok();
    let of_1 = || why.strip_prefix("points beyond retention policy").and_then(dropped);
    let count: usize = of_2().or_else(of_1)?;
    let ascending = times.is_sorted();
    let parts = count <= times.len() && (count == 0 || count == times.len() || times[count - 1] < times[count]);
    (ascending && parts && !why.contains("Upper Bound")).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        for (status, want) in [
            (204, WriteVerdict::Done),
            (200, WriteVerdict::Done),
            (201, WriteVerdict::Done),
            (202, WriteVerdict::Done),
            (429, WriteVerdict::Again),
            (500, WriteVerdict::Again),
            (503, WriteVerdict::Again),
            (413, WriteVerdict::Split),
            (400, WriteVerdict::Blame),
            (422, WriteVerdict::Blame),
            (401, WriteVerdict::Hold),
            (403, WriteVerdict::Hold),
            (404, WriteVerdict::Hold),
            (203, WriteVerdict::Hold),
            (302, WriteVerdict::Hold),
            (405, WriteVerdict::Hold),
        ] {
            assert_eq!(judge(status, false), want, "{status}");
        }
        assert_eq!(
            (judge(200, true), judge(202, true), judge(204, true)),
            (WriteVerdict::Hold, WriteVerdict::Hold, WriteVerdict::Done)
        );
        assert!(
            too_slow(504, "") && too_slow(500, "timeout") && !too_slow(500, "no space") && !too_slow(429, "timeout")
        );
        assert_eq!(dropped("partial write: field type conflict: input field \"v\" … dropped=12\"}"), Some(12));
        assert_eq!(dropped("partial write: dropped 2 points outside retention policy of duration 1h"), Some(2));
        assert_eq!(dropped("partial write: dropped"), None);
        let limited =
            "partial write: max-values-per-tag limit exceeded (9/9): tag=\"symbol\" value=\"dropped=7\" dropped=1";
        assert_eq!(dropped(limited), Some(1));
        assert_eq!(dropped("unable to parse"), None);
    }

    #[test]
    fn a_refusal_says_how_many_points_and_which_if_its_text_does() {
        let of = |status, text: &str| match blame(status, text, "for people".into(), &[1, 2, 3]) {
            Outcome::Blame { answer, dropped, oldest } if answer == "for people" => (dropped, oldest),
            other => panic!("{other:?}"),
        };
        let retention = "partial write: points beyond retention policy dropped=2";
        assert_eq!([of(422, retention), of(400, retention)], [(Some(2), true); 2]);
        let conflict = "partial write: field type conflict dropped=1";
        assert_eq!([of(422, conflict), of(400, conflict)], [(Some(1), false); 2]);
        assert_eq!(of(422, "…: dropped=1"), (Some(1), false));
        assert_eq!(of(400, "unable to parse: dropped=1"), (None, false), "nothing of it was written");
        assert_eq!(of(422, ""), (None, false));
    }

    #[test]
    fn a_partial_write_of_retention_left_out_the_oldest() {
        // As a real 2.7 says it.
        let real = |count: usize| {
            let oldest = "oldest point m,symbol=A at 2026-11-29T04:40:10Z dropped because it violates a Retention Policy \
                          Lower Bound at 2026-11-29T06:24:21.59Z";
            format!(
                "failure writing points to database: partial write: dropped {count} points outside retention policy of \
                 duration 2h0m0s - {oldest}, newest point m,symbol=A dropped because it violates a Retention Policy Lower \
                 Bound at 2026-11-29T06:24:21.59Z dropped={count} for database: 34ce for retention policy: autogen"
            )
        };
        assert_eq!(oldest_dropped(&real(2), &[1, 1, 2, 3]), Some(2));
        assert_eq!(oldest_dropped(&real(4), &[1, 1, 2, 3]), Some(4));
        assert_eq!(oldest_dropped("partial write: points beyond retention policy dropped=3", &[1, 1, 2, 3]), Some(3));
        assert_eq!(oldest_dropped(&real(1), &[1, 1, 2, 3]), None, "one of two of the same time");
        assert_eq!(oldest_dropped(&real(5), &[1, 1, 2, 3]), None);
        assert_eq!(oldest_dropped(&real(2), &[2, 1, 3, 4]), None, "not in order");
        assert_eq!(oldest_dropped(&real(2).replace("Lower", "Upper"), &[1, 2, 3]), None);
        let conflict = "partial write: field type conflict: outside retention policy dropped=1";
        assert_eq!(oldest_dropped(conflict, &[1, 2]), None);
    }
}
