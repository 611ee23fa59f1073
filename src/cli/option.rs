//! Options as clap knows them, seen as a file and the environment name them: what is added to the command line is in both.

use clap::{Arg, ArgAction, Command};

/// How many values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arity {
    /// None: it is given or not.
    Flag,
    One,
    /// It is repeatable.
    Many,
}

/// An option of a command.
#[derive(Clone, Debug)]
pub(super) struct OptionSpec {
    /// What clap calls it.
    pub(super) id: String,
    /// Its key in a file: its name without `--`; without a name that of its variable.
    pub(super) key: String,
    /// One letter, as in `-w`: a key, too.
    pub(super) short: Option<char>,
    pub(super) variable: String,
    pub(super) arity: Arity,
    pub(super) heading: String,
    /// Its value is an address.
    pub(super) is_uri: bool,
    /// What a value of it is, in words.
    pub(super) takes: String,
}

/// The key of `-X`.
pub(super) const PROPERTIES: &str = "kafka-properties";
/// The key of `--config`, which no file has.
pub(super) const CONFIG: &str = "config";

impl OptionSpec {
    /// None for help, and for words that are no option.
    pub(super) fn of(arg: &Arg) -> Option<Self> {
        let arity = match arg.get_action() {
            ArgAction::SetTrue => Arity::Flag,
            ArgAction::Append => Arity::Many,
            ArgAction::Set => Arity::One,
            _ => return None,
        };
        let variable = arg.get_env()?.to_str()?.to_owned();
        let by_variable = || variable.trim_start_matches("MINUTELY_").to_lowercase().replace('_', "-");
        let value_name = arg.get_value_names().and_then(|names| names.first()).map_or("VALUE", |name| name.as_str());
        let choices = arg.get_possible_values();
        let choices: Vec<_> = choices.iter().map(|choice| choice.get_name().to_owned()).collect();
        let takes = match arity {
            Arity::Flag => "true or false".to_owned(),
            _ if !choices.is_empty() => format!("one of {}", choices.join(", ")),
            _ => format!("text or a number ({value_name})"),
        };
        Some(OptionSpec {
            id: arg.get_id().to_string(),
            key: arg.get_long().map_or_else(by_variable, str::to_owned),
            short: arg.get_short(),
            arity,
            heading: arg.get_help_heading().unwrap_or_default().to_owned(),
            is_uri: value_name == "URI",
            takes,
            variable,
        })
    }

    /// Is this key its own?
    pub(super) fn is_called(&self, key: &str) -> bool {
        self.key == key || self.short.is_some_and(|short| key.chars().eq([short]))
    }

    /// As it is written on the command line, and in messages.
    pub(super) fn shown(&self) -> String {
        self.short.map_or_else(|| format!("--{}", self.key), |short| format!("-{short}"))
    }
}

/// The options of a command, without those of its sub-commands.
pub(super) fn options(command: &Command) -> Vec<OptionSpec> {
    command.get_arguments().filter_map(OptionSpec::of).collect()
}

/// The options of a command and of its sub-commands, each once.
pub(super) fn all_options(command: &Command) -> Vec<OptionSpec> {
    let mut all = options(command);
    for below in command.get_subcommands().flat_map(all_options) {
        if !all.iter().any(|one| one.key == below.key) {
            all.push(below);
        }
    }
    all
}

/// The command that these words name, one below the other.
pub(super) fn find<'a>(root: &'a Command, path: &[String]) -> &'a Command {
    path.iter().fold(root, |at, name| at.find_subcommand(name).unwrap_or(at))
}

/// A suggested name differs from a misspelt one by fewer letters than this.
const TOO_MANY_CHANGES: usize = 3;

/// The name that is most like this one, if one is.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = known.map(|known| (changes(name, known), known)).min();
    nearest.filter(|(changes, _)| *changes < TOO_MANY_CHANGES).map(|(_, name)| name)
}

/// How many letters have to be changed, added or removed to turn one into the other.
pub(crate) fn changes(one: &str, other: &str) -> usize {
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
    fn names_that_are_alike_are_suggested() {
        assert_eq!((changes("ab", "ab"), changes("abc", "acd"), changes("", "abc")), (0, 2, 3));
        let known = || ["window", "lateness"].into_iter();
        assert_eq!(nearest("wndow", known()), Some("window"));
        assert_eq!(nearest("frob", known()), None);
    }

    #[test]
    fn an_option_is_known_by_its_name_and_its_letter() {
        let root = crate::cli::command();
        let all = options(&root);
        let find = |key: &str| all.iter().find(|option| option.is_called(key)).map(|option| option.id.as_str());
        assert_eq!(
            (find("workers"), find("w"), find("sink")),
            (Some("workers"), Some("w").and(Some("workers")), Some("uris"))
        );
        assert_eq!(
            (find("X"), find(PROPERTIES), find("help"), find("run")),
            (Some("properties"), Some("properties"), None, None)
        );
    }
}
