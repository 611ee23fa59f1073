//! RabbitMQ streams through a real server: rows and dead letters are the oracle's, whatever is killed in the middle; what cannot be
//! exact is refused.

use crate::common::program::{PATIENCE, Program};
use crate::common::rabbitmq::{OwnRabbit, Rabbit, log_of, tick};
use crate::common::rows::{Wanted, csv, letters, same, same_letters, sqlite};
use crate::common::{fresh, now, poll, rfc3339, rule_args, seed};
use crate::hostile::{self, Kind, Partition};
use crate::live::{SHORT, short};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{EventTime, SECOND};
use std::time::Duration;

/// A hostile log in streams of its own: their names, joined, and what they hold.
fn hostile_streams(rabbit: &Rabbit, rng: &mut fastrand::Rng, rule: &Rule, records: usize) -> (String, Vec<Partition>) {
    let drawn = hostile::log(rng, Kind::File, rule, 3, records);
    let mut names = Vec::new();
    let mut logs = Vec::new();
    for partition in drawn {
        let stream = rabbit.stream("hostile");
        let payloads: Vec<Vec<u8>> = partition.records.into_iter().filter_map(|record| record.payload).collect();
        rabbit.write(&stream, &payloads, None);
        logs.push(log_of(&stream, &payloads));
        names.push(stream);
    }
    (names.join(","), logs)
}

#[test]
fn hostile_streams_give_the_oracles_rows_at_any_worker_count_and_through_kills() {
    let Some(rabbit) = Rabbit::of_tests("hostile logs through RabbitMQ") else { return };
    let mut rng = seed();
    let rule = Rule::default();
    let (streams, log) = hostile_streams(&rabbit, &mut rng, &rule, 4000);
    let as_of = hostile::BEGAN.plus(86_400 * SECOND);
    let wanted = Wanted::of(&log, &rule, Some(as_of), false);
    for (workers, kills) in [(1, 0), (2, 0), (3, 6), (8, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let (db, data) = (folder.path().join("minutes.db"), folder.path().join("data"));
        let (source, sink) = (rabbit.uri(&streams), format!("sqlite:{}", db.display()));
        let as_of = rfc3339(as_of.0);
        let rule_args = rule_args(&rule);
        let start = |workers: usize| {
            let workers = workers.to_string();
            let mut args =
                vec!["--source", &source, "--sink", &sink, "--metrics", "avg", "--job", "hostile", "-w", &workers];
            args.extend(["--as-of", &as_of, "--until-end", "--close", "--checkpoint-interval", "20ms"]);
            if workers == "2" {
                args.extend(["--fetch-memory", "1MB"]); // less than one chunk has
            }
            args.extend(rule_args.iter().map(String::as_str));
            Program::start(&data, &args, &[])
        };
        let mut resumed = 0;
        for _ in 0..kills {
            let program = start(rng.usize(1..=8));
            std::thread::sleep(Duration::from_millis(rng.u64(50..900))); // how long it lives is drawn
            resumed += u32::from(program.said().contains("resuming from manifest"));
            drop(program); // kill -9
        }
        eprintln!("{workers} workers: {resumed} of {kills} lives went on with what the one before had committed");
        let ended = start(workers).ended(PATIENCE).well();
        same("sqlite", &sqlite(&db), &wanted.rows);
        same_letters(&letters(&data), &wanted.letters);
        let counts = ["counted", "late", "rejected", "quarantined"].map(|what| ended.done(what));
        let want = &wanted.counts;
        assert_eq!(counts, [want.counted, want.late, want.rejected, want.quarantined], "{}", ended.said);
    }
    eprintln!("{} rows, {:?}", wanted.rows.len(), wanted.counts);
}

#[test]
fn a_super_stream_gives_the_rows_that_the_market_gives() {
    let Some(rabbit) = Rabbit::of_tests("a market, produced to streams") else { return };
    let folder = tempfile::tempdir().unwrap();
    let market = "sim:?seed=12&partitions=3&rate=100&symbols=30&history=10m&late=1%&broken=0.5%&duplicate=1%";
    let to = rabbit.uri(&fresh("market"));
    let bounded = ["--until-end", "--as-of", "2026-01-06T15:00:00Z"];
    let data = |name: &str| folder.path().join(name);

    let produced = Program::produce(&[&["--from", market, "--to", &to], &bounded[..]].concat()).well();
    let total = produced.done("records");
    assert!(total > 50_000, "{}", produced.said);
    assert_eq!(produced.done("acknowledged"), total);

    let rows = |name: &str, source: &str, more: &[&str]| {
        let sink = format!("csv:{}", data(name).with_extension("csv").display());
        let args = ["--source", source, "--sink", &sink, "--emit", "final", "--close"];
        let ended = Program::run(&data(name), &[&args[..], &bounded, more].concat(), &[]).well();
        assert_eq!(ended.done("records"), total);
        let mut rows = csv(&data(name).with_extension("csv"));
        // The market's log begins at an offset above 0: its first minutes are partial, and others are not derived from them.
        for cells in rows.values_mut() {
            (cells.state, cells.derived) = ("any".into(), Vec::new());
        }
        (rows, letters(&data(name)).len())
    };
    let (from_streams, from_market) = (rows("streams", &to, &[]), rows("market", market, &[]));
    assert!(from_streams.0.len() > 200 && from_streams.1 > 100, "{} {}", from_streams.0.len(), from_streams.1);
    assert!(from_streams == from_market, "the streams give other rows than the market");
    let by_key = rows("keys", &to, &["--symbol-field", "@key", "--time-field", "@timestamp"]);
    assert!(!by_key.0.is_empty(), "keys and stamps are read again");

    // Another market does not fit into three streams, but by its keys.
    let wide = ["--from", "sim:?partitions=5", "--limit", "10", "--to"];
    let three = rabbit.uri(&(0..3).map(|_| rabbit.stream("wide")).collect::<Vec<_>>().join(","));
    Program::produce(&[&wide[..], &[&three]].concat()).refused(64, &["there are 3 streams and the source has 5"]);
    let keyed = Program::produce(&[&wide[..], &[&three, "--partition-by", "key"]].concat()).well();
    assert_eq!(keyed.done("acknowledged"), 10);
}

#[test]
fn queues_and_names_that_are_not_there_are_refused() {
    let Some(rabbit) = Rabbit::of_tests("queues that are no streams") else { return };
    let folder = tempfile::tempdir().unwrap();
    let refused = |streams: &str, parts: &[&str]| {
        let args = ["--source", &rabbit.uri(streams), "--sink", "stdout:", "--until-end"];
        Program::run(&folder.path().join("data"), &args, &[]).refused(64, parts);
    };
    for kind in ["classic", "quorum"] {
        let queue = rabbit.queue("queue", kind, &[("x-max-length-bytes", 1_000_000)]);
        rabbit.write(&queue, &[b"once".to_vec()], None);
        refused(&queue, &[&format!("is not a stream but a {kind} queue"), "x-queue-type=stream"]);
        Program::produce(&["--from", "sim:", "--limit", "1", "--to", &rabbit.uri(&queue)]).refused(64, &["no stream"]);
    }
    let stream = rabbit.queue("limited", "stream", &[("x-max-length-bytes", 1_000_000)]);
    rabbit.write(&stream, &[tick("A", 100, hostile::BEGAN)], None);
    let args = ["--source", &rabbit.uri(&stream), "--sink", "stdout:", "--until-end"];
    assert_eq!(Program::run(&folder.path().join("data"), &args, &[]).well().done("counted"), 1);
    refused(&fresh("nothing"), &["does not exist", "correct the name"]);
    let wrong = rabbit.uri("x").replacen("guest:guest", "guest:wrong", 1);
    let args = ["--source", &wrong, "--sink", "stdout:", "--until-end"];
    Program::run(&folder.path().join("data"), &args, &[]).refused(64, &["check user, password"]);
}

/// So many ticks of one a second, from this one on.
fn ticks(from: i64, count: i64) -> Vec<Vec<u8>> {
    (from..from + count).map(|at| tick("TICK", 100 + at, hostile::BEGAN.plus(at * SECOND))).collect()
}

#[test]
fn what_retention_took_before_it_was_read_ends_the_run() {
    let Some(rabbit) = Rabbit::of_tests("a stream that is trimmed") else { return };
    let small = [("x-max-length-bytes", 200_000), ("x-stream-max-segment-size-bytes", 100_000)];
    let stream = rabbit.queue("trimmed", "stream", &small);
    let folder = tempfile::tempdir().unwrap();
    let source = rabbit.uri(&stream);
    let db = |job: &str| folder.path().join(format!("{job}.db"));
    let run = |job: &str| {
        let sink = format!("sqlite:{}", db(job).display());
        let args = ["--source", &source, "--job", job, "--sink", &sink, "--metrics", "avg", "--until-end", "--close"];
        Program::run(&folder.path().join("data"), &args, &[])
    };
    rabbit.write(&stream, &ticks(0, 100), None);
    assert_eq!(run("first").well().done("records"), 100);
    (0..20).for_each(|part| rabbit.write(&stream, &ticks(100 + part * 1000, 1000), None));
    run("first").refused(65, &["retention", "--job NAME"]);
    // A run that begins now begins above 0, and says so.
    let ended = run("second").well();
    let states: std::collections::BTreeSet<String> =
        sqlite(&db("second")).into_values().map(|cells| cells.state).collect();
    assert_eq!(states.into_iter().collect::<Vec<_>>(), ["final", "partial"]);
    assert!((1..20_000).contains(&ended.done("records")), "{}", ended.said);
}

#[test]
fn a_stream_that_was_made_again_is_another_one() {
    let Some(rabbit) = Rabbit::of_tests("a stream that is made again") else { return };
    let stream = rabbit.stream("again");
    let folder = tempfile::tempdir().unwrap();
    let args = ["--source", &rabbit.uri(&stream), "--sink", "stdout:", "--until-end"];
    let run = || Program::run(&folder.path().join("data"), &args, &[]);
    rabbit.write(&stream, &ticks(0, 50), None);
    run().well();
    for records in [ticks(0, 20), ticks(7, 80)] {
        rabbit.delete(&stream);
        rabbit.declare(&stream, "stream", &[]);
        rabbit.write(&stream, &records, None);
        assert_eq!(run().code, Some(65), "{} records", records.len());
    }
}

#[test]
fn a_silent_stream_holds_nothing_back_once_its_end_is_known() {
    let Some(rabbit) = Rabbit::of_tests("idle streams") else { return };
    let (busy, silent, empty) = (rabbit.stream("busy"), rabbit.stream("silent"), rabbit.stream("empty"));
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("minutes.db");
    let (source, sink) = (rabbit.uri(&[busy.as_str(), &silent, &empty].join(",")), format!("sqlite:{}", db.display()));
    let began = now();
    let first = [tick("B", 100, began)];
    let old = [tick("S", 300, began.plus(-20 * SECOND))];
    rabbit.write(&busy, &first, None);
    rabbit.write(&silent, &old, None);
    let args = ["--source", &source, "--sink", &sink, "--metrics", "avg"];
    let mut run = Program::start(&folder.path().join("data"), &[&args[..], &SHORT].concat(), &[]);
    run.until("both are read", PATIENCE, |run| run.read() == 2);
    let later: Vec<Vec<u8>> = (1..4).map(|at| tick("B", 100 + at, began.plus(at * 10 * SECOND))).collect();
    rabbit.write(&busy, &later[..1], None);
    let state = |symbol: &str| {
        let rows = sqlite(&db);
        rows.iter().filter(|((_, of), _)| of == symbol).map(|(_, cells)| cells.state.clone()).collect::<Vec<_>>()
    };
    run.until("what is silent is final", PATIENCE, |_| state("S") == ["final"]);
    run.until("all is final in time", PATIENCE, |_| state("B").iter().all(|state| state == "final"));
    rabbit.write(&busy, &later[1..], None);
    run.until("the rest is read", PATIENCE, |run| run.read() == 5);
    let log = [log_of(&busy, &[&first[..], &later].concat()), log_of(&silent, &old), log_of(&empty, &[])];
    run.until("all is final", PATIENCE, |_| {
        let rows = sqlite(&db);
        rows.len() == 5 && rows.values().all(|cells| cells.state == "final")
    });
    run.stopped();
    same("rows", &sqlite(&db), &Wanted::of(&log, &short(), None, false).rows);
}

#[test]
fn a_server_that_is_killed_in_the_middle_loses_nothing() {
    let Some(own) = OwnRabbit::start("a RabbitMQ that is killed") else { return };
    let rabbit = &own.rabbit;
    let (stream, produced) = (rabbit.stream("killed"), rabbit.stream("produced"));
    let folder = tempfile::tempdir().unwrap();
    let db = folder.path().join("minutes.db");
    let (source, sink) = (rabbit.uri(&format!("{stream},{produced}")), format!("sqlite:{}", db.display()));
    let began = EventTime(now().0 - 7200 * SECOND);
    let of = |symbol: &str| -> Vec<Vec<u8>> {
        (0..4000).map(|at| tick(symbol, 100 + at, began.plus(at * SECOND))).collect()
    };
    let (own_ticks, produced_ticks) = (of("K"), of("P"));
    let file = folder.path().join("ticks.jsonl");
    std::fs::write(&file, produced_ticks.join(&b"\n"[..])).unwrap();
    let args = ["--source", &source, "--sink", &sink, "--metrics", "avg"];
    let mut run = Program::start(&folder.path().join("data"), &[&args[..], &SHORT].concat(), &[]);
    let (from, to) = (format!("file:{}", file.display()), rabbit.uri(&produced));
    // 250 a second
    let producer = Program::producing(&["--from", &from, "--to", &to, "--speed", "250"], &[]);
    let is_silent = |run: &Program| run.live().is_some_and(|line| line.contains("no answer from rabbitmq at"));
    let is_long = std::env::var_os("MINUTELY_TEST_LONG").is_some();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            own_ticks.chunks(100).for_each(|part| {
                rabbit.write(&stream, part, None);
                std::thread::sleep(Duration::from_millis(200)); // so that the kills come into the middle
            })
        });
        for number in 0..2 {
            let so_far = run.read();
            run.until("it reads", PATIENCE, |run| run.read() > so_far + 500);
            own.kill(); // perhaps before all of it is read
            run.until("the line says it", PATIENCE, is_silent);
            if is_long && number == 0 {
                std::thread::sleep(Duration::from_secs(60)); // how long it is away
            }
            own.again();
            run.until("it reads again", PATIENCE, |run| !is_silent(run));
        }
        writing.join().unwrap();
    });
    let ended = producer.ended(PATIENCE).well();
    assert_eq!((ended.done("records"), ended.done("acknowledged")), (4000, 4000), "{}", ended.said);
    let log = [rabbit.log_with(&stream, &own_ticks), rabbit.log_with(&produced, &produced_ticks)];
    let total = log.iter().map(|partition| partition.records.len()).sum::<usize>();
    eprintln!("{} of {total} records are there twice", total - 8000);
    let wanted = Wanted::of(&log, &short(), None, false).rows;
    run.until("all is read", PATIENCE, |run| run.read() == i64::try_from(total).unwrap());
    run.until("all is final", PATIENCE, |_| {
        let rows = sqlite(&db);
        rows.len() == wanted.len() && rows.values().all(|cells| cells.state == "final")
    });
    run.stopped();
    same("rows", &sqlite(&db), &wanted);
}

#[test]
fn a_run_begins_at_the_end_or_at_a_time() {
    let Some(rabbit) = Rabbit::of_tests("--start of streams") else { return };
    let stream = rabbit.stream("begun");
    let folder = tempfile::tempdir().unwrap();
    let source = rabbit.uri(&stream);
    let run = |job: &str, start: &str| {
        let args = ["--source", &source, "--job", job, "--sink", "stdout:", "--until-end", "--start", start];
        Program::run(&folder.path().join("data"), &args, &[]).well().done("records")
    };
    rabbit.write(&stream, &ticks(0, 100), None);
    assert_eq!(run("latest", "latest"), 0);
    // The server tells chunks apart by their time, and AMQP gives it in seconds.
    let between = now().plus(SECOND);
    poll("the next second", PATIENCE, || (now() > between).then_some(()));
    rabbit.write(&stream, &ticks(100, 50), None);
    assert_eq!(run("between", &rfc3339(between.0)), 50);
    assert_eq!(run("before", &rfc3339(hostile::BEGAN.0)), 150);
    assert_eq!(run("after", &rfc3339(now().plus(3600 * SECOND).0)), 0);
    assert_eq!(run("earliest", "earliest"), 150);
    // What ended at the end goes on from there, and a live run reads what comes later.
    assert_eq!(run("latest", "latest"), 50);
    let args = ["--source", &source, "--job", "live", "--sink", "stdout:", "--start", "latest"];
    let mut live = Program::start(&folder.path().join("data"), &args, &[]);
    live.until("it has begun", PATIENCE, |live| live.live().is_some());
    rabbit.write(&stream, &ticks(150, 30), None);
    live.until("it reads", PATIENCE, |live| live.read() == 30);
    live.stopped();
}

#[test]
fn a_server_is_known_by_its_certificate() {
    let Some(rabbit) = Rabbit::of_tests("RabbitMQ by TLS") else { return };
    let stream = rabbit.stream("encrypted");
    let Some((uri, ca)) = rabbit.encrypted_uri(&stream) else { return };
    let folder = tempfile::tempdir().unwrap();
    let ca = ca.display().to_string();
    let known = [("SSL_CERT_FILE", ca.as_str())];
    let args = ["--source", &uri, "--sink", "stdout:", "--until-end"];
    let data = folder.path().join("data");
    let produce = ["--from", "sim:?partitions=1", "--limit", "200", "--to", &uri];
    let produced = Program::producing(&produce, &known).ended(PATIENCE).well();
    assert_eq!(produced.done("acknowledged"), 200);
    assert_eq!(Program::run(&data, &args, &known).well().done("records"), 200);
    // Its own CA is none that the system knows.
    Program::run(&data, &args, &[]).refused(64, &["certificate is not trusted", "SSL_CERT_FILE"]);
    Program::produce(&produce).refused(64, &["certificate is not trusted", "SSL_CERT_FILE"]);
    // The name in the certificate is another one.
    let elsewhere = uri.replacen("@localhost", "@127.0.0.1", 1);
    let args = ["--source", &elsewhere, "--sink", "stdout:", "--until-end"];
    Program::run(&data, &args, &known)
        .refused(64, &["certificate is not trusted", "write the host as the certificate has it"]);
}

#[test]
fn a_stream_may_have_any_name() {
    let Some(rabbit) = Rabbit::of_tests("names of streams") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, written) in [
        ("a/b,c d%", "a%2Fb%2Cc%20d%25"),
        ("Kurse ü €?#&=", "Kurse%20ü%20%E2%82%AC%3F%23&="),
        ("\"quoted\" @home:[1]", "%22quoted%22%20%40home%3A%5B1%5D"),
    ] {
        let unique = format!("-{:x}", fastrand::u32(..));
        let (stream, source) = (format!("{name}{unique}"), rabbit.uri(&format!("{written}{unique}")));
        let produced = Program::produce(&["--from", "sim:?partitions=1&broken=5%", "--limit", "500", "--to", &source]);
        assert_eq!(produced.well().done("acknowledged"), 500, "{stream}");
        let data = folder.path().join(&unique);
        let db = data.with_extension("db");
        let sink = format!("sqlite:{}", db.display());
        let args = ["--source", &source, "--sink", &sink, "--until-end", "--close"];
        let ended = Program::run(&data, &args, &[]).well();
        assert_eq!(ended.done("records"), 500, "{stream}");
        let rejected = letters(&data);
        assert!(
            !rejected.is_empty() && rejected.iter().all(|letter| letter["topic"] == stream.as_str()),
            "{rejected:?}"
        );
        // The state is found again under that name.
        rabbit.write(&stream, &ticks(0, 20), None);
        let again = Program::run(&data, &args, &[]).well();
        assert_eq!(again.done("records"), 520, "{stream}");
        assert!(again.said.contains("(500 records already read)"), "{stream}: {}", again.said);
        rabbit.delete(&stream);
    }
}

#[test]
fn whom_the_server_does_not_know_is_told() {
    let Some(rabbit) = Rabbit::of_tests("logins of RabbitMQ") else { return };
    let stream = rabbit.stream("login");
    rabbit.write(&stream, &ticks(0, 5), None);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let secret = folder.path().join("secret");
    let login = |part: &str| rabbit.uri(&stream).replacen("guest:guest@", part, 1);
    let by_file = format!("{}?password_file={}", login("guest@"), secret.display());
    let by_variable = format!("{}?password_env=RABBIT_SECRET", login("guest@"));
    let read = |source: &str, password: &str| {
        std::fs::write(&secret, format!("{password}\n")).unwrap();
        let args = ["--source", source, "--sink", "stdout:", "--until-end", "--job", "login"];
        Program::run(&data, &args, &[("RABBIT_SECRET", password)])
    };
    read(&by_file, "guest").well();
    read(&by_variable, "guest").well();
    let wrong = ["check user, password and virtual host"];
    for source in [&by_file, &by_variable] {
        let ended = read(source, "hunter2");
        ended.refused(64, &wrong);
        assert!(!ended.said.contains("hunter2"), "{}", ended.said);
    }
    read(&login("nobody:guest@"), "").refused(64, &wrong);
    let elsewhere = rabbit.uri(&format!("nowhere/{stream}"));
    read(&elsewhere, "").refused(64, &["nowhere"]);
    for to in [login("guest:hunter2@"), elsewhere] {
        let ended = Program::produce(&["--from", "sim:", "--limit", "1", "--to", &to]);
        ended.refused(64, &["check user, password, virtual host"]);
        assert!(!ended.said.contains("hunter2"), "{}", ended.said);
    }
}
