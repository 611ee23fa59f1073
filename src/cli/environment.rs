//! `MINUTELY_*` variables: several sinks in one, and names that no option reads.

use std::collections::BTreeSet;

/// Variables that are read and belong to no option.
const OTHERS: [&str; 7] = [
    "MINUTELY_INFLUX_TOKEN",
    "MINUTELY_INFLUX1_PASSWORD",
    "MINUTELY_KAFKA_PASSWORD",
    "MINUTELY_HTTP_TOKEN",
    "MINUTELY_SCHEMA_REGISTRY_PASSWORD",
    "MINUTELY_SCHEMA_REGISTRY_TOKEN",
    "MINUTELY_SECRETS", // the compose file's
];
/// A suggested name differs from the misspelt one by fewer letters than this.
const TOO_MANY_CHANGES: usize = 3;
/// What the URI of a sink begins with.
const SCHEMES: [&str; 7] = ["sqlite:", "csv:", "stdout:", "influxdb:", "influxdb+", "influxdb1:", "influxdb1+"];

/// The sinks of `MINUTELY_SINK`: separated by white space, each with its scheme, so that a path may have spaces and commas.
///
/// # Errors
/// When commas seem to separate them.
pub(crate) fn split_sinks(text: &str) -> Result<Vec<String>, String> {
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
            "MINUTELY_SINK: `{}` is one sink with a comma in its name: separate sinks by spaces, or give each by --sink",
            crate::uri::redacted(sink)
        )),
    }
}

/// A warning for each of these variables that begins with `MINUTELY_` and that the command line does not read. One whose name
/// is part of an argument (`token_env=NAME`, `-X …=env:NAME`) is read.
pub(crate) fn unread_variables(
    root: &clap::Command,
    names: impl Iterator<Item = String>,
    words: &[String],
) -> Vec<String> {
    let known: BTreeSet<String> = of_options(root).chain(OTHERS.map(str::to_owned)).collect();
    let is_unread = |name: &String| {
        name.starts_with("MINUTELY_")
            && !name.starts_with("MINUTELY_TEST_")
            && !known.contains(name)
            && !words.iter().any(|word| word.contains(name.as_str()))
    };
    let warning = |name: String| {
        let nearest = known.iter().map(|known| (changes(&name, known), known)).min();
        let hint = match nearest {
            Some((TOO_MANY_CHANGES.., _)) | None => "`minutely --help` names all".to_owned(),
            Some((_, nearest)) => format!("did you mean {nearest}?"),
        };
        format!("warning: {name} is in the environment, but no such variable is read: {hint}")
    };
    names.filter(is_unread).map(warning).collect()
}

/// The variables of a command's options, and of its sub-commands'.
fn of_options(command: &clap::Command) -> Box<dyn Iterator<Item = String> + '_> {
    let own = command.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned()));
    Box::new(own.chain(command.get_subcommands().flat_map(of_options)))
}

/// How many letters have to be changed, added or removed to turn one into the other.
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
            assert_eq!(split_sinks(text).unwrap(), want, "{text:?}");
        }
        assert!(split_sinks("csv:a.csv,csv:b.csv").unwrap_err().contains("separate sinks by spaces"));
    }

    #[test]
    fn a_misspelt_variable_is_reported_with_the_nearest() {
        let names = [
            "MINUTELY_LATENES",
            "MINUTELY_LATENESS",
            "MINUTELY_KAFKA_PASSWORD",
            "MINUTELY_PASS",
            "MINUTELY_XYZZYXYZZY",
        ];
        let words = ["-X".to_owned(), "sasl.password=env:MINUTELY_PASS".to_owned()];
        let warnings = unread_variables(&crate::cli::command(), names.iter().map(ToString::to_string), &words);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(
            warnings[0].contains("MINUTELY_LATENES is in") && warnings[0].ends_with("did you mean MINUTELY_LATENESS?"),
            "{warnings:?}"
        );
        assert!(warnings[1].contains("XYZZY") && warnings[1].contains("--help"), "{warnings:?}");
        assert_eq!((changes("ab", "ab"), changes("abc", "acd"), changes("", "abc")), (0, 2, 3));
    }
}
