//! `--config FILE`: options in TOML, by the names that they have on the command line.
//!
//! ```text
//!   window = "5m"              options of any command; a command takes those that it has
//!   [source]  uri = …          the source, and how it is read and decoded
//!   [[sink]]  uri = …          a sink, and options of its URI
//!   [kafka]   client.id = …    properties of librdkafka
//!   [produce] rate = 100       options of one command, which win
//! ```
//!
//! All that is wrong is said at once, each with its line and column.

use super::option::{Arity, CONFIG, OptionSpec, PROPERTIES, all_options, find, nearest, options};
use super::origin::{LayeredValues, ValueOrigin, beneath};
use crate::property;
use crate::uri::{has_options, with_option};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file of options.
pub(super) struct OptionFile<'a> {
    /// As it was given.
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

/// What a file says to a command.
#[derive(Default)]
pub(super) struct FileOptions {
    pub(super) values: Vec<LayeredValues>,
    /// What is wrong with the file.
    pub(super) mistakes: Vec<String>,
    /// It holds a secret itself.
    pub(super) has_secret: bool,
}

/// What the file says to the command of this path below the root.
pub(super) fn read(file: &OptionFile<'_>, root: &clap::Command, path: &[String]) -> FileOptions {
    let (table, syntax) = DeTable::parse_recoverable(file.text);
    let mut reader = Reader { file, root, own: options(find(root, path)), mistakes: Vec::new() };
    if !syntax.is_empty() {
        for error in syntax {
            reader.mistake(error.span().unwrap_or_default(), error.message());
        }
        return FileOptions { mistakes: reader.told(), ..FileOptions::default() };
    }
    let mut general = Section { known: all_options(root), name: String::new(), values: Vec::new() };
    let mut special = Vec::new();
    for (key, value) in table.get_ref().iter() {
        match (root.find_subcommand(key.get_ref().as_ref()), value.get_ref()) {
            (Some(command), DeValue::Table(table)) => {
                let known = all_options(command);
                let mut section = Section { known, name: command.get_name().to_owned(), values: Vec::new() };
                reader.section(&mut section, table);
                if command_of(path) == section.name {
                    special = section.values;
                }
            }
            _ => reader.entry(&mut general, key, value),
        }
    }
    // What is said to the command itself wins.
    let mut values = beneath(special, general.values);
    values.retain(|one| reader.own.iter().any(|option| option.key == one.key));
    let is_plain = |(key, value): (&str, &str)| property::is_secret(key) && !property::names_a_place(value);
    let properties = values.iter().filter(|one| one.is_properties()).flat_map(|one| &one.values);
    let has_secret = properties.filter_map(|property| property.split_once('=')).any(is_plain);
    FileOptions { values, mistakes: reader.told(), has_secret }
}

/// The command whose table a command of this path reads.
fn command_of(path: &[String]) -> &str {
    match path.first().map_or("run", String::as_str) {
        // `config show` of a run, `config show produce`
        "config" => path.get(2).map_or("run", String::as_str),
        name => name,
    }
}

/// The whole file, or the table of a command.
struct Section {
    /// The options that it may have.
    known: Vec<OptionSpec>,
    /// The command; empty for the whole file.
    name: String,
    values: Vec<LayeredValues>,
}

type Key<'i> = Spanned<std::borrow::Cow<'i, str>>;

struct Reader<'a> {
    file: &'a OptionFile<'a>,
    root: &'a clap::Command,
    /// The options of the command that is given.
    own: Vec<OptionSpec>,
    /// Each with where it is.
    mistakes: Vec<(usize, String)>,
}

/// Groups of `--help` whose options may stand in `[source]`.
const OF_A_SOURCE: [&str; 4] = ["Log", "Decoding", "Source", "Event time"];

impl Reader<'_> {
    fn section(&mut self, section: &mut Section, table: &DeTable<'_>) {
        for (key, value) in table.iter() {
            self.entry(section, key, value);
        }
    }

    fn entry(&mut self, section: &mut Section, key: &Key<'_>, value: &Spanned<DeValue<'_>>) {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("kafka", DeValue::Table(table)) => self.properties(section, table, key.span()),
            ("source", DeValue::Table(table)) => self.source(section, table),
            ("source", DeValue::Array(_)) => {
                self.mistake(key.span(), "'source' is one table or one address: a run has one source");
            }
            (CONFIG, _) => self.mistake(key.span(), "'config' cannot be in a file: a file names no other file"),
            (name, _) => match section.known.iter().find(|option| option.is_called(name)).cloned() {
                Some(option) => self.option(section, &option, key.span(), value),
                None => self.unknown(section, name, key.span()),
            },
        }
    }

    fn option(&mut self, section: &mut Section, option: &OptionSpec, at: Range<usize>, value: &Spanned<DeValue<'_>>) {
        // A command below may call its own option so: `[produce] start` is not the run's.
        let own = self.own.iter().find(|own| own.key == option.key).unwrap_or(option).clone();
        match self.values_of(&own, value) {
            Err((wrong, why)) => self.mistake(wrong, &format!("'{}' {why}", option.key)),
            Ok(values) => self.keep(section, &own, at, values),
        }
    }

    /// Keeps the values of an option; each property has an entry of its own.
    fn keep(&mut self, section: &mut Section, option: &OptionSpec, at: Range<usize>, values: Vec<String>) {
        let origin = ValueOrigin::File { name: self.file.name.to_owned(), line: self.position(at.start).0 };
        if option.key == PROPERTIES {
            let one = |value| LayeredValues::of(option, vec![value], origin.clone());
            return section.values.extend(values.into_iter().map(one));
        }
        match section.values.iter().find(|one| one.key == option.key) {
            Some(before) => {
                let why = format!("'{}' is given twice: here and in {}", option.key, before.origin);
                self.mistake(at, &why);
            }
            None => section.values.push(LayeredValues::of(option, values, origin)),
        }
    }

    /// `[kafka]`.
    fn properties(&mut self, section: &mut Section, table: &DeTable<'_>, at: Range<usize>) {
        let Some(option) = section.known.iter().find(|option| option.key == PROPERTIES).cloned() else {
            return self.unknown(section, "kafka", at);
        };
        for (key, span, value) in self.flat("", table) {
            self.keep(section, &option, span, vec![format!("{key}={value}")]);
        }
    }

    /// `[source]`.
    fn source(&mut self, section: &mut Section, table: &DeTable<'_>) {
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let uri = |option: &&OptionSpec| option.key == "source" || option.key == "from";
            let option = match name {
                "uri" => section.known.iter().find(uri),
                name => section.known.iter().find(|option| option.is_called(name)),
            };
            match option.cloned() {
                None => self.unknown(section, name, key.span()),
                Some(option) if OF_A_SOURCE.contains(&option.heading.as_str()) => {
                    self.option(section, &option, key.span(), value);
                }
                Some(_) => {
                    self.mistake(key.span(), &format!("'{name}' is not of the source: it stands outside of [source]"))
                }
            }
        }
    }

    /// The values of an option.
    ///
    /// # Errors
    /// Where, and what it takes instead.
    fn values_of(
        &mut self,
        option: &OptionSpec,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<String>, (Range<usize>, String)> {
        let takes = |what: &str| (value.span(), format!("takes {}, not {what}", option.takes));
        match (option.arity, value.get_ref()) {
            (Arity::Flag, DeValue::Boolean(given)) => Ok(vec![given.to_string()]),
            (Arity::Flag, other) => Err(takes(&of_type(other))),
            (Arity::Many, DeValue::Array(all)) => {
                let one = OptionSpec { arity: Arity::Many, ..option.clone() };
                let mut values = Vec::new();
                for value in all.iter() {
                    if value.get_ref().is_array() {
                        return Err((value.span(), "takes an array of texts, not of arrays".to_owned()));
                    }
                    values.extend(self.values_of(&one, value)?);
                }
                Ok(values)
            }
            (Arity::Many, DeValue::Table(table)) if option.is_uri => {
                self.uri(table).map(|uri| vec![uri]).map_err(|why| (value.span(), why))
            }
            (_, DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_)) => Err(takes(&of_type(value.get_ref()))),
            (_, scalar) => match text(scalar) {
                text if text.contains(property::NOT_AN_ARGUMENT) => {
                    Err((value.span(), "holds a NUL character".to_owned()))
                }
                text => Ok(vec![text]),
            },
        }
    }

    /// The address of a table with `uri` and options of it.
    fn uri(&mut self, table: &DeTable<'_>) -> Result<String, String> {
        let mut all = self.flat("", table);
        let Some(at) = all.iter().position(|(key, ..)| key == "uri") else {
            return Err("takes tables with `uri` and options of that address".to_owned());
        };
        let (_, _, mut uri) = all.remove(at);
        all.sort_by_key(|(_, span, _)| span.start);
        let had = has_options(&uri);
        for (number, (key, _, value)) in all.iter().enumerate() {
            uri = with_option(&uri, had || number > 0, key, value);
        }
        Ok(uri)
    }

    /// The values of a table and of those in it, by their whole keys: `client.id` is one key. `above`: in front of each.
    fn flat(&mut self, above: &str, table: &DeTable<'_>) -> Vec<(String, Range<usize>, String)> {
        let mut all = Vec::new();
        for (key, value) in table.iter() {
            let name = format!("{above}{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(below) => all.extend(self.flat(&format!("{name}."), below)),
                DeValue::Array(_) => {
                    self.mistake(value.span(), &format!("'{name}' takes a text or a number, not an array"));
                }
                scalar if text(scalar).contains(property::NOT_AN_ARGUMENT) => {
                    self.mistake(value.span(), &format!("'{name}' holds a NUL character"));
                }
                scalar => all.push((name, key.span(), text(scalar))),
            }
        }
        all
    }

    fn unknown(&mut self, section: &Section, key: &str, at: Range<usize>) {
        let of = if section.name.is_empty() { String::new() } else { format!(" of `minutely {}`", section.name) };
        let tables = ["source", "kafka"].into_iter().chain(self.root.get_subcommands().map(clap::Command::get_name));
        let tables = tables.filter(|_| section.name.is_empty());
        let written = key.to_lowercase().replace('_', "-");
        let known = section.known.iter().map(|option| option.key.as_str()).filter(|name| *name != CONFIG);
        let hint = nearest(&written, known.chain(tables)).map(|name| format!("; did you mean '{name}'?"));
        let hint = hint.unwrap_or_else(|| "; a key is the name of an option without `--`".to_owned());
        self.mistake(at, &format!("no option{of} is called '{key}'{hint}"));
    }

    fn mistake(&mut self, at: Range<usize>, why: &str) {
        let (line, column) = self.position(at.start);
        self.mistakes.push((at.start, format!("{} line {line} column {column}: {why}", self.file.name)));
    }

    /// Line and column, from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let text = self.file.text;
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        let before = &text[..at];
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// All that is wrong, in the order of the file.
    fn told(&mut self) -> Vec<String> {
        self.mistakes.sort();
        self.mistakes.drain(..).map(|(_, why)| why.replace('\n', " ")).collect()
    }
}

/// A value that is one text, as an option takes it.
fn text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => number.to_string(),
        },
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(given) => given.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) | DeValue::Table(_) => String::new(),
    }
}

/// A value's type, with its article.
fn of_type(value: &DeValue<'_>) -> String {
    let name = value.type_str();
    format!("{} {name}", if name.starts_with(['a', 'i']) { "an" } else { "a" })
}

#[cfg(test)]
mod tests;
