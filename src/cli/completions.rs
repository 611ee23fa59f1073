//! `minutely completions` and `minutely man`: files of a shell and of man, made of the command line itself.

use super::Help;
use clap::Args;
use std::io::{self, Write};

/// The options of `minutely completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: clap_complete::Shell,

    #[command(flatten)]
    help: Help,
}

impl CompletionsArgs {
    /// Writes the completions of the shell.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "minutely", &mut text);
        out.write_all(&text)
    }
}

/// The options of `minutely man`.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// The command, such as `state show`; without one, the page of minutely itself
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,

    #[command(flatten)]
    help: Help,
}

impl ManArgs {
    /// The manual page in roff.
    ///
    /// # Errors
    /// There is no such command.
    pub(crate) fn page(&self) -> Result<Vec<u8>, String> {
        let mut at = super::command();
        at.build();
        let mut name = "minutely".to_owned();
        for word in &self.command {
            let below = at.get_subcommands().find(|below| below.get_name() == word && !below.is_hide_set());
            let names = at.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help");
            let names: Vec<_> = names.collect();
            let Some(below) = below.cloned() else {
                let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(format!("man {word}: {name} has no such command; it has {has}"));
            };
            name = format!("{name}-{word}");
            at = below;
        }
        let mut page = Vec::new();
        let written = clap_mangen::Man::new(at.display_name(name.clone()).name(name)).render(&mut page);
        written.map_err(|error| format!("man: {error}"))?;
        Ok(page)
    }
}
