//! `MINUTELY_*` variables: several sinks in one, and names that nobody reads.

use crate::args::{Args, HealthArgs, ProduceArgs};
use clap::CommandFactory;
use std::collections::BTreeSet;

/// Read beside the options' variables.
const OTHERS: [&str; 5] = [
    "MINUTELY_INFLUX_TOKEN",
    "MINUTELY_INFLUX1_PASSWORD",
    "MINUTELY_KAFKA_PASSWORD",
    "MINUTELY_HTTP_TOKEN",
    "MINUTELY_SECRETS", // the compose file's
];
/// Changes of a letter by which a misspelt name may differ from the one that was meant.
const MOST_CHANGES: usize = 3;
/// What a sink begins with.
const SCHEMES: [&str; 7] = ["sqlite:", "csv:", "stdout:", "influxdb:", "influxdb+", "influxdb1:", "influxdb1+"];

/// The sinks of `MINUTELY_SINK`: separated by white space, each with its scheme. So a path may have spaces, and commas.
///
/// # Errors
/// When commas seem to separate them.
pub(crate) fn sinks(text: &str) -> Result<Vec<String>, String> {
    let begins = |word: &str| SCHEMES.iter().any(|scheme| word.starts_with(scheme));
    let mut sinks: Vec<String> = Vec::new();
    let text = text.trim();
    let mut from = 0;
    let gaps = text.match_indices(char::is_whitespace);
    for (at, gap) in gaps.filter(|(at, gap)| begins(&text[at + gap.len()..])) {
        sinks.push(text[from..at].trim().to_owned());
        from = at + gap.len();
    }
    sinks.push(text[from..].to_owned());
    sinks.retain(|sink| !sink.is_empty());
    let comma = sinks.iter().find(|sink| sink.match_indices(',').any(|(at, _)| begins(&sink[at + 1..])));
    match comma {
        None => Ok(sinks),
        Some(sink) => Err(format!(
            "MINUTELY_SINK: `{}` would be one sink with a comma in its name: separate sinks by spaces, or give each by --sink",
            crate::uri::shown(sink)
        )),
    }
}

/// What is to be said of variables that begin with `MINUTELY_` and are read by nobody. One whose name stands in an argument
/// (`token_env=NAME`, `-X …=env:NAME`) is read.
pub(crate) fn unknown(names: impl Iterator<Item = String>, words: &[String]) -> Vec<String> {
    let commands = [Args::command(), ProduceArgs::command(), HealthArgs::command()];
    let known: BTreeSet<String> = commands
        .iter()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned()))
        .chain(OTHERS.map(str::to_owned))
        .collect();
    let ours = |name: &String| {
        name.starts_with("MINUTELY_")
            && !name.starts_with("MINUTELY_TEST_")
            && !known.contains(name)
            && !words.iter().any(|word| word.contains(name.as_str()))
    };
    let tell = |name: String| {
        let near = known.iter().map(|known| (changes(&name, known), known)).min();
        let hint = match near {
            Some((MOST_CHANGES.., _)) | None => "`minutely --help` names those that are".to_owned(),
            Some((_, near)) => format!("is {near} meant?"),
        };
        format!("warning: {name} is in the environment, and no such variable is read: {hint}")
    };
    names.filter(ours).map(tell).collect()
}

/// How many letters have to be changed, added or left out to make one of the other.
fn changes(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let least = (row[j] + 1).min(row[j + 1] + 1).min(diagonal + usize::from(a != *b));
            diagonal = std::mem::replace(&mut row[j + 1], least);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_sinks_are_separated_by_white_space() {
        for (text, want) in [
            ("csv:a.csv", &["csv:a.csv"][..]),
            (
                " csv:a.csv\n sqlite:b c.db\tinfluxdb+https://h:1/o/b ",
                &["csv:a.csv", "sqlite:b c.db", "influxdb+https://h:1/o/b"],
            ),
            ("csv:a, b.csv stdout:", &["csv:a, b.csv", "stdout:"]),
            ("nonsense csv:a", &["nonsense", "csv:a"]),
            ("  ", &[]),
        ] {
            assert_eq!(sinks(text).unwrap(), want, "{text:?}");
        }
        assert!(sinks("csv:a.csv,csv:b.csv").unwrap_err().contains("separate sinks by spaces"));
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_nearest() {
        let names = [
            "MINUTELY_LATENES",
            "MINUTELY_LATENESS",
            "MINUTELY_KAFKA_PASSWORD",
            "MINUTELY_PASS",
            "MINUTELY_XYZZYXYZZY",
        ];
        let words = ["-X".to_owned(), "sasl.password=env:MINUTELY_PASS".to_owned()];
        let told = unknown(names.iter().map(ToString::to_string), &words);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("MINUTELY_LATENES is in") && told[0].ends_with("is MINUTELY_LATENESS meant?"),
            "{told:?}"
        );
        assert!(told[1].contains("XYZZY") && told[1].contains("--help"), "{told:?}");
        assert_eq!((changes("ab", "ab"), changes("abc", "acd"), changes("", "abc")), (0, 2, 3));
    }
}
