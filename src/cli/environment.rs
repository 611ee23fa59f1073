//! `MINUTELY_*` variables: what each says of its option, and names that no option reads.

use super::option::{Arity, OptionSpec, nearest};
use std::collections::BTreeSet;
use std::ffi::OsString;

/// Variables that are read and belong to no option.
const OTHERS: [&str; 8] = [
    "MINUTELY_CLUSTER_KEY",
    "MINUTELY_INFLUX_TOKEN",
    "MINUTELY_INFLUX1_PASSWORD",
    "MINUTELY_KAFKA_PASSWORD",
    "MINUTELY_HTTP_TOKEN",
    "MINUTELY_SCHEMA_REGISTRY_PASSWORD",
    "MINUTELY_SCHEMA_REGISTRY_TOKEN",
    "MINUTELY_SECRETS", // the compose file's
];
/// What the URI of a sink begins with.
const SCHEMES: [&str; 7] = ["sqlite:", "csv:", "stdout:", "influxdb:", "influxdb+", "influxdb1:", "influxdb1+"];

/// The values of an option in its variable; none where it is not set, and where that of a flag or of a list is empty.
///
/// # Errors
/// What is wrong with it, and what it takes.
pub(super) fn values(
    option: &OptionSpec,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Option<Vec<String>>, String> {
    let name = &option.variable;
    let Some(text) = variable(name) else { return Ok(None) };
    let text = text.into_string().map_err(|_| format!("{name}: is not UTF-8"))?;
    let values = match option.arity {
        Arity::One => vec![text],
        Arity::Flag => flag(&text).map_err(|why| format!("{name} {text}: {why}"))?,
        Arity::Many if text.trim_start().starts_with('[') => serde_json::from_str(&text)
            .map_err(|why| format!("{name}: begins with `[` and is no array of texts in JSON: {why}"))?,
        Arity::Many if option.is_uri => split_sinks(name, &text)?,
        Arity::Many => text.split_whitespace().map(str::to_owned).collect(),
    };
    Ok(Some(values).filter(|values| !values.is_empty()))
}

/// What a flag's variable says; nothing where it is empty.
fn flag(text: &str) -> Result<Vec<String>, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "" => Ok(Vec::new()),
        "true" | "1" | "yes" | "on" => Ok(vec!["true".to_owned()]),
        "false" | "0" | "no" | "off" => Ok(vec!["false".to_owned()]),
        _ => Err("takes true or false"),
    }
}

/// The sinks of a variable: separated by white space, each with its scheme, so that a path may have spaces and commas.
///
/// # Errors
/// When commas seem to separate them.
fn split_sinks(variable: &str, text: &str) -> Result<Vec<String>, String> {
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
            "{variable}: `{}` is one sink with a comma in its name: separate sinks by spaces, or give a JSON array",
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
        let hint = match nearest(&name, known.iter().map(String::as_str)) {
            None => "`minutely --help` names all".to_owned(),
            Some(nearest) => format!("did you mean {nearest}?"),
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

#[cfg(test)]
mod tests {
    use super::super::option::options;
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
            assert_eq!(split_sinks("MINUTELY_SINK", text).unwrap(), want, "{text:?}");
        }
        let why = split_sinks("MINUTELY_SINK", "csv:a.csv,csv:b.csv").unwrap_err();
        assert!(why.starts_with("MINUTELY_SINK: ") && why.contains("separate sinks by spaces"), "{why}");
    }

    #[test]
    fn a_variable_says_what_its_option_takes() {
        let root = crate::cli::command();
        let all = options(&root);
        let said = |key: &str, text: &str| {
            let option = all.iter().find(|option| option.key == key).unwrap();
            values(option, &|name| (name == option.variable).then(|| text.into()))
        };
        let list = |values: &[&str]| Ok(Some(values.iter().map(|value| (*value).to_owned()).collect()));
        assert_eq!(said("window", "5m"), list(&["5m"]));
        assert_eq!(said("weight-field", ""), list(&[""]));
        assert_eq!(said("http-host", " a.example  b.example "), list(&["a.example", "b.example"]));
        assert_eq!(said("kafka-properties", r#"["client.id=a b", "c=d"]"#), list(&["client.id=a b", "c=d"]));
        assert_eq!(said("sink", r#"["csv:a csv:b"]"#), list(&["csv:a csv:b"]));
        assert_eq!((said("until-end", "YES"), said("until-end", "0")), (list(&["true"]), list(&["false"])));
        assert_eq!((said("until-end", ""), said("sink", " ")), (Ok(None), Ok(None)));
        assert!(said("sink", "[csv:a]").unwrap_err().contains("no array of texts in JSON"));
        assert_eq!(said("until-end", "perhaps").unwrap_err(), "MINUTELY_UNTIL_END perhaps: takes true or false");
    }

    #[test]
    fn a_misspelt_variable_is_reported_with_the_nearest() {
        let names = [
            "MINUTELY_LATENES",
            "MINUTELY_LATENESS",
            "MINUTELY_KAFKA_PASSWORD",
            "MINUTELY_PASS",
            "MINUTELY_XYZZYXYZZY",
            "MINUTELY_LIMIT",
            "MINUTELY_KAFKA_PROPERTY",
        ];
        let words = ["-X".to_owned(), "sasl.password=env:MINUTELY_PASS".to_owned()];
        let warnings = unread_variables(&crate::cli::command(), names.iter().map(ToString::to_string), &words);
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(
            warnings[0].contains("MINUTELY_LATENES is in") && warnings[0].ends_with("did you mean MINUTELY_LATENESS?"),
            "{warnings:?}"
        );
        assert!(warnings[1].contains("XYZZY") && warnings[1].contains("--help"), "{warnings:?}");
    }
}
