//! The command line as it is written: commands, options, their types and their help. What the options of a run mean together
//! is `config`'s.

mod amend;
mod cleaning;
mod cluster;
mod common;
mod completions;
mod envelope;
mod environment;
mod errors;
mod file;
mod health;
mod layers;
mod letters;
mod negated;
mod numbers;
mod option;
mod origin;
mod produce;
mod redrive;
mod rows;
mod run;
mod schema;
mod shape;
mod show;
mod values;
mod verify;

pub(crate) use amend::AmendArgs;
pub(crate) use cleaning::CleaningArgs;
pub(crate) use cluster::{ClusterArgs, ClusterKeyArgs, MAX_WORKERS};
pub(crate) use common::{CommonArgs, early_format};
pub(crate) use completions::{CompletionsArgs, ManArgs};
pub(crate) use envelope::{EnvelopeArgs, EnvelopeOption};
pub(crate) use environment::unread_variables;
pub(crate) use errors::UsageErrors;
pub(crate) use health::HealthArgs;
pub(crate) use layers::{Layers, Outside};
pub(crate) use letters::LettersArgs;
pub(crate) use numbers::NumberArgs;
pub(crate) use option::changes;
pub(crate) use produce::{PartitionBy, ProduceArgs, Stamp};
pub(crate) use redrive::RedriveArgs;
pub(crate) use rows::{FormatOption, RowArgs};
pub(crate) use run::{DecodingArgs, EmitOption, HttpArgs, LogArgs, Metrics, RunArgs, SinkArgs, SinkStart};
pub(crate) use schema::SchemaArgs;
pub(crate) use shape::ShapeArgs;
use values::number;
pub(crate) use values::{AskedTime, Given};
pub(crate) use verify::{DigestArgs, ExplainArgs, MinuteArgs, RepairArgs, VerifyArgs};

use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use negated::Negated;
use std::ffi::OsStr;

/// Exact one-minute event-time averages from partitions of timestamped values
///
/// Reads a log, keeps exact sums per symbol and minute of event time, and writes each minute while it is open, when it is
/// closed and when it is final. Every record is accounted for: it counts, or it is a dead letter with its reason.
#[derive(Debug, Parser)]
#[command(
    name = "minutely",
    version,
    propagate_version = true,
    args_conflicts_with_subcommands = true,
    disable_help_flag = true,
    after_help = NOTES
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    run: RunArgs,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read the log and write its windows; the default command
    ///
    /// Reads a log, keeps exact sums per symbol and window of event time, and writes each window while it is open, when it is
    /// closed and when it is final. Every record is accounted for: it counts, or it is a dead letter with its reason.
    #[command(after_help = NOTES)]
    Run(Box<RunArgs>),

    /// Show how the first records decode, before a run; writes nothing
    ///
    /// Reads the configuration, connects to the source, looks at sinks and state, and prints the first records of each
    /// partition field by field, or what is wrong with them. Exit code 0 if all of them count or are skipped, otherwise 65.
    #[command(after_help = NOTES)]
    Check {
        /// Records of each partition
        #[arg(long, value_name = "N", env = "MINUTELY_RECORDS", default_value = "5", value_parser = number::<usize>(1, 1_000_000))]
        records: Given<usize>,

        #[command(flatten)]
        run: Box<RunArgs>,
    },

    /// Show, check or rebuild the checkpoints of a run
    #[command(arg_required_else_help = false)]
    State {
        #[command(subcommand)]
        command: StateCommand,

        #[command(flatten)]
        help: Help,
    },

    /// Count final minutes again from the log, and compare them with what the sinks hold; changes nothing
    ///
    /// Takes the options of the run; a run may go on meanwhile. Reads the log from where the state's index says that the minutes begin,
    /// by a reader of its own, and adds up by code that shares the decoder alone with a run. Exit code 0 if all is equal, 65 if
    /// something differs or cannot be verified, 69 if log, state or a sink cannot be reached.
    #[command(after_help = NOTES)]
    Verify(Box<VerifyArgs>),

    /// Write what final minutes lack in the sinks, or have wrong there, by the log; shows it first
    ///
    /// Counts minutes again as `minutely verify` does, and says which rows it would write and delete. With --yes it does so, and compares
    /// again. Rows are those that the run has written. A csv: file is repaired while no run owns the state. Exit code 0 if nothing
    /// is to be done or all was done, 65 if something is to be done or is left, 69 if log, state or a sink cannot be reached, 78 if a
    /// run owns the state that a csv: file needs.
    #[command(after_help = NOTES)]
    Repair(Box<RepairArgs>),

    /// Print a digest of each final minute, and one of all
    ///
    /// Two runs over one log have the same, whatever their workers, sinks and crashes. All options of `minutely run` are accepted.
    #[command(after_help = STATE_NOTES)]
    Digest(Box<DigestArgs>),

    /// Show all that is known of one minute of one symbol: its row by the log and in every sink, its records, when it was final
    ///
    /// Takes the options of the run; a run may go on meanwhile. Prints which records count (offsets by partition; with --records each of
    /// them), which do not and why, and by which record of each partition the minute came to be closed and final. Exit code 0; 64
    /// if the symbol is not known; 65 if a sink does not have the log's row or the minute cannot be verified; 69 if log, state or a
    /// sink cannot be reached.
    #[command(after_help = NOTES)]
    Explain(Box<ExplainArgs>),

    /// Add late dead letters to final minutes, in rows beside the sinks' own
    ///
    /// Takes the options of the run; a run may go on meanwhile. Counts the minutes of late letters again from the log, adds the letters, and
    /// writes the rows beside those of the run: table NAME_amended, NAME.amended.csv, measurement NAME_amended. Without --yes it only shows
    /// what it would write. Exit code 0 if all late letters of final minutes are in rows, 65 if some cannot be, 69 if log, state or a sink
    /// cannot be reached.
    #[command(after_help = NOTES)]
    Amend(Box<AmendArgs>),

    /// Write the records of a source to a Kafka topic or to RabbitMQ streams
    ///
    /// Record for record: partition, key, payload, and the source's stamp. Ctrl-C, SIGTERM and SIGHUP wait for the last
    /// acknowledgements and stop.
    Produce(Box<ProduceArgs>),

    /// Print dead letters readably
    ///
    /// One block of lines each: where it stands, its reason with the field that is to blame, what was expected and what was found,
    /// its key and its payload as text. A line that is no dead letter is named on stderr, and the rest is shown: exit code 65.
    Letters(LettersArgs),

    /// Decode rejected dead letters again with other options, and write what counts to the topic or to amended rows
    ///
    /// Takes the options of the run. Options of decoding on the command line hold for the letters, unless they are the run's own: then give
    /// the run's by --config or by variables. Without --yes it only shows what would count, and what still does not and why. Exit code 0 if
    /// all rejected letters can be read, 65 if some cannot, 69 if log, state, topic or a sink cannot be reached.
    #[command(after_help = NOTES)]
    Redrive(Box<RedriveArgs>),

    /// Ask the run that serves at an address whether it is healthy, for containers
    ///
    /// Exit code 0 if it is, otherwise 69 with the reason.
    Health(HealthArgs),

    /// Print a new key for the processes of a run on several machines
    ///
    /// 32 random bytes in hexadecimal digits, for a file that only the run's user can read: see --cluster-key-file.
    #[command(name = "cluster-key")]
    ClusterKey(ClusterKeyArgs),

    /// Show the settings of a run or of produce, and where each comes from
    #[command(arg_required_else_help = false)]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,

        #[command(flatten)]
        help: Help,
    },

    /// Print the completions of a shell
    ///
    /// For bash: `source <(minutely completions bash)`, or into a file of /usr/share/bash-completion/completions/.
    Completions(CompletionsArgs),

    /// Print the manual page, of minutely or of one of its commands, in roff: `minutely man | man -l -`
    Man(ManArgs),
}

/// What is to be done with the settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print them in TOML, as --config takes them; nothing is connected to or written
    ///
    /// All options of `minutely run` are accepted; after the word produce, those of `minutely produce`. Each line says where its
    /// value comes from. Secrets are not shown.
    #[command(args_conflicts_with_subcommands = true)]
    Show {
        #[command(subcommand)]
        of: Option<ShownCommand>,

        #[command(flatten)]
        run: Box<RunArgs>,
    },
}

/// Whose settings are shown, unless a run's.
#[derive(Debug, Subcommand)]
pub(crate) enum ShownCommand {
    /// Print the settings of `minutely produce`, in the same way
    Produce(Box<ProduceArgs>),
}

/// What is to be done with a state.
#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Show the newest checkpoint
    #[command(after_help = STATE_NOTES)]
    Show {
        /// Print the manifest itself
        #[arg(long, env = "MINUTELY_JSON")]
        json: bool,

        #[command(flatten)]
        run: Box<RunArgs>,
    },

    /// Read all checkpoints and recount them
    #[command(after_help = STATE_NOTES)]
    Check(Box<RunArgs>),

    /// Move the checkpoints aside, so that the next run reads the log from its beginning
    #[command(after_help = STATE_NOTES)]
    Rebuild(Box<RunArgs>),
}

/// The help flag of commands that do not take `-h HOSTFILE`.
#[derive(Args, Debug)]
pub(crate) struct Help {
    /// Print help
    #[arg(short = 'h', long, action = ArgAction::Help)]
    help: Option<bool>,
}

const NOTES: &str = "\
Times are such as 250ms, 90s, 1h30m or 1d; sizes such as 64MB or 1GiB.

Options come from the command line, else from variables of the environment, else from --config FILE (TOML: `window = \"5m\"`,
`sink = [\"csv:a.csv\", \"stdout:\"]`, a table [kafka] for -X). A list in a variable is separated by spaces, or is a JSON array.
`minutely config show` prints what is in effect, and where it comes from.

Secrets come from the environment or a file:
  influxdb:   MINUTELY_INFLUX_TOKEN or INFLUX_TOKEN; per sink ?token_env=NAME or ?token_file=PATH
  influxdb1:  ?user=NAME with MINUTELY_INFLUX1_PASSWORD, ?password_env=NAME or ?password_file=PATH;
              or ?token_env=NAME or ?token_file=PATH; or nothing
  Kafka:      MINUTELY_KAFKA_PASSWORD; an -X property that holds a secret is env:NAME or file:PATH
  HTTP:       MINUTELY_HTTP_TOKEN or --http-token-file PATH
  cluster:    MINUTELY_CLUSTER_KEY or --cluster-key-file PATH

Ctrl-C, SIGTERM and SIGHUP (a terminal that closes; not under nohup) end a run with one more commit; a second Ctrl-C or
SIGTERM ends it at once.

Exit codes:
  0   done
  64  usage or configuration
  65  bad data with --on-bad fatal; a log or a state that is not what it was; a bounded run of which a database
      refused every row
  69  a service is unreachable
  70  internal
  78  another run owns the state";

const STATE_NOTES: &str = "\
The state is found by --state, or by the options of its run. All options of `minutely run` are accepted.";

/// Options of a run by which its state is found; help of `minutely state` shows no others.
const FIND_THE_STATE: [&str; 43] = [
    "help",
    "json",
    "source",
    "complete_from",
    "format",
    "columns",
    "delimiter",
    "quote",
    "skip_lines",
    "each",
    "filter",
    "symbol_field",
    "symbol",
    "value_field",
    "time_field",
    "time_unit",
    "time_format",
    "time_zone",
    "weight_field",
    "id_field",
    "decimals",
    "weight_decimals",
    "on_precision",
    "value_scale",
    "weight_sign",
    "file",
    "message",
    "window",
    "lateness",
    "max_future",
    "max_past",
    "value_min",
    "value_max",
    "outlier",
    "session",
    "metrics",
    "derive",
    "windows",
    "place",
    "data",
    "job",
    "properties",
    "config",
];

/// What help of `minutely verify`, `repair`, `digest`, `explain`, `amend` and `redrive` shows beside.
const VERIFY: [&str; 18] = [
    "from",
    "to",
    "sample",
    "since_final",
    "independent",
    "textfile",
    "uris",
    "emit",
    "groups",
    "yes",
    "of_symbol",
    "minute",
    "records",
    "from_dead_letters",
    "letters",
    "maps",
    "to_topic",
    "amend",
];

/// Why there is no command to be executed.
#[derive(Debug)]
pub(crate) enum EarlyExit {
    /// Help or the version was asked for, and is printed.
    Printed,
    /// The command line is wrong: one paragraph.
    Usage(String),
    /// The command line, a variable or a file is wrong: one paragraph each.
    Mistakes(Vec<String>),
}

/// A command, and what variables and a file say beneath its words.
pub(crate) struct Parsed {
    pub(crate) command: Command,
    pub(crate) layers: Layers,
    /// The settings that are in effect, as `minutely config show` prints them; empty for other commands.
    pub(crate) shown: String,
}

/// The command of these words, the first of which is the program's name, and of what variables and a file say beneath them.
///
/// # Errors
/// What is wrong, or the help that was asked for. A value that is wrong is no error yet: [`UsageErrors`] collects these.
pub(crate) fn parse(words: &[String], outside: &Outside<'_>) -> Result<Parsed, EarlyExit> {
    let stopped = |error: &clap::Error| {
        if error.use_stderr() {
            return EarlyExit::Usage(paragraph(error, &path(&command(), words)) + &below_another(error));
        }
        // The help of a command that has lost its variables would not name them.
        let whole = command().try_get_matches_from(words).err();
        let _closed_pipe = whole.as_ref().unwrap_or(error).print();
        EarlyExit::Printed
    };
    let root = command();
    let negated = Negated::of(words, &option::all_options(&root));
    let said =
        without_variables(command(), false).try_get_matches_from(&negated.given).map_err(|error| stopped(&error))?;
    let (mut path, mut of_command) = (Vec::new(), &said);
    while let Some((name, below)) = of_command.subcommand() {
        path.push(name.to_owned());
        of_command = below;
    }
    let mut layers = Layers::read(&root, &path, of_command, outside);
    layers.add(negated.values(&option::options(option::find(&root, &path))));
    let all: Vec<String> = negated.left.into_iter().chain(layers.properties()).collect();
    let whole = without_variables(layers.beneath(command(), &path), true).try_get_matches_from(&all);
    let wrong = |why: EarlyExit| match why {
        EarlyExit::Usage(why) if !layers.mistakes.is_empty() => {
            EarlyExit::Mistakes(layers.mistakes.iter().cloned().chain([why]).collect())
        }
        why => why,
    };
    let matches = whole.map_err(|error| wrong(stopped(&error)))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| wrong(stopped(&error)))?;
    let mut command = cli.command.unwrap_or_else(|| Command::Run(Box::new(cli.run)));
    if let Command::Redrive(args) = &mut command {
        args.own = Some(own_options(&matches, of_command, outside).map_err(|error| wrong(stopped(&error)))?);
    }
    if command.run_args().is_some_and(|run| run.cluster.hostfile == Some(None)) {
        print_help(&mut self::command(), words);
        return Err(EarlyExit::Printed);
    }
    let shown = match command {
        Command::Config { .. } => show::shown(option::find(&root, &path), below(&matches, &path), &layers.origins),
        _ => String::new(),
    };
    layers.check_common(command.common());
    Ok(Parsed { command, layers, shown })
}

/// The options of a redrive without those of decoding on the command line, which may be for the letters alone. `said`: what its words say.
fn own_options(
    matches: &clap::ArgMatches,
    said: &clap::ArgMatches,
    outside: &Outside<'_>,
) -> Result<Box<RunArgs>, clap::Error> {
    let redrive = |matches: &clap::ArgMatches| -> Result<Box<RedriveArgs>, clap::Error> {
        Ok(match Cli::from_arg_matches(matches)?.command {
            Some(Command::Redrive(args)) => args,
            _ => unreachable!("the path is that of a redrive"),
        })
    };
    let mut own = redrive(matches)?;
    // Of its words the file of options alone: what another word says would not be taken from beneath.
    let file = said.try_get_raw(option::CONFIG).ok().flatten().and_then(|mut files| files.next());
    let file = file.into_iter().flat_map(|file| [OsStr::new("--config"), file]);
    let words: Vec<&OsStr> = ["minutely", "redrive", "-"].map(OsStr::new).into_iter().chain(file).collect();
    let bare = without_variables(command(), false).try_get_matches_from(&words)?;
    let path = ["redrive".to_owned()];
    let layers = Layers::read(&command(), &path, bare.subcommand_matches(&path[0]).unwrap_or(&bare), outside);
    let beneath = without_variables(layers.beneath(command(), &path), true).try_get_matches_from(&words)?;
    own.run.decoding = redrive(&beneath)?.run.decoding;
    Ok(own.run)
}

/// What was found for the command of this path.
fn below<'a>(matches: &'a clap::ArgMatches, path: &[String]) -> &'a clap::ArgMatches {
    path.iter().fold(matches, |at, name| at.subcommand_matches(name).unwrap_or(at))
}

/// The command line, which itself reads no variable: [`Layers`] does. `required`: what must be given must be.
fn without_variables(command: clap::Command, required: bool) -> clap::Command {
    let bare = |arg: clap::Arg| {
        let is_required = arg.is_required_set() && (required || arg.is_positional());
        arg.env(None::<&str>).required(is_required)
    };
    command.mut_args(bare).mut_subcommands(|below| without_variables(below, required))
}

impl Command {
    /// The options of a run, where the command takes them.
    fn run_args(&self) -> Option<&RunArgs> {
        match self {
            Command::Run(run)
            | Command::Config { command: ConfigCommand::Show { of: None, run }, .. }
            | Command::Check { run, .. }
            | Command::State {
                command: StateCommand::Show { run, .. } | StateCommand::Check(run) | StateCommand::Rebuild(run),
                ..
            } => Some(run),
            Command::Verify(args) => Some(&args.run),
            Command::Repair(args) => Some(&args.run),
            Command::Digest(args) => Some(&args.run),
            Command::Explain(args) => Some(&args.run),
            Command::Amend(args) => Some(&args.run),
            Command::Redrive(args) => Some(&args.run),
            Command::Produce(_)
            | Command::Config { command: ConfigCommand::Show { of: Some(ShownCommand::Produce(_)), .. }, .. }
            | Command::Letters(_)
            | Command::Health(_)
            | Command::ClusterKey(_)
            | Command::Completions(_)
            | Command::Man(_) => None,
        }
    }

    /// The options of every command, where this one takes them.
    pub(crate) fn common(&self) -> Option<&CommonArgs> {
        match self {
            Command::Produce(args)
            | Command::Config { command: ConfigCommand::Show { of: Some(ShownCommand::Produce(args)), .. }, .. } => {
                Some(&args.common)
            }
            Command::Letters(args) => Some(&args.common),
            Command::Health(args) => Some(&args.common),
            _ => self.run_args().map(|run| &run.common),
        }
    }
}

/// The command of these words alone, without variables and files.
#[cfg(test)]
pub(crate) fn parse_words(words: &[String]) -> Result<Command, EarlyExit> {
    let nowhere = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    parse(words, &Outside { variable: &|_| None, read: &nowhere }).map(|parsed| parsed.command)
}

/// The whole command line. Help names variables of the environment and never says what is in them, which may be a secret.
pub(crate) fn command() -> clap::Command {
    fn described(command: clap::Command) -> clap::Command {
        command.display_name("minutely").mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(described)
    }
    fn hide(command: clap::Command, also: &[&str]) -> clap::Command {
        command.mut_args(|arg| {
            let id = arg.get_id().as_str();
            let hidden = !FIND_THE_STATE.contains(&id) && !also.contains(&id);
            arg.hide(hidden)
        })
    }
    let root = described(Cli::command());
    let root = root.mut_subcommand("state", |state| state.mut_subcommands(|command| hide(command, &[])));
    let root = root.mut_subcommand("verify", |verify| hide(verify, &VERIFY));
    let root = root.mut_subcommand("amend", |amend| hide(amend, &VERIFY));
    let root = root.mut_subcommand("redrive", |redrive| hide(redrive, &VERIFY));
    let root = root.mut_subcommand("repair", |repair| hide(repair, &VERIFY));
    let root = root.mut_subcommand("digest", |digest| hide(digest, &VERIFY));
    root.mut_subcommand("explain", |explain| hide(explain, &VERIFY))
}

/// The words that name a command, as far as they do: `minutely state show`.
fn path(root: &clap::Command, words: &[String]) -> String {
    let (mut at, mut path) = (root, root.get_name().to_owned());
    for word in words.iter().skip(1) {
        let Some(next) = at.find_subcommand(word) else { break };
        at = next;
        path = format!("{path} {word}");
    }
    path
}

/// Prints the short help of the command that these words name.
fn print_help(root: &mut clap::Command, words: &[String]) {
    use std::io::Write;
    root.build();
    let mut at = root;
    for word in words.iter().skip(1) {
        if at.find_subcommand(word).is_none() {
            break;
        }
        at = at.find_subcommand_mut(word).expect("it was just found");
    }
    let _closed_pipe = std::io::stdout().write_all(at.render_help().to_string().as_bytes());
}

/// What is wrong with the arguments, in one paragraph.
fn paragraph(error: &clap::Error, command: &str) -> String {
    let text = error.to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("; ").replace(":; ", ": ");
    format!("{}; see `{command} --help`", text.strip_prefix("error: ").unwrap_or(&text))
}

/// The commands below others that are called as the word which is no command, as a hint; else empty.
fn below_another(error: &clap::Error) -> String {
    fn find(at: &clap::Command, path: &str, word: &str, found: &mut Vec<String>) {
        for below in at.get_subcommands() {
            let path = format!("{path} {}", below.get_name());
            if below.get_name() == word {
                found.push(format!("`{path}`"));
            }
            find(below, &path, word, found);
        }
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return String::new() };
    let (root, mut found) = (command(), Vec::new());
    find(&root, root.get_name(), word, &mut found);
    if found.is_empty() { String::new() } else { format!("; there is {}", found.join(" and ")) }
}

#[cfg(test)]
mod tests;
