//! `--windows`: how long coarser windows are and where they begin, as they are named.

use crate::time::{SECOND, Windowing};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const HOUR: i64 = 3600 * SECOND;
/// Of a day with as many hours as most.
pub(super) const DAY: i64 = 24 * HOUR;
/// Units by their names, the longest first.
const UNITS: [(&str, i64); 5] = [("d", DAY), ("h", HOUR), ("m", 60 * SECOND), ("s", SECOND), ("ms", SECOND / 1000)];
/// The longest length, in nanoseconds.
const LONGEST: i64 = Windowing::LONGEST;
/// Levels of a list, at most.
const MAX_LEVELS: usize = 15;

/// One length of coarser windows. In order: the longer is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowLevel {
    /// Nanoseconds; of a day or a week, of one that has no change of the clocks.
    length: i64,
    /// Days or weeks by the calendar of a time zone. Else a window begins every `length` from 1970 on.
    calendar: bool,
    /// How much later each begins, in nanoseconds: at least 0 and less than the length.
    offset: i64,
}

impl WindowLevel {
    /// Of this length in nanoseconds, from 1970 on.
    pub const fn fixed(length: i64) -> Self {
        WindowLevel { length, calendar: false, offset: 0 }
    }

    /// Nanoseconds; of a day or a week, of one that has no change of the clocks.
    pub const fn length(&self) -> i64 {
        self.length
    }

    /// Days or weeks by the calendar of a time zone?
    pub const fn is_calendar(&self) -> bool {
        self.calendar
    }

    /// How much later each begins than it would without an offset, in nanoseconds.
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// Its name with letters, digits and `_` alone: `1h_15m`.
    pub fn identifier(&self) -> String {
        self.to_string().replace('+', "_")
    }
}

impl fmt::Display for WindowLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.calendar, self.length) {
            (true, DAY) => f.write_str("1d")?,
            (true, _) => f.write_str("1w")?,
            (false, length) => match UNITS[1..].iter().find(|(_, unit)| length % unit == 0) {
                Some((name, unit)) => write!(f, "{}{name}", length / unit)?,
                None => write!(f, "{length}ns")?,
            },
        }
        let mut rest = self.offset;
        if rest > 0 {
            f.write_str("+")?;
        }
        for (name, unit) in UNITS {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

/// Why a text is no list of windows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowListError {
    /// A length or an offset is none.
    #[error(
        "`{0}` is no window; give a length such as 5m, 1h, 1d or 1w, and where it begins later than at midnight or on the hour, \
         by how much: 1h+15m, 1d+9h30m"
    )]
    Unknown(String),
    /// Days and weeks come one at a time.
    #[error("`{0}`: only 1d and 1w follow the calendar; give other lengths in hours, such as 48h")]
    Calendar(String),
    /// Longer than a year.
    #[error("`{0}`: a window has at most 8784h (366 days)")]
    TooLong(String),
    /// A window begins later by as much as it is long.
    #[error("`{0}`: what comes after the + must be less than the window is long")]
    Offset(String),
    /// It is there twice, perhaps by two names.
    #[error("`{0}` is given twice")]
    Twice(WindowLevel),
    /// Too many.
    #[error("there are at most {MAX_LEVELS} lengths in the list")]
    TooMany,
}

/// A sum of numbers with units, each shorter than the one before: `9h30m`. In nanoseconds; none for any other text.
fn duration(text: &str) -> Option<i64> {
    let (mut rest, mut sum, mut last) = (text, 0_i64, None);
    while !rest.is_empty() || last.is_none() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (name, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let place = UNITS.iter().position(|(known, _)| *known == name).filter(|place| Some(*place) > last)?;
        sum = sum.checked_add(number.parse::<i64>().ok()?.checked_mul(UNITS[place].1)?)?;
        (rest, last) = (after, Some(place));
    }
    Some(sum)
}

impl FromStr for WindowLevel {
    type Err = WindowListError;

    fn from_str(text: &str) -> Result<Self, WindowListError> {
        let unknown = || WindowListError::Unknown(text.to_owned());
        let (length, offset) = text.split_once('+').map_or((text, None), |(length, offset)| (length, Some(offset)));
        let (length, calendar) = match length {
            "1d" => (DAY, true),
            "1w" => (7 * DAY, true),
            _ if length.ends_with('w') && length[..length.len() - 1].parse::<u32>().is_ok() => {
                return Err(WindowListError::Calendar(text.to_owned()));
            }
            _ if length.contains('d') && duration(length).is_some() => {
                return Err(WindowListError::Calendar(text.to_owned()));
            }
            _ => (duration(length).filter(|length| *length > 0).ok_or_else(unknown)?, false),
        };
        if length > LONGEST {
            return Err(WindowListError::TooLong(text.to_owned()));
        }
        let offset = offset.map_or(Some(0), duration).ok_or_else(unknown)?;
        if offset >= length {
            return Err(WindowListError::Offset(text.to_owned()));
        }
        Ok(WindowLevel { length, calendar, offset })
    }
}

/// Which coarser windows there are, the shortest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowList(Vec<WindowLevel>);

impl WindowList {
    /// The levels, ascending.
    pub fn levels(&self) -> &[WindowLevel] {
        &self.0
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for WindowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (n, level) in self.0.iter().enumerate() {
            write!(f, "{}{level}", if n > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for WindowList {
    type Err = WindowListError;

    fn from_str(text: &str) -> Result<Self, WindowListError> {
        if text == "none" {
            return Ok(WindowList::default());
        }
        let levels: Result<Vec<WindowLevel>, _> = text.split(',').map(|name| name.trim().parse()).collect();
        let mut levels = levels?;
        levels.sort_unstable();
        if let Some(pair) = levels.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(WindowListError::Twice(pair[0]));
        }
        if levels.len() > MAX_LEVELS {
            return Err(WindowListError::TooMany);
        }
        Ok(WindowList(levels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<String, String> {
        text.parse::<WindowList>().map(|list| list.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_list_has_one_text_for_one_value() {
        for (text, want) in [
            ("none", "none"),
            ("5m", "5m"),
            ("1w,1d, 1h,15m,5m", "5m,15m,1h,1d,1w"),
            ("60m,300s", "5m,1h"),
            ("24h,1d", "24h,1d"),
            ("1h30m,500ms", "500ms,90m"),
            ("1h+15m,1d+9h30m,1w+1d9h", "1h+15m,1d+9h30m,1w+1d9h"),
            ("1h+0m,1h+900s", "1h,1h+15m"),
            ("1w+33h", "1w+1d9h"),
        ] {
            assert_eq!(list(text).as_deref(), Ok(want), "{text}");
            assert_eq!(list(want).as_deref(), Ok(want));
        }
        assert_eq!("1d+9h30m".parse::<WindowLevel>().unwrap().identifier(), "1d_9h30m");
    }

    #[test]
    fn what_is_no_list_is_told() {
        for text in
            ["", "5", "m", "5x", "0m", "5m,", "-5m", "5m+", "1h+x", "30m1h", "1.5h", "none,5m", "9999999999999999h"]
        {
            assert!(list(text).unwrap_err().contains("is no window"), "{text}: {:?}", list(text));
        }
        for text in ["2d", "2w", "0d", "1d12h"] {
            assert!(list(text).unwrap_err().contains("only 1d and 1w"), "{text}: {:?}", list(text));
        }
        assert!(list("8785h").unwrap_err().contains("at most 8784h"));
        for text in ["1h+1h", "1d+24h", "1w+7d", "5m+1d"] {
            assert!(list(text).unwrap_err().contains("less than the window"), "{text}");
        }
        assert_eq!(list("1h,5m,60m").unwrap_err(), "`1h` is given twice");
        let many: Vec<_> = (2..18).map(|n| format!("{n}m")).collect();
        assert!(list(&many.join(",")).unwrap_err().contains("at most 15"));
    }
}
