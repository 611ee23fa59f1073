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
