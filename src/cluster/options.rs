//! What must be the same in all processes of a run, and how two of them differ.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a value that another process is told: a hello with some fifty of them, all escaped, fits its frame.
const MOST_BYTES: usize = 200;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CommonOptions {
    version: String,
    /// By the option's name.
    named: BTreeMap<String, String>,
    /// A hash of all settings, those without a name here included.
    settings: u64,
}

impl CommonOptions {
    /// Of this version. `settings`: all of them, as a text.
    pub(crate) fn new(named: BTreeMap<String, String>, settings: &str) -> Self {
        let named = named.into_iter().map(|(option, value)| (option, shortened(value))).collect();
        CommonOptions { version: env!("CARGO_PKG_VERSION").to_owned(), named, settings: xxh3_64(settings.as_bytes()) }
    }

    /// What of another process's options is not as here; none: all are the same.
    pub(super) fn differs(&self, other: &CommonOptions) -> Option<String> {
        if other.version != self.version {
            return Some(format!("version {} (here {})", other.version, self.version));
        }
        let options: BTreeSet<&String> = self.named.keys().chain(other.named.keys()).collect();
        let differing = options.into_iter().filter(|option| self.named.get(*option) != other.named.get(*option));
        let value = |of: &CommonOptions, option| of.named.get(option).map_or("the default", String::as_str).to_owned();
        let differing: Vec<String> = differing
            .map(|option| format!("{option} {} (here {})", value(other, option), value(self, option)))
            .collect();
        match differing.is_empty() {
            false => Some(differing.join(", ")),
            true => (other.settings != self.settings).then(|| "other options".to_owned()),
        }
    }
}

/// A value whose end is a hash of it where it is long.
fn shortened(value: String) -> String {
    if value.len() <= MOST_BYTES {
        return value;
    }
    let beginning: String =
        value.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MOST_BYTES).map(|(_, c)| c).collect();
    format!("{beginning}… ({:016x})", xxh3_64(value.as_bytes()))
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    pub(in super::super) fn options(named: &[(&str, &str)], settings: &str) -> CommonOptions {
        let named = named.iter().map(|(option, value)| ((*option).to_owned(), (*value).to_owned())).collect();
        CommonOptions::new(named, settings)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::options;
    use super::*;

    #[test]
    fn what_differs_is_named_with_both_values() {
        let here = options(&[("--emit", "final"), ("--lateness", "10m"), ("--sink", "csv:a.csv")], "all");
        assert_eq!(here.differs(&here), None);
        let there =
            options(&[("--emit", "final"), ("--lateness", "5m"), ("--max-past", "1h"), ("--sink", "csv:a.csv")], "x");
        let said = here.differs(&there).unwrap();
        assert_eq!(said, "--lateness 5m (here 10m), --max-past 1h (here the default)");
        assert_eq!(there.differs(&here).unwrap(), "--lateness 10m (here 5m), --max-past the default (here 1h)");
        let later = CommonOptions { version: "9.9.9".into(), ..there };
        assert_eq!(here.differs(&later).unwrap(), format!("version 9.9.9 (here {})", env!("CARGO_PKG_VERSION")));
        // An option that has no name here.
        let unnamed = CommonOptions { settings: 1, ..here.clone() };
        assert_eq!(here.differs(&unnamed).unwrap(), "other options");
    }

    #[test]
    fn a_long_value_is_cut_and_still_told_from_another() {
        let long = |end: &str| options(&[("--sink", &("ä".repeat(70_000) + end))], "");
        let said = long("a").differs(&long("b")).unwrap();
        assert!(said.len() < 500 && said.starts_with("--sink ää"), "{said}");
        assert!(serde_json::to_string(&long("a")).unwrap().len() < 400);
    }
}
