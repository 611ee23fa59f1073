//! The state in a bucket of real servers: S3 by SeaweedFS, and by moto as a second opinion; Azure by Azurite.

use crate::common::bucket::Prefix;
use crate::common::program::{Ended, PATIENCE, Program, command};
use crate::common::rows::{Wanted, csv, csv_lines, letters, same, same_letters, sqlite};
use crate::common::{rfc3339, rule_args, seed};
use crate::hostile::{self, Kind, Partition};
use crate::killed::killed_over_and_over;
use crate::zombie::taken_over;
use fastrand::Rng;
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{EventTime, SECOND};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Manifests that a state keeps.
const KEPT: usize = 100;
/// More than that.
const MANY: u64 = 120;

/// A log in files, and a job that reads it to its end into two sinks.
struct Job {
    log: Vec<Partition>,
    rule: Rule,
    as_of: EventTime,
    folder: tempfile::TempDir,
    prefix: Prefix,
}

impl Job {
    fn new(rng: &mut Rng, prefix: &Prefix, records: usize) -> Self {
        let rule = Rule::default();
        let log = hostile::log(rng, Kind::File, &rule, 4, records);
        let folder = tempfile::tempdir().unwrap();
        for partition in &log {
            let lines = partition.records.iter().flat_map(|r| [r.payload.as_deref().unwrap(), b"\n"]);
            std::fs::write(folder.path().join(&partition.name.log), lines.collect::<Vec<_>>().concat()).unwrap();
        }
        Job { log, rule, as_of: hostile::BEGAN.plus(1800 * SECOND), folder, prefix: prefix.clone() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn start(&self, workers: usize, more: &[&str]) -> Program {
        let mut args = rule_args(&self.rule);
        let own = [
            ("--source", format!("file:{}", self.path("part-*.jsonl").display())),
            ("--sink", format!("sqlite:{}", self.path("rows.db").display())),
            ("--sink", format!("csv:{}", self.path("rows.csv").display())),
            ("--job", "job".to_owned()),
            ("--emit", "final".to_owned()),
            ("--as-of", rfc3339(self.as_of.0)),
            ("--state", self.prefix.uri()),
            ("-w", workers.to_string()),
        ];
        args.extend(own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Program::start(&self.data(), &args, &self.prefix.env())
    }

    /// What came out is the oracle's, each row once.
    fn is_exact(&self, ended: &Ended) {
        let wanted = Wanted::of(&self.log, &self.rule, Some(self.as_of), true);
        same("sqlite", &sqlite(&self.path("rows.db")), &wanted.rows);
        same("csv", &csv(&self.path("rows.csv")), &wanted.rows);
        assert_eq!(csv_lines(&self.path("rows.csv")).len(), wanted.rows.len(), "one row a point");
        same_letters(&letters(&self.data()), &wanted.letters);
        assert_eq!(ended.done("counted"), wanted.counts.counted, "{}", ended.said);
        assert_eq!(ended.kept(), wanted.counts.counted, "{}", ended.said);
    }
}

/// How `minutely state WHAT` ended: its code, and all that it said.
fn state(what: &[&str], prefix: &Prefix) -> (Option<i32>, String) {
    let mut command: Command = command();
    command.envs(prefix.env()).arg("state").args(what).args(["--state", &prefix.uri()]);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout) + &text(output.stderr))
}

/// It is whole, and holds what its head needs and nothing else.
fn is_whole_and_collected(prefix: &Prefix) {
    let (code, said) = state(&["check"], prefix);
    assert!(code == Some(0) && said.starts_with("ok: "), "{said}");
    let manifests = prefix.manifests();
    assert!(manifests.len() <= KEPT, "{manifests:?}");
    let (first, last) = (manifests[0], manifests[manifests.len() - 1]);
    assert_eq!(manifests, (first..=last).collect::<Vec<_>>(), "without a gap");
    let head = Manifest::decode(&prefix.get(&format!("manifest/{last:020}"))).unwrap();
    let mut needed: Vec<String> = head.objects().map(|object| format!("object/{}", object.name)).collect();
    needed.sort();
    let objects: Vec<String> = prefix.names().into_iter().filter(|name| name.starts_with("object/")).collect();
    let (here, left): (Vec<_>, Vec<_>) = objects.into_iter().partition(|name| needed.contains(name));
    assert_eq!(here, needed);
    // Of cuts that the last run did not commit any more, and of the run before it, whose requests were on their way when it was taken over;
    // the next one deletes them.
    let late = [head.generation, head.generation - 1].map(|generation| format!("object/{generation:06}-"));
    let is_late = |name: &String| late.iter().any(|run| name.starts_with(run));
    assert!(left.len() <= 2 * 3 * 8 && left.iter().all(is_late), "{late:?}: {left:?}");
}

#[test]
fn killed_over_and_over_the_rows_are_the_oracles() {
    for prefix in Prefix::of_tests("a bounded run that is killed, with its state in a bucket") {
        eprintln!("{}", prefix.server);
        let mut rng = seed();
        let job = Job::new(&mut rng, &prefix, 60_000);
        let often = ["--checkpoint-interval", "20ms"];
        let taking = [&often[..], &["--take-over"]].concat();
        let mut resumed = 0;
        for _ in 0..8 {
            let run = job.start(rng.usize(1..=4), &taking);
            std::thread::sleep(Duration::from_millis(rng.u64(50..900))); // how long it lives is drawn
            resumed += i32::from(run.said().contains("resuming from manifest"));
            drop(run); // kill -9
        }
        eprintln!("{resumed} lives resumed from what another had committed");
        let begun = Instant::now();
        let ended = job.start(3, &often).ended(PATIENCE).well();
        assert!(begun.elapsed() >= Duration::from_secs(12), "it looks whether another run writes the state");
        job.is_exact(&ended);
        is_whole_and_collected(&prefix);
        let (code, said) = state(&["show"], &prefix);
        assert!(code == Some(0) && said.contains(&prefix.uri()), "{said}");
    }
}

/// A run that lives on, of a market that is made up.
fn live(data: &Path, prefix: &Prefix, more: &[&str]) -> Program {
    let uri = prefix.uri();
    let args =
        ["--source", "sim:?rate=2000&partitions=3", "--job", "job", "--sink", "stdout:", "--state", &uri, "-w", "2"];
    Program::start(data, &[&args[..], &["--checkpoint-interval", "50ms"], more].concat(), &prefix.env())
}

fn commits(run: &mut Program, prefix: &Prefix, many: u64) -> u64 {
    let began = prefix.manifests().last().copied().unwrap_or(0);
    run.until("it commits", PATIENCE, |_| prefix.manifests().last().copied().unwrap_or(0) >= began + many);
    began
}

#[test]
fn one_run_owns_a_bucket_and_one_that_slept_commits_no_more() {
    for prefix in Prefix::of_tests("a second owner and a zombie, with the state in a bucket") {
        eprintln!("{}", prefix.server);
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut first = live(&data, &prefix, &[]);
        commits(&mut first, &prefix, 3);
        let second = live(&data, &prefix, &[]).ended(PATIENCE);
        second.is_fenced("another run owns it (its manifest was");
        assert!(second.said.contains("--take-over"), "{}", second.said);

        // Silent for longer than an owner ever is.
        first.signal("STOP");
        let mut second = live(&data, &prefix, &[]);
        commits(&mut second, &prefix, MANY);
        let (code, said) = state(&["check"], &prefix);
        assert_eq!(code, Some(0), "beside its owner: {said}");
        first.signal("CONT");
        first.ended(PATIENCE).is_fenced("another run has taken it over");
        commits(&mut second, &prefix, 3);
        second.stopped();
        is_whole_and_collected(&prefix);
    }
}

#[test]
fn on_kafka_killed_at_any_moment_nothing_is_lost_or_counted_twice() {
    for (prefix, emit) in Prefix::of_tests("kill -9, with the state in a bucket").iter().zip(["changes", "final"]) {
        eprintln!("{}, --emit {emit}", prefix.server);
        killed_over_and_over(emit, Some(prefix));
        is_whole_and_collected(prefix);
    }
}

#[test]
fn on_kafka_a_run_that_was_taken_over_harms_nothing() {
    for (prefix, emit) in Prefix::of_tests("a zombie, with the state in a bucket").iter().zip(["final", "changes"]) {
        eprintln!("{}, --emit {emit}", prefix.server);
        taken_over(emit, Some(prefix));
        is_whole_and_collected(prefix);
    }
}

/// As docs/operations.md says: the run is stopped, its prefix is copied, the copy is checked, and a run starts from it.
#[test]
fn a_copy_of_a_bucket_s_state_is_a_backup() {
    for prefix in Prefix::of_tests("a backup of a state in a bucket") {
        eprintln!("{}", prefix.server);
        let mut rng = seed();
        let job = Job::new(&mut rng, &prefix, 20_000);
        let often = ["--checkpoint-interval", "20ms", "--take-over"];
        let mut run = job.start(2, &often);
        run.until("it has committed", PATIENCE, |_| prefix.manifests().len() > 2);
        run.terminate();
        run.ended(PATIENCE).well();
        let copy = prefix.another();
        prefix.names().iter().for_each(|name| copy.put(name, prefix.get(name)));
        let (code, said) = state(&["check"], &copy);
        assert!(code == Some(0) && said.starts_with("ok: "), "{said}");
        // What a copy of a part says.
        let names = copy.names();
        let missing = names.iter().find(|name| name.starts_with("object/")).expect("there is one");
        copy.delete(missing);
        let (code, said) = state(&["check"], &copy);
        assert!(code == Some(65) && said.contains(missing), "{said}");
        copy.put(missing, prefix.get(missing));
        let restored = Job { prefix: copy.clone(), ..job };
        let ended = restored.start(3, &often).ended(PATIENCE).well();
        assert!(ended.said.contains("resuming from manifest"), "{}", ended.said);
        restored.is_exact(&ended);
        is_whole_and_collected(&copy);
    }
}

#[test]
fn damage_in_a_bucket_is_named_and_the_state_is_moved_aside() {
    for prefix in Prefix::of_tests("damage of a state in a bucket, and its rebuilding") {
        eprintln!("{}", prefix.server);
        let mut rng = seed();
        let job = Job::new(&mut rng, &prefix, 3_000);
        job.start(2, &["--keep-open"]).ended(PATIENCE).well();
        is_whole_and_collected(&prefix);
        let names = prefix.names();
        assert!(names.iter().any(|name| name.starts_with("object/")), "{names:?}");
        for name in [names.first().unwrap(), names.iter().rfind(|name| name.starts_with("object/")).unwrap()] {
            let whole = prefix.get(name);
            let mut flipped = whole.clone();
            let at = rng.usize(..flipped.len());
            flipped[at] ^= 1;
            prefix.put(name, flipped);
            let file = format!("{}/{name}", prefix.uri());
            let (code, said) = state(&["check"], &prefix);
            assert!(code == Some(65) && said.contains(&file), "{said}");
            let refused = job.start(2, &["--take-over"]).ended(PATIENCE);
            assert!(refused.code == Some(65) && refused.said.contains(&file), "{}", refused.said);
            prefix.delete(name);
            let (code, said) = state(&["check"], &prefix);
            assert!(code == Some(65) && said.contains(&file) && said.contains("is not there"), "{said}");
            prefix.put(name, whole);
        }
        let all: Vec<(String, Vec<u8>)> = names.iter().map(|name| (name.clone(), prefix.get(name))).collect();
        let (code, said) = state(&["rebuild"], &prefix);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(prefix.names(), Vec::<String>::new());
        let aside = said.split_whitespace().find(|word| word.starts_with(&format!("{}.old-", prefix.uri())));
        let aside = aside.unwrap_or_else(|| panic!("no place is named: {said}")).trim_end_matches([',', ';', ':']);
        let aside = Prefix { name: aside.split_once("states/").unwrap().1.to_owned(), ..prefix.clone() };
        let moved: Vec<(String, Vec<u8>)> = aside.names().iter().map(|name| (name.clone(), aside.get(name))).collect();
        assert_eq!(moved, all);
        let (code, said) = state(&["check"], &aside);
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = state(&["rebuild"], &prefix);
        assert!(code == Some(64) && said.contains("there is none"), "{said}");
        assert!(names.iter().all(|name| !name.starts_with("probe-")), "{names:?}");
    }
}
