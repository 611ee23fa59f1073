//! Commands, options and what is wrong with them.

use super::*;
use std::collections::BTreeSet;

fn parsed(words: &[&str]) -> Result<Command, EarlyExit> {
    let words: Vec<String> = ["minutely"].iter().chain(words).map(|word| (*word).to_owned()).collect();
    parse(&words)
}

fn usage(words: &[&str]) -> String {
    match parsed(words) {
        Err(EarlyExit::Usage(why)) => why,
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn run_is_the_command_when_none_is_named() {
    for words in [&["-w", "8"][..], &["run", "-w", "8"], &["run", "-w8", "-h", "hosts"]] {
        let Ok(Command::Run(args)) = parsed(words) else { panic!("{words:?} is no run") };
        assert_eq!(args.cluster.workers.value(), Ok(8));
        assert_eq!(args.cluster.hostfile.flatten().is_some(), words.contains(&"-h"));
    }
    assert!(matches!(parsed(&[]), Ok(Command::Run(_))));
}

#[test]
fn commands_of_a_state_take_the_options_of_its_run() {
    let words = ["--source", "sim:?seed=1", "-w", "4", "--http", "none", "--idle", "1s"];
    for command in ["show", "check", "rebuild"] {
        let parsed = parsed(&[&["state", command], &words[..]].concat()).unwrap();
        assert_eq!(parsed.run_args().unwrap().log.source, "sim:?seed=1");
    }
    let show = parsed(&["state", "show", "--json"]).unwrap();
    assert!(matches!(show, Command::State { command: StateCommand::Show { json: true, .. }, .. }));
    assert!(usage(&["state", "check", "--json"]).contains("unexpected argument '--json'"));
    assert!(usage(&["--json"]).contains("unexpected argument '--json'"));
}

#[test]
fn a_misspelt_word_is_reported_with_the_nearest_and_the_help_of_its_command() {
    for (words, parts) in [
        (&["stat", "show"][..], &["unrecognized subcommand 'stat'", "'state'", "see `minutely --help`"][..]),
        (&["frob"], &["unrecognized subcommand 'frob'", "see `minutely --help`"]),
        (&["state", "shew"], &["unrecognized subcommand 'shew'", "'show'", "see `minutely state --help`"]),
        (
            &["state"],
            &["'minutely state' requires a subcommand", "show, check, rebuild", "see `minutely state --help`"],
        ),
        (&["--latenes", "1m"], &["unexpected argument '--latenes'", "'--lateness'", "see `minutely --help`"]),
        (&["state", "show", "--jsn"], &["'--jsn'", "'--json'", "see `minutely state show --help`"]),
        (&["produce", "--too", "x"], &["unexpected argument '--too'", "'--to'", "see `minutely produce --help`"]),
        (&["produce", "--window", "1m"], &["unexpected argument '--window'", "see `minutely produce --help`"]),
        (&["-w", "8", "run"], &["'run'", "see `minutely --help`"]),
        (&["run", "state"], &["unexpected argument 'state'", "see `minutely run --help`"]),
        (&["--window", "1m", "--window", "2m"], &["--window <TIME>", "multiple times"]),
        (&["--window"], &["a value is required for '--window <TIME>'"]),
    ] {
        let why = usage(words);
        assert!(parts.iter().all(|part| why.contains(part)) && !why.contains('\n'), "{words:?}: {why}");
    }
}

#[test]
fn a_wrong_value_is_kept_until_all_are_known() {
    let Ok(Command::Run(args)) = parsed(&["--window", "soon", "-w", "none", "--emit", "all", "--start", "here"]) else {
        panic!("values stop nothing")
    };
    let mut errors = UsageErrors::default();
    assert_eq!(errors.value(&args.semantics.lateness), Some(600_000_000_000));
    assert_eq!((errors.value(&args.semantics.window), args.semantics.window.text()), (None, "soon"));
    assert_eq!(errors.value(&args.cluster.workers), None);
    assert!(errors.value(&args.sinks.emit).is_none() && errors.value(&args.log.start).is_none());
    let errors: Vec<_> = errors.iter().collect();
    assert_eq!(
        errors,
        [
            "--window soon: takes a duration such as 500ms, 90s, 1h30m or 1d, from 1 ms to 366 d",
            "-w none: takes a number from 1 to 256",
            "--emit all: is not one of changes, final",
            "--start here: takes earliest, latest, or a time such as 2026-01-05T08:00:00Z",
        ]
    );
}

/// clap panics where an option is declared with one type and parsed into another, but not before it is given.
#[test]
fn every_option_can_be_given() {
    let run = "--source sim: --start latest --complete-from 2026-01-05T08:00:00Z --until-end --keep-open --close \
               --as-of 2026-01-05T08:00:00Z --format json --columns a,b \
               --delimiter ; --quote none --skip-lines 1 --symbol-field @key --value-field p --time-field t --time-unit ns \
               --weight-field w --on-bad fatal --window 1m --lateness 1m --max-future 1m --max-past 1h30m --metrics avg --idle 1s \
               --max-ahead 1h --max-keys 5 --sink stdout: --sink csv:a --emit final --sink-timeout 1m --take-sink --forget-sink b \
               --state none --data d --job j --checkpoint-interval 1s --take-over --accept-changed-log --http none --http-public \
               --http-host h --http-token-file f --workers 2 --processes 2 --process 1 --hostfile f --fetch-memory 64MB -X a=b";
    let produce = "produce --from sim: --start earliest --until-end --as-of 2026-01-05T08:00:00Z --limit 5 --time-field t \
                   --time-unit s --rate 5 --speed 5 --to kafka://b:1/t --partition-by key --stamp now -X a=b";
    let root = command();
    let options =
        |command: &clap::Command| command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    for (words, command) in [(run, &root), (produce, root.find_subcommand("produce").unwrap())] {
        let words: Vec<_> = words.split_whitespace().collect();
        let left_out: BTreeSet<String> = options(command);
        let left_out: Vec<_> = left_out.iter().filter(|name| !words.contains(&&*format!("--{name}"))).collect();
        assert_eq!(left_out, ["help"]);
        let mut errors = UsageErrors::default();
        match parsed(&words).unwrap() {
            Command::Run(args) => {
                errors.value(&args.cluster.process);
                errors.value(&args.progress.max_keys);
            }
            Command::Produce(args) => {
                errors.value(args.rate.as_ref().unwrap());
                errors.value(args.speed.as_ref().unwrap());
                errors.value(args.limit.as_ref().unwrap());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(errors.iter().next(), None);
    }
    assert!(matches!(parsed(&["health", "127.0.0.1:1"]), Ok(Command::Health(args)) if args.address.is_some()));
}

/// clap checks this in debug builds alone.
#[test]
fn no_two_options_of_a_command_have_one_name() {
    fn check(command: &clap::Command) {
        let mut names = BTreeSet::new();
        for arg in command.get_arguments() {
            let long = arg.get_long().map(|name| format!("--{name}"));
            let short = arg.get_short().map(|name| format!("-{name}"));
            for name in [Some(arg.get_id().to_string()), long, short].into_iter().flatten() {
                assert!(names.insert(name.clone()), "{}: {name}", command.get_name());
            }
        }
        command.get_subcommands().for_each(check);
    }
    check(&command());
}

#[test]
fn help_of_a_state_shows_the_options_that_find_it() {
    let mut root = command();
    root.build();
    let state = root.find_subcommand("state").unwrap();
    for command in ["show", "check", "rebuild"] {
        let help = state.find_subcommand(command).unwrap().clone().render_long_help().to_string();
        let shown =
            |option: &str| help.contains(&format!("      {option} ")) || help.contains(&format!("  {option} <"));
        assert!(
            ["--source", "--window", "--metrics", "--state", "--data", "--job", "-X"].into_iter().all(shown),
            "{help}"
        );
        assert!(!["--idle", "--sink", "--http", "-w,", "--take-over"].into_iter().any(shown), "{help}");
    }
}
