//! Options of every command: the file of options, and how messages are written.

use super::values::{Choice, Given, choice};
use crate::messages::{MessageFormat, MessageOptions, Severity};
use clap::Args;
use std::path::PathBuf;

/// What each command takes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Configuration and messages")]
pub(crate) struct CommonArgs {
    /// File of options, in TOML, by their names without `--`; flags and variables win [default: none]
    #[arg(long, value_name = "FILE", env = "MINUTELY_CONFIG")]
    config: Option<PathBuf>,

    /// Format of messages on stderr
    #[arg(
        long,
        value_name = "FORMAT",
        env = "MINUTELY_LOG_FORMAT",
        default_value = "text",
        value_parser = choice(&FORMATS)
    )]
    log_format: Given<MessageFormat>,

    /// Messages that are written: those of this level and above; with debug also what libraries say
    #[arg(
        long,
        value_name = "LEVEL",
        env = "MINUTELY_LOG_LEVEL",
        default_value = "info",
        value_parser = choice(&LEVELS)
    )]
    log_level: Given<Severity>,

    /// Write warnings and errors alone, and no status lines
    #[arg(long, env = "MINUTELY_QUIET")]
    quiet: bool,

    /// Write the status line each second although stderr is no terminal
    #[arg(long, env = "MINUTELY_PROGRESS")]
    progress: bool,
}

const FORMATS: [Choice<MessageFormat>; 2] = [
    ("text", "a line for people", MessageFormat::Text),
    ("json", "an object a line: time, level, message, and numbers", MessageFormat::Json),
];

const LEVELS: [Choice<Severity>; 4] = [
    ("error", "why the command failed", Severity::Error),
    ("warn", "and what goes wrong", Severity::Warn),
    ("info", "and what the run does", Severity::Info),
    ("debug", "and details for those who look for a fault", Severity::Debug),
];

impl CommonArgs {
    /// How messages are written; what is wrong is as by default, and said by [`CommonArgs::mistakes`].
    pub(crate) fn messages(&self) -> MessageOptions {
        let level = self.log_level.value().unwrap_or(Severity::Info);
        MessageOptions {
            format: self.log_format.value().unwrap_or(MessageFormat::Text),
            level: if self.quiet { level.min(Severity::Warn) } else { level },
            progress: self.progress,
        }
    }

    /// What is wrong with these options.
    pub(super) fn mistakes(&self) -> Vec<String> {
        self.log_format.value().err().into_iter().chain(self.log_level.value().err()).collect()
    }
}

/// The format of messages that these words ask for, before they are understood.
pub(crate) fn early_format(words: &[String], variable: Option<String>) -> MessageFormat {
    let after = |word: &String| word.strip_prefix("--log-format").map(str::to_owned);
    let given = words.iter().enumerate().find_map(|(at, word)| match after(word)?.strip_prefix('=') {
        Some(value) => Some(value.to_owned()),
        None => words.get(at + 1).cloned(),
    });
    if given.or(variable).as_deref() == Some("json") { MessageFormat::Json } else { MessageFormat::Text }
}
