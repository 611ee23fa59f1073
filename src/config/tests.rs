//! What command lines mean.

use super::*;
use crate::cli::Command;
use minutely_dataflows::partition::Rule;

fn config(args: &[&str]) -> Result<Config, Vec<String>> {
    let words: Vec<String> = ["minutely"].iter().chain(args).map(|word| (*word).to_owned()).collect();
    let Ok(Command::Run(args)) = crate::cli::parse_words(&words) else { panic!("{words:?} is no run") };
    Config::of(&args).map_err(|errors| errors.iter().map(str::to_owned).collect())
}

#[test]
fn defaults_run_the_built_in_market_into_sqlite() {
    let config = config(&["-w", "8"]).unwrap();
    assert_eq!((config.cluster.workers, config.metrics, config.emit), (8, Metrics::Market, Emit::Changes));
    assert_eq!(config.settings.rule, Rule::default());
    assert!(!config.settings.bounded && config.sinks[0].starts_with("sqlite:./minutely-data/sim-"));
    assert_eq!(config.settings.max_keys, Settings::default().max_keys);
}

#[test]
fn all_errors_are_reported_at_once() {
    let words = "--source nowhere: --sink influxdb1://h --state ftp://bucket --http 0.0.0.0:80 --format xml --window 0 \
                 --lateness 1 --emit all -w 0 -n x --as-of today --keep-open --complete-from yesterday --max-keys many \
                 -X sasl.password=hunter2 --fetch-memory 5 --job ../x --time-unit h --symbol-field @key --max-past 1y";
    let words: Vec<_> = words.split(' ').chain(["--value-field", ""]).collect();
    let errors = config(&words).unwrap_err();
    for part in [
        "source `nowhere:`",
        "after the host comes the database",
        "--state ftp://bucket: is not known; it takes a folder",
        "--http 0.0.0.0:80: others could reach it",
        "--format xml: is not one of json, csv, tsv",
        "--window 0: takes a duration such as 500ms, 90s, 1h30m or 1d, from 1 ms to 366 d",
        "--lateness 1:",
        "--max-past 1y:",
        "--emit all: is not one of changes, final",
        "-w 0:",
        "-n x:",
        "--as-of today:",
        "--keep-open: goes with",
        "--complete-from yesterday:",
        "-X sasl.password:",
        "--max-keys many:",
        "--fetch-memory 5: takes a size such as 64MB",
        "--job ../x:",
        "--time-unit h: is not one of s, ms, us, ns",
        "have no keys",
    ] {
        assert!(errors.iter().any(|m| m.contains(part)), "{part} is not in {errors:#?}");
    }
    assert!(!errors.concat().contains("hunter2"), "a secret is never shown");
}

#[test]
fn a_password_that_is_given_in_a_wrong_way_is_not_reported_missing() {
    for password in ["sasl.password=hunter2", "sasl.password=env:MINUTELY_NO_SUCH", "sasl.password=file:/no/such"] {
        let args =
            ["--source", "kafka://b:1/t", "-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=PLAIN"];
        let errors = config(&[&args[..], &["-X", "sasl.username=alice", "-X", password]].concat()).unwrap_err();
        assert!(errors.len() == 1 && errors[0].starts_with("-X sasl.password: "), "{errors:?}");
    }
    let empty = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(empty.path(), "\n").unwrap();
    let given = format!("sasl.password=file:{}", empty.path().display());
    let errors = config(&["--source", "kafka://b:1/t", "-X", "sasl.username=alice", "-X", &given]).unwrap_err();
    let why = format!("-X sasl.password: file {}: the file is empty", empty.path().display());
    assert_eq!(errors, [why]);
}

#[test]
fn a_sink_that_is_given_again_is_reported_once() {
    let again = ["--sink", "csv:a.csv"].repeat(3);
    assert_eq!(config(&again).unwrap_err(), ["--sink csv:a.csv is given twice"]);
}

#[test]
fn durations_are_as_people_write_them() {
    let config = config(&["--window", "90s", "--lateness", "1h30m", "--idle", "250ms", "--max-ahead", "1d"]).unwrap();
    let (rule, ms) = (config.settings.rule, 1_000_000);
    assert_eq!((rule.windowing.length, rule.windowing.lateness), (90_000 * ms, 5_400_000 * ms));
    assert_eq!((rule.idle, rule.max_ahead), (250 * ms, 86_400_000 * ms));
}

#[test]
fn a_path_may_have_spaces() {
    let config = config(&["--sink", "csv:my minutes.csv", "--sink", "sqlite:m.db"]).unwrap();
    assert_eq!(config.sinks, ["csv:my minutes.csv", "sqlite:m.db"]);
}

#[test]
fn a_cluster_without_a_key_stays_on_loopback() {
    let two = config(&["-n", "2", "-p", "1"]).unwrap().cluster;
    assert_eq!(two.addresses, ["127.0.0.1:2101", "127.0.0.1:2102"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "127.0.0.1:3000\n192.0.2.1:3000\n").unwrap();
    let errors = config(&["-n", "2", "-h", file.path().to_str().unwrap()]).unwrap_err();
    assert!(errors.len() == 1 && errors[0].contains("192.0.2.1:3000 is not on this machine"), "{errors:?}");
    assert!(errors[0].contains("--cluster-key-file"), "{errors:?}");
    let key = tempfile::NamedTempFile::new().unwrap();
    let with_key = |key: &std::path::Path| {
        config(&["-n", "2", "-h", file.path().to_str().unwrap(), "--cluster-key-file", key.to_str().unwrap()])
    };
    std::fs::write(key.path(), "0123456789abcdef").unwrap();
    let errors = with_key(key.path()).unwrap_err();
    assert!(errors.len() == 1 && errors[0].contains("is a key of 8 bytes"), "{errors:?}");
    std::fs::write(key.path(), crate::cluster::ClusterKey::random().unwrap().text()).unwrap();
    assert_eq!(with_key(key.path()).unwrap().cluster.addresses[1], "192.0.2.1:3000");
    assert!(with_key(std::path::Path::new("/nowhere")).unwrap_err()[0].starts_with("--cluster-key-file /nowhere: "));
    assert!(config(&["-n", "2", "-p", "2"]).unwrap_err()[0].contains("-p 2"));
    assert!(config(&["-n", "64", "-w", "8"]).unwrap_err()[0].contains("at most 256"));
}

#[test]
fn the_job_is_named_by_what_it_means() {
    let folder = |args: &[&str]| config(args).unwrap().folder;
    assert_eq!(folder(&[]), folder(&["-w", "3", "--sink", "stdout:"]));
    assert_ne!(folder(&[]), folder(&["--lateness", "1m"]));
    // What was added to the semantics since has changed no name.
    let kafka = |more: &[&str]| folder(&[&["--data", "d", "--source", "kafka://a:1/ticks"], more].concat());
    assert_eq!(folder(&["--data", "d"]), PathBuf::from("d/sim-54e98843"));
    assert_eq!(folder(&["--data", "d", "--source", "file:/ticks/a.jsonl"]), PathBuf::from("d/file-f6d476ec"));
    assert_eq!(kafka(&[]), PathBuf::from("d/kafka-970ca490"));
    assert_eq!(kafka(&["-X", "isolation.level=read_committed", "-X", "fetch.wait.max.ms=5"]), kafka(&[]));
    assert_ne!(kafka(&["--complete-from", "2026-01-01T00:00:00Z"]), kafka(&[]));
    let same = ["2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00+01:00"].map(|time| kafka(&["--complete-from", time]));
    assert_eq!(same[0], same[1]);
    let uncommitted = kafka(&["-X", "isolation.level=read_uncommitted"]);
    assert_ne!(uncommitted, kafka(&[]));
    assert_eq!(kafka(&["-X", "isolation.level=READ_UNCOMMITTED"]), uncommitted);
    assert_eq!(folder(&["--job", "mine", "--data", "d"]), PathBuf::from("d/mine"));
}
