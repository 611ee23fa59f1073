//! What stands beneath the words of the command line: variables of the environment, then a file of options, then defaults.

use super::file::{self, OptionFile};
use super::option::{CONFIG, OptionSpec, PROPERTIES, find, options};
use super::origin::{LayeredValues, Origins, ValueOrigin, beneath, property_name};
use super::{CommonArgs, UsageErrors, environment};
use crate::property;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// What the command line asks of the world outside.
pub(crate) struct Outside<'a> {
    /// A variable of the environment.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The text of a file, and a warning if other users can read it.
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<(String, Option<String>)>,
}

/// What variables and file say to a command, and all that is wrong with it.
#[derive(Default)]
pub(crate) struct Layers {
    pub(super) origins: Origins,
    pub(super) mistakes: Vec<String>,
    /// What people should know.
    pub(crate) warnings: Vec<String>,
}

impl Layers {
    /// What was made of the options, unless variables or file are wrong.
    ///
    /// # Errors
    /// All that is wrong with both, each with where it is.
    pub(crate) fn check<T>(&self, made: Result<T, UsageErrors>) -> Result<T, UsageErrors> {
        let (made, errors) = match made {
            Ok(made) => (Some(made), UsageErrors::default()),
            Err(errors) => (None, errors),
        };
        let mut all = UsageErrors::default();
        all.extend(self.mistakes.clone());
        all.extend(errors.iter().map(|error| self.origins.locate(error)).collect());
        all.unless_any(made)
    }

    /// Adds values that win.
    pub(super) fn add(&mut self, upper: Vec<LayeredValues>) {
        self.origins.0 = beneath(upper, std::mem::take(&mut self.origins.0));
    }

    /// Collects what is wrong with the options of every command.
    pub(super) fn check_common(&mut self, common: Option<&CommonArgs>) {
        let wrong = common.map(CommonArgs::mistakes).unwrap_or_default();
        self.mistakes.extend(wrong.iter().map(|error| self.origins.locate(error)));
    }

    /// All values of variables and the file.
    pub(crate) fn values(&self) -> impl Iterator<Item = &String> {
        self.origins.0.iter().flat_map(|one| &one.values)
    }

    /// Is there a value for an option, by its key in a file?
    pub(crate) fn has(&self, key: &str) -> bool {
        self.origins.0.iter().any(|one| one.key == key)
    }

    /// For the command of this path, of which the words alone say this.
    pub(super) fn read(root: &Command, path: &[String], words: &ArgMatches, outside: &Outside<'_>) -> Layers {
        let mut layers = Layers::default();
        let mut of_variables = Vec::new();
        for option in options(find(root, path)) {
            match environment::values(&option, outside.variable) {
                Err(why) => layers.mistakes.push(why),
                Ok(None) => {}
                Ok(Some(values)) => of_variables.extend(entries(&option, values)),
            }
        }
        let of_file = layers.of_file(root, path, words, outside);
        let mut all = beneath(of_variables, of_file);
        all.retain(|one| !is_said(one, &options(find(root, path)), words));
        layers.origins = Origins(all);
        layers.settle_conflicts(find(root, path), words);
        layers
    }

    /// Forgets what contradicts an option that is given above it; two of one layer are a mistake.
    fn settle_conflicts(&mut self, command: &Command, words: &ArgMatches) {
        let all = self.origins.0.clone();
        self.origins.0.retain(|one| {
            conflicts(command, &one.key).iter().all(|(other, id)| {
                let above = all.iter().find(|above| above.key == *other && above.origin.rank() <= one.origin.rank());
                if above.is_some_and(|above| above.origin.rank() == one.origin.rank() && *other < one.key) {
                    self.mistakes.push(format!(
                        "in {}: --{} and --{other} contradict each other; give one",
                        one.origin, one.key
                    ));
                }
                let is_said = words.value_source(id) == Some(ValueSource::CommandLine);
                !is_said && above.is_none_or(|above| above.origin.rank() == one.origin.rank())
            })
        });
    }

    /// The values of the file that words or a variable name.
    fn of_file(
        &mut self,
        root: &Command,
        path: &[String],
        words: &ArgMatches,
        outside: &Outside<'_>,
    ) -> Vec<LayeredValues> {
        let word = words.try_get_raw(CONFIG).ok().flatten().and_then(|mut values| values.next()).map(OsString::from);
        let is_taken = options(find(root, path)).iter().any(|option| option.key == CONFIG);
        let variable = || (outside.variable)("MINUTELY_CONFIG").filter(|name| is_taken && !name.is_empty());
        let Some(name) = word.or_else(variable) else { return Vec::new() };
        let shown = Path::new(&name).display().to_string();
        let (text, warning) = match (outside.read)(Path::new(&name)) {
            Ok(read) => read,
            Err(error) => {
                self.mistakes.push(format!("--config {shown}: {error}"));
                return Vec::new();
            }
        };
        let file::FileOptions { values, mistakes, has_secret } =
            file::read(&OptionFile { name: &shown, text: text.trim_start_matches('\u{feff}') }, root, path);
        self.mistakes.extend(mistakes);
        self.warnings.extend(warning.filter(|_| has_secret));
        values
    }

    /// The command line with these values beneath its words.
    pub(super) fn beneath(&self, root: Command, path: &[String]) -> Command {
        let Some((name, below)) = path.split_first() else {
            return root.mut_args(|arg| self.of_arg(arg));
        };
        root.mut_subcommands(|command| if command.get_name() == name { self.beneath(command, below) } else { command })
    }

    fn of_arg(&self, arg: clap::Arg) -> clap::Arg {
        let Some(option) = OptionSpec::of(&arg) else { return arg };
        match self.origins.0.iter().find(|one| one.key == option.key && !one.is_properties()) {
            Some(one) => arg.default_values(one.values.clone()).required(false),
            None => arg,
        }
    }

    /// The properties, as words: they add up with those that the command line gives.
    pub(super) fn properties(&self) -> Vec<String> {
        let properties = self.origins.0.iter().filter(|one| one.is_properties());
        properties.flat_map(|one| &one.values).map(|property| format!("-X{}", property::marked(property))).collect()
    }
}

/// Key and name of the options that cannot be given beside this one.
fn conflicts(command: &Command, key: &str) -> BTreeSet<(String, String)> {
    let of = |arg: &clap::Arg| OptionSpec::of(arg).map(|option| (option.key, option.id));
    let is_it = |arg: &clap::Arg| of(arg).is_some_and(|(own, _)| own == key);
    let own = command.get_arguments().filter(|arg| is_it(arg)).flat_map(|arg| command.get_arg_conflicts_with(arg));
    let others =
        command.get_arguments().filter(|arg| command.get_arg_conflicts_with(arg).iter().any(|other| is_it(other)));
    own.chain(others).filter_map(of).collect()
}

/// Do the words of the command line say it themselves?
fn is_said(one: &LayeredValues, options: &[OptionSpec], words: &ArgMatches) -> bool {
    let Some(option) = options.iter().find(|option| option.key == one.key) else { return false };
    let is_given = words.value_source(&option.id) == Some(ValueSource::CommandLine);
    match one.property() {
        None => is_given,
        Some(name) => {
            let mut given = words.get_raw(&option.id).into_iter().flatten();
            is_given && given.any(|word| word.to_str().map(property_name) == Some(name))
        }
    }
}

/// The values of an option in its variable; each property is an entry of its own.
fn entries(option: &OptionSpec, values: Vec<String>) -> Vec<LayeredValues> {
    let origin = ValueOrigin::Variable(option.variable.clone());
    match option.key.as_str() {
        PROPERTIES => values.into_iter().map(|value| LayeredValues::of(option, vec![value], origin.clone())).collect(),
        _ => vec![LayeredValues::of(option, values, origin)],
    }
}
