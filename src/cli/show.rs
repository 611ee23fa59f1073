//! `minutely config show`: the settings that are in effect, in TOML that `--config` takes, with where each comes from.

use super::option::{Arity, CONFIG, OptionSpec, PROPERTIES, options};
use super::origin::Origins;
use super::origin::property_name;
use crate::property;
use crate::uri::{may_hold_secret, redacted};
use clap::ArgMatches;
use clap::parser::ValueSource;
use std::fmt::Write;

/// The text, of the options of this command.
pub(super) fn shown(command: &clap::Command, matches: &ArgMatches, origins: &Origins) -> String {
    let (mut text, mut heading) = (String::new(), String::new());
    let all = options(command);
    for option in all.iter().filter(|option| option.key != CONFIG && option.key != PROPERTIES) {
        if option.heading != heading {
            heading.clone_from(&option.heading);
            line(&mut text, &format!("\n# {heading}"), "");
        }
        let values: Vec<_> =
            matches.get_raw(&option.id).into_iter().flatten().map(|value| value.to_string_lossy()).collect();
        let from = origin(option, matches, origins);
        let is_secret = option.is_uri && values.iter().any(|uri| may_hold_secret(uri));
        match (values.is_empty(), is_secret) {
            (true, _) => line(&mut text, &format!("# {} =", option.key), "not given"),
            (_, true) => {
                let values: Vec<_> = values.iter().map(|uri| redacted(uri)).collect();
                let hidden = format!("# {} = {}", option.key, array(option, values.iter().map(String::as_str)));
                line(&mut text, &hidden, &format!("{from}; a secret is not shown"));
            }
            (_, false) => {
                let value = array(option, values.iter().map(AsRef::as_ref));
                line(&mut text, &format!("{} = {value}", option.key), &from);
            }
        }
    }
    if let Some(option) = all.iter().find(|option| option.key == PROPERTIES) {
        let given = matches.get_raw(&option.id).into_iter().flatten();
        let given: Vec<_> = given.map(|value| value.to_string_lossy().into_owned()).collect();
        properties(&mut text, &given, origins);
    }
    text.trim_start().to_owned()
}

/// `[kafka]`, where there are properties.
fn properties(text: &mut String, given: &[String], origins: &Origins) {
    if given.is_empty() {
        return;
    }
    line(text, "\n[kafka]", "");
    for (at, given_one) in given.iter().enumerate() {
        let (name, value) = given_one.split_once('=').unwrap_or((given_one, ""));
        if given[at + 1..].iter().any(|later| property_name(later) == name) {
            continue; // the last one counts
        }
        let beneath = origins.0.iter().find(|one| one.property() == Some(name));
        let from = beneath.map_or_else(|| "-X".to_owned(), |one| one.origin.to_string());
        let value = value.trim_start_matches(property::NOT_AN_ARGUMENT);
        if property::is_secret(name) && !property::names_a_place(value) {
            line(text, &format!("# {} =", quoted(name)), &format!("{from}; a secret is not shown"));
        } else {
            line(text, &format!("{} = {}", quoted(name), quoted(value)), &from);
        }
    }
}

/// A line with its comment.
fn line(text: &mut String, setting: &str, comment: &str) {
    const COMMENTS: usize = 44;
    let _infallible = match comment {
        "" => writeln!(text, "{setting}"),
        comment => writeln!(text, "{setting:COMMENTS$} # {comment}"),
    };
}

fn origin(option: &OptionSpec, matches: &ArgMatches, origins: &Origins) -> String {
    if let Some(one) = origins.0.iter().find(|one| one.key == option.key) {
        return one.origin.to_string();
    }
    match matches.value_source(&option.id) {
        Some(ValueSource::CommandLine) => option.shown(),
        _ => "default".to_owned(),
    }
}

/// The value in TOML: an array of a list.
fn array<'a>(option: &OptionSpec, mut values: impl Iterator<Item = &'a str>) -> String {
    match option.arity {
        Arity::Flag => values.next().unwrap_or("false").to_owned(),
        Arity::One => scalar(values.next().unwrap_or_default()),
        Arity::Many => format!("[{}]", values.map(quoted).collect::<Vec<_>>().join(", ")),
    }
}

/// A text in TOML; a whole number is bare.
fn scalar(text: &str) -> String {
    let is_number = text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    if is_number { text.to_owned() } else { quoted(text) }
}

/// A text in TOML, in quotes.
fn quoted(text: &str) -> String {
    // What JSON escapes, TOML reads; the one character that TOML wants escaped and JSON does not is DEL.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}
