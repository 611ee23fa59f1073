//! Where the values of options come from: what a file or a variable says beneath the words of the command line.

use super::option::{OptionSpec, PROPERTIES};
use crate::uri::redacted;
use std::fmt;

/// Where a value comes from that clap does not see as a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ValueOrigin {
    /// A word of the command line, that takes back a flag.
    Word(String),
    /// A variable of the environment.
    Variable(String),
    /// A file of options, with the line of the key.
    File { name: String, line: usize },
}

impl ValueOrigin {
    /// Below the words of the command line; the least wins.
    pub(super) fn rank(&self) -> u8 {
        match self {
            ValueOrigin::Word(_) => 0,
            ValueOrigin::Variable(_) => 1,
            ValueOrigin::File { .. } => 2,
        }
    }
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueOrigin::Word(text) | ValueOrigin::Variable(text) => f.write_str(text),
            ValueOrigin::File { name, line } => write!(f, "{name} line {line}"),
        }
    }
}

/// What a file or a variable says of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LayeredValues {
    /// Its key in a file.
    pub(super) key: String,
    /// As messages call it.
    pub(super) shown: String,
    /// Of `-X`: one.
    pub(super) values: Vec<String>,
    pub(super) origin: ValueOrigin,
}

impl LayeredValues {
    pub(super) fn of(option: &OptionSpec, values: Vec<String>, origin: ValueOrigin) -> Self {
        LayeredValues { key: option.key.clone(), shown: option.shown(), values, origin }
    }

    /// Is it `-X`? Its values add up.
    pub(super) fn is_properties(&self) -> bool {
        self.key == PROPERTIES
    }

    /// Do they say something of the same option, or of the same property?
    fn is_like(&self, other: &Self) -> bool {
        self.key == other.key && (!self.is_properties() || self.property() == other.property())
    }

    /// The name of the property, if it is one.
    pub(super) fn property(&self) -> Option<&str> {
        self.values.first().filter(|_| self.is_properties()).map(|value| property_name(value))
    }
}

/// The name of a property `NAME=VALUE`.
pub(super) fn property_name(property: &str) -> &str {
    property.split('=').next().unwrap_or_default()
}

/// The upper values, and those of the lower that no upper one says.
pub(super) fn beneath(mut upper: Vec<LayeredValues>, mut lower: Vec<LayeredValues>) -> Vec<LayeredValues> {
    lower.retain(|one| !upper.iter().any(|other| one.is_like(other)));
    upper.extend(lower);
    upper
}

/// Where the values of a command's options come from; those that are not here come from the command line, or are defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(pub(super) Vec<LayeredValues>);

impl Origins {
    /// The error, with where the value comes from that it is about.
    pub(crate) fn locate(&self, error: &str) -> String {
        let first = error.split([' ', ':']).next().unwrap_or_default();
        let of_option = self.0.iter().filter(|one| one.shown == first);
        // An error about an address names it, and not the option.
        let names = |value: &String| {
            let value = redacted(value);
            error.contains(&format!("`{value}`")) || (value.contains(':') && error.contains(&value))
        };
        let by_value = || self.0.iter().filter(|one| !first.starts_with('-') && one.values.iter().any(names));
        let mut all = of_option.chain(by_value());
        let one = match all.next() {
            // A property has a line of its own.
            Some(one) if one.is_properties() => {
                let name = error.trim_start_matches("-X ").split([':', '=']).next();
                self.0.iter().find(|one| one.property() == name)
            }
            one => one,
        };
        match one {
            Some(one) => format!("in {}: {error}", one.origin),
            None => error.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_its_value_is() {
        let file = |line| ValueOrigin::File { name: "m.toml".into(), line };
        let one = |key: &str, shown: &str, value: &str, origin| LayeredValues {
            key: key.into(),
            shown: shown.into(),
            values: vec![value.into()],
            origin,
        };
        let origins = Origins(vec![
            one("window", "--window", "soon", file(3)),
            one("source", "--source", "redis://b/t", ValueOrigin::Variable("MINUTELY_SOURCE".into())),
            one(PROPERTIES, "-X", "client.id=a", file(7)),
            one(PROPERTIES, "-X", "sasl.password=\0x", file(8)),
        ]);
        for (error, located) in [
            ("--window soon: takes a duration", "in m.toml line 3: --window soon: takes a duration"),
            (
                "source `redis://b/t` is of no known kind",
                "in MINUTELY_SOURCE: source `redis://b/t` is of no known kind",
            ),
            ("-X sasl.password: wrong", "in m.toml line 8: -X sasl.password: wrong"),
            ("-X client.id=… is of Kafka", "in m.toml line 7: -X client.id=… is of Kafka"),
            ("-X other: wrong", "-X other: wrong"),
            ("--lateness 1: takes a duration", "--lateness 1: takes a duration"),
        ] {
            assert_eq!(origins.locate(error), located);
        }
    }
}
