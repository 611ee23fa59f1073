//! The command line as it is written: commands, options, their types and their help. What the options of a run mean together
//! is `config`'s.

mod environment;
mod errors;
mod health;
mod produce;
mod rows;
mod run;
mod values;

pub(crate) use environment::{split_sinks, unread_variables};
pub(crate) use errors::UsageErrors;
pub(crate) use health::HealthArgs;
pub(crate) use produce::{PartitionBy, ProduceArgs, Stamp};
pub(crate) use rows::{FormatOption, RowArgs};
pub(crate) use run::{ClusterArgs, DecodingArgs, EmitOption, HttpArgs, LogArgs, MAX_WORKERS, Metrics, OnBad, RunArgs};
pub(crate) use values::Given;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

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

    /// Show, check or rebuild the checkpoints of a run
    #[command(arg_required_else_help = false)]
    State {
        #[command(subcommand)]
        command: StateCommand,

        #[command(flatten)]
        help: Help,
    },

    /// Write the records of a source to a Kafka topic
    ///
    /// Record for record: partition, key, payload, and the source's stamp. Ctrl-C, SIGTERM and SIGHUP wait for the last
    /// acknowledgements and stop.
    Produce(Box<ProduceArgs>),

    /// Ask the run that serves at an address whether it is healthy, for containers
    ///
    /// Exit code 0 if it is, otherwise 69 with the reason.
    Health(HealthArgs),
}

/// What is to be done with a state.
#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Show the newest checkpoint
    #[command(after_help = STATE_NOTES)]
    Show {
        /// Print the manifest itself
        #[arg(long)]
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

Secrets come from the environment or a file:
  influxdb:   MINUTELY_INFLUX_TOKEN or INFLUX_TOKEN; per sink ?token_env=NAME or ?token_file=PATH
  influxdb1:  ?user=NAME with MINUTELY_INFLUX1_PASSWORD, ?password_env=NAME or ?password_file=PATH;
              or ?token_env=NAME or ?token_file=PATH; or nothing
  Kafka:      MINUTELY_KAFKA_PASSWORD; an -X property that holds a secret is env:NAME or file:PATH
  HTTP:       MINUTELY_HTTP_TOKEN or --http-token-file PATH

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
const FIND_THE_STATE: [&str; 19] = [
    "help",
    "json",
    "source",
    "complete_from",
    "format",
    "symbol_field",
    "value_field",
    "time_field",
    "time_unit",
    "weight_field",
    "window",
    "lateness",
    "max_future",
    "max_past",
    "metrics",
    "place",
    "data",
    "job",
    "properties",
];

/// Why there is no command to be executed.
#[derive(Debug)]
pub(crate) enum EarlyExit {
    /// Help or the version was asked for, and is printed.
    Printed,
    /// The command line is wrong: one paragraph.
    Usage(String),
}

/// The command of these words, the first of which is the program's name.
///
/// # Errors
/// What is wrong, or the help that was asked for. A value that is wrong is no error yet: [`UsageErrors`] collects these.
pub(crate) fn parse(words: &[String]) -> Result<Command, EarlyExit> {
    let mut root = command();
    // A command that is named reads its own variables, and is not disturbed by those of `run`.
    if words.get(1).is_some_and(|word| !word.starts_with('-') && word != "help") {
        root = root.mut_args(|arg| arg.env(None::<&str>));
    }
    let stopped = |error: &clap::Error| {
        if error.use_stderr() {
            return EarlyExit::Usage(paragraph(error, &path(&command(), words)));
        }
        let _closed_pipe = error.print();
        EarlyExit::Printed
    };
    let matches = root.try_get_matches_from_mut(words).map_err(|error| stopped(&error))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| stopped(&error))?;
    let command = cli.command.unwrap_or_else(|| Command::Run(Box::new(cli.run)));
    if command.run_args().is_some_and(|run| run.cluster.hostfile == Some(None)) {
        print_help(&mut root, words);
        return Err(EarlyExit::Printed);
    }
    Ok(command)
}

impl Command {
    /// The options of a run, where the command takes them.
    fn run_args(&self) -> Option<&RunArgs> {
        match self {
            Command::Run(run)
            | Command::State {
                command: StateCommand::Show { run, .. } | StateCommand::Check(run) | StateCommand::Rebuild(run),
                ..
            } => Some(run),
            Command::Produce(_) | Command::Health(_) => None,
        }
    }
}

/// The whole command line. Help names variables of the environment and never says what is in them, which may be a secret.
pub(crate) fn command() -> clap::Command {
    fn described(command: clap::Command) -> clap::Command {
        command.display_name("minutely").mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(described)
    }
    let hide = |command: clap::Command| {
        command.mut_args(|arg| {
            let hidden = !FIND_THE_STATE.contains(&arg.get_id().as_str());
            arg.hide(hidden)
        })
    };
    described(Cli::command()).mut_subcommand("state", |state| state.mut_subcommands(hide))
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

#[cfg(test)]
mod tests;
