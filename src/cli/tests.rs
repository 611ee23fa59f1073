//! Commands, options and what is wrong with them.

use super::*;
use std::collections::BTreeSet;

fn parsed(words: &[&str]) -> Result<Command, EarlyExit> {
    let words: Vec<String> = ["minutely"].iter().chain(words).map(|word| (*word).to_owned()).collect();
    parse_words(&words)
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
        (
            &["rebuild"],
            &["unrecognized subcommand 'rebuild'", "see `minutely --help`; there is `minutely state rebuild`"],
        ),
        (&["show"], &["there is `minutely config show` and `minutely state show`"]),
        (&["config", "rebuild"], &["see `minutely config --help`; there is `minutely state rebuild`"]),
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
               --as-of 2026-01-05T08:00:00Z --format json --symbol-field @key --value-field p --time-field t --time-unit ns \
               --weight-field w --decimals 24 --weight-decimals 6 --on-precision reject --value-scale 1e-2 --weight-sign keep \
               --on-bad fatal --window 1m --lateness 1m --max-future 1m --max-past 1h30m --value-min -1 --value-max 5e3 --outlier 20,3 --session NYSE --metrics avg --idle 1s \
               --max-ahead 1h --max-keys 5 --sink stdout: --sink csv:a --emit final --groups g --sink-timeout 1m --take-sink --forget-sink b \
               --state none --data d --dead-letter-file-size 1GiB --job j --checkpoint-interval 1s --audit 0s --audit-size 1MB --take-over --accept-changed-log --http none --http-public \
               --http-host h --http-token-file f --workers 2 --processes 2 --process 1 --hostfile f --fetch-memory 64MB -X a=b \
               --config f --log-format json --log-level debug --quiet --progress";
    let produce = "produce --from sim: --start earliest --until-end --as-of 2026-01-05T08:00:00Z --limit 5 --time-field t \
                   --time-unit s --rate 5 --speed 5 --to kafka://b:1/t --partition-by key --stamp now -X a=b --config f --log-format text \
                   --log-level warn --quiet --progress";
    let letters = "letters a - --reason null,late --partition t/0 --partition 3 --limit 5 --json --summary";
    let root = command();
    let options =
        |command: &clap::Command| command.get_arguments().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    for (words, command) in [
        (run, &root),
        (produce, root.find_subcommand("produce").unwrap()),
        (letters, root.find_subcommand("letters").unwrap()),
    ] {
        let words: Vec<_> = words.split_whitespace().collect();
        let left_out: BTreeSet<String> = options(command);
        // What the words do not name is given alone: some contradict others.
        for name in left_out.iter().filter(|name| *name != "help" && !words.contains(&&*format!("--{name}"))) {
            let flag = option::options(command).iter().any(|one| one.key == *name && one.arity == option::Arity::Flag);
            let alone = words.iter().copied().take_while(|word| !word.starts_with('-'));
            let to = ["--to", "kafka://b:1/t"].into_iter().filter(|_| command.get_name() == "produce");
            let given = format!("--{name}{}", if flag { "" } else { "=7" });
            let all: Vec<_> = alone.chain(to).chain([given.as_str()]).collect();
            assert!(parsed(&all).is_ok(), "{all:?}");
        }
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
            Command::Letters(args) => {
                errors.value(args.limit.as_ref().unwrap());
                assert_eq!(args.reasons.iter().map(|reason| errors.value(reason)).collect::<Vec<_>>().len(), 2);
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

/// Every command that does something to a log or a run, with the words that lead to it.
fn commands(at: &clap::Command, path: &[String]) -> Vec<(Vec<String>, clap::Command)> {
    let below =
        at.get_subcommands().flat_map(|below| commands(below, &[path, &[below.get_name().to_owned()]].concat()));
    let all = std::iter::once((path.to_vec(), at.clone())).chain(below);
    all.filter(|(_, command)| command.get_arguments().any(|arg| arg.get_long() == Some("config"))).collect()
}

/// Takes from variables and from one file, `m.toml`.
fn layered(words: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Parsed, EarlyExit> {
    let words: Vec<String> = ["minutely"].iter().chain(words).map(|word| (*word).to_owned()).collect();
    let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, text)| text.into());
    let read = |path: &std::path::Path| {
        assert_eq!(path, std::path::Path::new("m.toml"));
        Ok((file.to_owned(), Some("warning: others can read m.toml".to_owned())))
    };
    parse(&words, &Outside { variable: &variable, read: &read })
}

/// What `config show` says in the line of a key, without the room before its comment; empty without one.
fn shown(words: &[&str], variables: &[(&str, &str)], file: &str, key: &str) -> String {
    let Ok(parsed) = layered(&[&["config", "show"], words].concat(), variables, file) else {
        panic!("{words:?} {file}")
    };
    assert!(parsed.layers.mistakes.iter().all(|why| why.contains("--log-")), "{:?}", parsed.layers.mistakes);
    let line = parsed.shown.lines().find(|line| line.trim_start_matches(['#', ' ', '"']).starts_with(key));
    line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An option that is added has a variable: without one, it is in no file either.
#[test]
fn every_option_has_a_variable_of_its_name() {
    let root = command();
    let all = commands(&root, &[]);
    let names: Vec<_> = all.iter().map(|(path, _)| path.join(" ")).collect();
    for name in [
        "",
        "run",
        "check",
        "state show",
        "state check",
        "state rebuild",
        "produce",
        "health",
        "config show",
        "config show produce",
    ] {
        assert!(names.iter().any(|known| known == name), "{name} takes no --config: {names:?}");
    }
    for (path, command) in &all {
        for arg in
            command.get_arguments().filter(|arg| !matches!(arg.get_action(), ArgAction::Help | ArgAction::Version))
        {
            let id = arg.get_id();
            let variable = arg.get_env().and_then(|name| name.to_str());
            let variable = variable.unwrap_or_else(|| panic!("{path:?} {id}: add env = \"MINUTELY_…\""));
            if let Some(long) = arg.get_long() {
                assert_eq!(variable, format!("MINUTELY_{}", long.to_uppercase().replace('-', "_")), "{path:?} {id}");
            }
            assert!(option::OptionSpec::of(arg).is_some(), "{path:?} {id}: its action is not known to a file");
        }
    }
}

/// Each option of each command, from its variable and from a file: what clap then has.
#[test]
fn every_option_is_taken_from_variables_and_from_a_file() {
    let root = command();
    for (path, of_command) in commands(&root, &[]) {
        for option in option::options(&of_command).iter().filter(|option| option.key != option::CONFIG) {
            let (value, in_file) = match option.arity {
                option::Arity::Flag => ("true", "true".to_owned()),
                option::Arity::One => ("7", "7".to_owned()),
                option::Arity::Many => ("a=7", "['a=7']".to_owned()),
            };
            let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
            words.extend(
                ["--to", "kafka://b:1/t"]
                    .iter()
                    .filter(|_| path.ends_with(&["produce".to_owned()]) && option.key != "to"),
            );
            words.extend(["--config", "m.toml"]);
            let of_variable = layered(&words, &[(&option.variable, value)], "");
            let of_file = layered(&words, &[], &format!("{} = {in_file}", option.key));
            for (from, parsed) in [(&*option.variable, of_variable), ("m.toml line 1", of_file)] {
                let Ok(Parsed { layers, .. }) = parsed else { panic!("{path:?} {} from {from}", option.key) };
                let [one] = &layers.origins.0[..] else { panic!("{path:?} {} from {from}", option.key) };
                assert_eq!(
                    (&one.key, &one.values[..], one.origin.to_string().as_str()),
                    (&option.key, &[value.to_owned()][..], from)
                );
                let wrong = layers.mistakes.iter().filter(|why| !why.contains("--log-")).count();
                assert_eq!(wrong, 0, "{:?}", layers.mistakes);
            }
            if option.key != option::PROPERTIES && path.starts_with(&["config".to_owned(), "show".to_owned()]) {
                let file = format!("{} = {in_file}", option.key);
                let line = shown(&words[2..], &[], &file, &format!("{} =", option.key));
                assert!(line.ends_with("# m.toml line 1"), "{line}");
            }
        }
    }
}

#[test]
fn flags_win_over_variables_and_these_over_the_file() {
    let file = "window = '3m'\nuntil-end = true\nsink = ['csv:f']\nw = 3\nkafka.client.id = 'f'\nkafka.debug = 'f'\n";
    let variables = [
        ("MINUTELY_CONFIG", "m.toml"),
        ("MINUTELY_WINDOW", "2m"),
        ("MINUTELY_SINK", "csv:v sqlite:v"),
        ("MINUTELY_UNTIL_END", "false"),
        ("MINUTELY_KAFKA_PROPERTIES", "client.id=v"),
    ];
    let all = |key: &str, words: &[&str]| {
        ["none", "file", "variable"].map(|layers| match layers {
            "none" => shown(words, &[], file, key),
            "file" => shown(words, &variables[..1], file, key),
            _ => shown(words, &variables, file, key),
        })
    };
    assert_eq!(
        all("window =", &[]),
        ["window = \"1m\" # default", "window = \"3m\" # m.toml line 1", "window = \"2m\" # MINUTELY_WINDOW"]
    );
    assert!(all("window =", &["--window", "1h"]).iter().all(|line| line == "window = \"1h\" # --window"));
    let sinks = all("sink =", &[]);
    assert_eq!(sinks[0], "# sink = # not given");
    assert_eq!(sinks[1..], ["sink = [\"csv:f\"] # m.toml line 3", "sink = [\"csv:v\", \"sqlite:v\"] # MINUTELY_SINK"]);
    assert_eq!(
        all("until-end =", &[])[1..],
        ["until-end = true # m.toml line 2", "until-end = false # MINUTELY_UNTIL_END"]
    );
    assert_eq!(all("workers =", &["-w", "5"])[2], "workers = 5 # -w");
    // Properties add up.
    assert_eq!(all("client.id\" =", &[])[2], "\"client.id\" = \"v\" # MINUTELY_KAFKA_PROPERTIES");
    assert_eq!(all("client.id\" =", &["-X", "client.id=w"])[2], "\"client.id\" = \"w\" # -X");
    assert_eq!(all("debug\" =", &["-X", "client.id=w"])[2], "\"debug\" = \"f\" # m.toml line 6");
}

#[test]
fn a_flag_is_taken_back_on_the_command_line() {
    let (file, variables) = ("until-end = true", [("MINUTELY_UNTIL_END", "true")]);
    let words = ["--config", "m.toml", "--until-end=false"];
    assert_eq!(shown(&words, &variables, file, "until-end ="), "until-end = false # --until-end=false");
    assert_eq!(shown(&["--until-end=true"], &[], "", "until-end ="), "until-end = true # --until-end");
    assert!(usage(&["health", "--close=false"]).contains("unexpected argument '--close'"));
    assert!(usage(&["--close=perhaps"]).contains("unexpected value 'perhaps'"));
}

#[test]
fn what_contradicts_an_option_above_it_is_forgotten() {
    let (file, config) = ("symbol = 'B7'", ["--config", "m.toml"]);
    assert_eq!(shown(&config, &[], file, "symbol ="), "symbol = \"B7\" # m.toml line 1");
    for (words, variables) in
        [(&["--config", "m.toml", "--symbol-field", "s"][..], &[][..]), (&config, &[("MINUTELY_SYMBOL_FIELD", "s")])]
    {
        assert_eq!(shown(words, variables, file, "symbol ="), "# symbol = # not given");
    }
    let both = layered(&config, &[], "symbol = 'B7'\nsymbol-field = 's'").ok().unwrap();
    assert_eq!(both.layers.mistakes, ["in m.toml line 2: --symbol-field and --symbol contradict each other; give one"]);
}

#[test]
fn what_is_shown_can_be_given_again() {
    let file = "job = 'it''s \"a\"\\u007f'\nweight-field = ''\nsink = ['csv:a b', 'influxdb://h/o/b?token_file=f']\n[kafka]\nx = 'y'";
    let file = file.replace("\\u007f", "\u{7f}").replace("'it''s \"a\"\u{7f}'", "\"it's \\\"a\\\"\\u007f\"");
    let words = ["config", "show", "--config", "m.toml"];
    let first = layered(&words, &[], &file).map(|parsed| parsed.shown).ok().unwrap();
    let again = layered(&words, &[], &first).ok().unwrap();
    assert_eq!(again.layers.mistakes, Vec::<String>::new());
    let settings = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.rsplit_once(" # ").map_or(line, |(setting, _)| setting).trim().to_owned())
            .collect()
    };
    assert_eq!(settings(&again.shown), settings(&first));
    assert!(first.contains("job = \"it's \\\"a\\\"\\u007F\""), "{first}");
}

#[test]
fn a_secret_is_read_from_a_file_and_never_shown() {
    let file = "source = 'kafka://b:1/t'\nsink = ['influxdb://me:hunter2@h/o/b']\nkafka.'sasl.password' = 'hunter2'";
    let parsed = layered(&["config", "show", "--config", "m.toml"], &[], file).ok().unwrap();
    assert!(!parsed.shown.contains("hunter2") && parsed.shown.contains("a secret is not shown"), "{}", parsed.shown);
    assert_eq!(parsed.layers.warnings, ["warning: others can read m.toml"]);
    let Command::Config { command: ConfigCommand::Show { run: args, of: None }, .. } = parsed.command else {
        panic!("it is config show")
    };
    let given = crate::property::marked("sasl.password=hunter2");
    assert_eq!(args.kafka.properties, [given]);
    let no_secret = layered(&["--config", "m.toml"], &[], "window = '1m'").ok().unwrap();
    assert_eq!(no_secret.layers.warnings, Vec::<String>::new());
}

#[test]
fn the_settings_of_produce_are_shown_from_its_own_table() {
    let file = "source = 'file:a'\nrate = 5\n[run]\ntime-field = 'r'\n[produce]\nto = 'kafka://me:hunter2@b:1/t'\ntime-field = 'p'\nkafka.'sasl.password' = 'hunter2'";
    let words = ["produce", "--config", "m.toml", "--speed", "7"];
    for (key, line) in [
        ("time-field", "time-field = [\"p\"] # m.toml line 7"),
        ("rate", "rate = 5 # m.toml line 2"),
        ("speed", "speed = 7 # --speed"),
        ("stamp", "# stamp = # not given"),
        ("from", "from = \"sim:\" # default"),
        ("source", ""),
    ] {
        assert_eq!(shown(&words, &[], file, &format!("{key} =")), line);
    }
    let parsed = layered(&[&["config", "show"][..], &words].concat(), &[], file).ok().unwrap();
    assert!(!parsed.shown.contains("hunter2"), "{}", parsed.shown);
    assert_eq!(shown(&["--config", "m.toml"], &[], file, "time-field ="), "time-field = [\"r\"] # m.toml line 4");
}

#[test]
fn what_is_required_may_come_from_a_file() {
    assert!(matches!(layered(&["produce"], &[], ""), Err(EarlyExit::Usage(why)) if why.contains("--to")));
    let words = ["produce", "--config", "m.toml"];
    let Ok(Parsed { command: Command::Produce(args), .. }) = layered(&words, &[], "[produce]\nto = 'kafka://b:1/t'")
    else {
        panic!("it is given")
    };
    assert_eq!(args.to, "kafka://b:1/t");
    let Err(EarlyExit::Mistakes(all)) = layered(&words, &[], "wndow = 1") else { panic!("both are wrong") };
    assert!(all.len() == 2 && all[0].contains("wndow") && all[1].contains("--to"), "{all:?}");
}

#[test]
fn the_format_of_early_messages_is_found_in_words() {
    use crate::messages::MessageFormat::{Json, Text};
    let of = |words: &[&str], variable: Option<&str>| {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        early_format(&words, variable.map(str::to_owned))
    };
    assert_eq!((of(&["--log-format", "json"], None), of(&["--log-format=json"], Some("text"))), (Json, Json));
    assert_eq!((of(&[], Some("json")), of(&["--log-format", "text"], Some("json")), of(&[], None)), (Json, Text, Text));
}
