//! The name of the log as a field: all of it (`@topic`, `@file`), or one of its parts (`@file/0`).
//!
//! Parts are what is between the signs `-`, `_`, `.` and spaces, counted from 0: of `BTCUSDT-trades-2026-03-02.csv` `@file/0` is
//! `BTCUSDT`. So dumps that say the symbol in the name, among other things, need no expression to cut it out.

use super::error::FieldProblem;
use super::fields::LOG_NAMES;
use super::schema;

/// What stands between the parts of a name.
const SEPARATORS: [char; 4] = ['-', '_', '.', ' '];

/// What [`LOG_NAMES`] stand for in one partition, where they stand for something.
pub(super) type LogNames = [Option<Box<str>>; 2];

/// The name of the log, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogName {
    /// Which of [`LOG_NAMES`].
    which: usize,
    /// From 0; `None` is all of it.
    part: Option<usize>,
    /// As it was given.
    word: Box<str>,
}

impl LogName {
    /// The name that a field is; `None` where it is something else.
    ///
    /// # Errors
    /// Its part is no number.
    pub(super) fn of(field: &str) -> Result<Option<Self>, FieldProblem> {
        let rest = |name: &str| field.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let found = LOG_NAMES.iter().enumerate().find_map(|(which, name)| Some((which, rest(name)?)));
        let Some((which, rest)) = found else { return Ok(None) };
        let part = rest.strip_prefix('/').map(|part| schema::index(part).ok_or(FieldProblem::NotAPart)).transpose()?;
        Ok(Some(LogName { which, part, word: field.into() }))
    }

    /// As it was given.
    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// Its text in the partition of these names.
    pub(super) fn text<'n>(&self, names: &'n LogNames) -> Option<&'n str> {
        let name = names[self.which].as_deref()?;
        match self.part {
            None => Some(name),
            Some(part) => name.split(SEPARATORS).filter(|part| !part.is_empty()).nth(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_between_separators() {
        let names = |file: &str| [None, Some(file.into())];
        let part = |field: &str, file: &str| {
            LogName::of(field).unwrap().unwrap().text(&names(file)).map(str::to_owned).unwrap_or_default()
        };
        let dump = "ADAEUR-trades-2024-11-07";
        assert_eq!([part("@file/0", dump), part("@file/1", dump), part("@file/4", dump)], ["ADAEUR", "trades", "07"]);
        assert_eq!(part("@file", dump), dump);
        assert_eq!([part("@file/5", dump), part("@topic/0", dump), part("@file/0", "-_")], ["", "", ""]);
        assert_eq!(
            [part("@file/1", "coin_Dai"), part("@file/1", "__a  b"), part("@file/0", "ÄB.x")],
            ["Dai", "b", "ÄB"]
        );
    }

    #[test]
    fn a_part_is_a_number() {
        for wrong in ["@file/", "@file/x", "@file/01", "@topic/-1", "@file/0/1", "@file/99999999999999999999"] {
            assert_eq!(LogName::of(wrong), Err(FieldProblem::NotAPart), "{wrong}");
        }
        for other in ["@files", "file", "@key/0", "@filename/0", ""] {
            assert_eq!(LogName::of(other), Ok(None), "{other}");
        }
    }
}
