//! A broker that lets in whom it knows: TLS, certificates on both sides, and passwords by SCRAM, for a run and for
//! `minutely produce`. Whoever is not let in is told what to correct.

use crate::common::kafka::OwnKafka;
use crate::common::program::{PATIENCE, Program};
use crate::common::rows::{Wanted, csv, same};
use minutely_dataflows::partition::Rule;
use std::path::{Path, PathBuf};
use std::process::Command;

const PASSWORD: &str = "alice-secret";

/// A listener, the properties that it takes, and where the password is.
struct Way {
    listener: &'static str,
    properties: Vec<String>,
    password: Option<&'static str>,
}

impl Way {
    fn new(listener: &'static str, properties: &[(&str, &str)], password: Option<&'static str>) -> Self {
        let security = [("security.protocol", listener)];
        let all = security.iter().chain(properties).map(|(name, value)| format!("{name}={value}"));
        Way { listener, properties: all.collect(), password }
    }

    fn args(&self) -> Vec<&str> {
        self.properties.iter().flat_map(|property| ["-X", property]).collect()
    }

    fn env(&self) -> Vec<(&str, &str)> {
        self.password.map(|password| ("MINUTELY_KAFKA_PASSWORD", password)).into_iter().collect()
    }
}

/// Our certificate, signed by itself: nobody knows us.
fn stranger(folder: &Path) -> (PathBuf, PathBuf) {
    let (key, certificate) = (folder.join("stranger.key"), folder.join("stranger.crt"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=stranger", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (key, certificate)
}

#[test]
fn whom_the_broker_knows_is_let_in_and_others_are_told_what_to_correct() {
    let Some(broker) = OwnKafka::secure("TLS, certificates and SCRAM") else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = |path: PathBuf| path.display().to_string();
    let (ca, certificate, key) = (
        text(broker.file("secure/ca.pem")),
        text(broker.file("secure/client.crt")),
        text(broker.file("secure/client.key")),
    );
    let from_file = folder.path().join("password");
    std::fs::write(&from_file, format!("{PASSWORD}\n")).unwrap();
    let from_file = format!("file:{}", from_file.display());
    let scram = |listener, mechanism, password| {
        let properties = [("sasl.mechanism", mechanism), ("sasl.username", "alice"), ("ssl.ca.location", ca.as_str())];
        Way::new(listener, &properties, password)
    };
    let known = [
        Way::new(
            "SSL",
            &[("ssl.ca.location", &ca), ("ssl.certificate.location", &certificate), ("ssl.key.location", &key)],
            None,
        ),
        scram("SASL_SSL", "SCRAM-SHA-512", Some(PASSWORD)),
        Way::new(
            "SASL_PLAINTEXT",
            &[("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.username", "alice"), ("sasl.password", &from_file)],
            None,
        ),
    ];
    let market = "sim:?seed=7&partitions=2&rate=100&symbols=5&history=5m&late=1%&broken=1%";
    let bounded = ["--until-end", "--as-of", "2026-01-06T15:00:00Z"];
    for way in &known {
        let topic = broker.kafka.topic("secure", 2, &[]);
        let uri = format!("kafka://{}/{topic}", broker.listener(way.listener));
        let args = [&["--from", market, "--to", &uri], &bounded[..], &way.args()].concat();
        let total = Program::producing(&args, &way.env()).ended(PATIENCE).well().done("acknowledged");
        assert!(total > 20_000, "{total}");

        let rows = folder.path().join(format!("{topic}.csv"));
        let sink = format!("csv:{}", rows.display());
        let args =
            [&["--source", &uri, "--sink", &sink, "--metrics", "avg", "--close"], &bounded[..], &way.args()].concat();
        let ended = Program::run(&folder.path().join(&topic), &args, &way.env()).well();
        assert_eq!(ended.done("records"), total, "{}", way.listener);
        let log = broker.kafka.read_back(&topic); // by the listener that asks for nothing
        let as_of = minutely_dataflows::time::EventTime(1_767_711_600_000_000_000);
        let wanted = Wanted::of(&log, &Rule::default(), Some(as_of), false);
        assert!(wanted.rows.len() > 20 && wanted.counts.read == total, "{:?}", wanted.counts);
        same(way.listener, &csv(&rows), &wanted.rows);
    }

    let (their_key, their_certificate) = stranger(folder.path());
    let (their_key, their_certificate) = (text(their_key), text(their_certificate));
    let password = "the broker does not let this user in: correct -X sasl.username, -X sasl.mechanism or the password";
    let tls = "no connection by TLS: correct -X ssl.ca.location";
    let unknown = [
        (scram("SASL_SSL", "SCRAM-SHA-512", Some("n0t-the-passw0rd")), password),
        (
            Way {
                password: Some(PASSWORD),
                ..Way::new("SASL_SSL", &[("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.username", "alice")], None)
            },
            tls,
        ),
        (Way::new("SSL", &[("ssl.ca.location", &ca)], None), tls),
        (
            Way::new(
                "SSL",
                &[
                    ("ssl.ca.location", &ca),
                    ("ssl.certificate.location", &their_certificate),
                    ("ssl.key.location", &their_key),
                ],
                None,
            ),
            tls,
        ),
    ];
    let topic = broker.kafka.topic("closed", 1, &[]);
    other_protocols(&broker, &topic, &ca);
    let run = |(way, _): &(Way, &str)| {
        let uri = format!("kafka://{}/{topic}", broker.listener(way.listener));
        let read =
            [&["--source", &uri, "--sink", "stdout:", "--state", "none", "--until-end"], &way.args()[..]].concat();
        let write = [&["--from", "sim:?history=1m", "--to", &uri, "--until-end"], &way.args()[..]].concat();
        let (read, write) =
            (Program::start(&folder.path().join("refused"), &read, &way.env()), Program::producing(&write, &way.env()));
        [read, write]
    };
    let running: Vec<_> = unknown.iter().map(run).collect();
    for ((_, why), programs) in unknown.iter().zip(running) {
        for program in programs {
            let ended = program.ended(PATIENCE);
            ended.refused(64, &[why]);
            assert!(!ended.said.contains("n0t-the-passw0rd") && !ended.said.contains(PASSWORD), "{}", ended.said);
        }
    }
    assert!(broker.kafka.read_back(&topic).iter().all(|partition| partition.records.is_empty()));
}

/// Each listener, spoken to as another wants it: what was seen, and the setting that would be right. 69 where a proxy could
/// have done that, too.
fn other_protocols(broker: &OwnKafka, topic: &str, ca: &str) {
    let plain = || broker.kafka.address.clone();
    let user = ["-X", "sasl.mechanism=SCRAM-SHA-512", "-X", "sasl.username=alice"];
    let tls = format!("ssl.ca.location={ca}");
    let wants_tls = "closed at our first words; this looks like a listener that wants TLS";
    let has_no_tls = "closed during the handshake of TLS; this looks like a listener without TLS";
    let wants_user = "closed; this looks like a listener that wants a user";
    let cases = [
        (broker.listener("SSL"), "PLAINTEXT", 69, wants_tls, "SSL (or SASL_SSL, with"),
        (broker.listener("SASL_SSL"), "SASL_PLAINTEXT", 69, wants_tls, "SASL_SSL"),
        (plain(), "SSL", 69, has_no_tls, "PLAINTEXT"),
        (broker.listener("SASL_PLAINTEXT"), "SASL_SSL", 69, has_no_tls, "SASL_PLAINTEXT"),
        (broker.listener("SASL_PLAINTEXT"), "PLAINTEXT", 69, wants_user, "SASL_PLAINTEXT, -X sasl.mechanism"),
        (broker.listener("SASL_SSL"), "SSL", 69, wants_user, "SASL_SSL, -X sasl.mechanism"),
        (plain(), "SASL_PLAINTEXT", 64, "the handshake of SASL failed; this listener asks for no user", "PLAINTEXT"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let env = [("MINUTELY_KAFKA_PASSWORD", PASSWORD)];
    let start = |(at, protocol, ..): &(String, &str, i32, &str, &str)| {
        let (uri, protocol) = (format!("kafka://{at}/{topic}"), format!("security.protocol={protocol}"));
        let mut how = vec!["-X", &protocol];
        if protocol.contains("SASL") {
            how.extend(user);
        }
        if protocol.contains("SSL") {
            how.extend(["-X", &tls]);
        }
        let read = [&["--source", &uri, "--sink", "stdout:", "--state", "none", "--until-end"], &how[..]].concat();
        let write = [&["--from", "sim:?history=1m", "--to", &uri, "--until-end"], &how[..]].concat();
        [Program::start(folder.path(), &read, &env), Program::producing(&write, &env)]
    };
    let running: Vec<_> = cases.iter().map(start).collect();
    for ((at, protocol, code, seen, right), programs) in cases.iter().zip(running) {
        let instead = format!("and -X security.protocol is {protocol}: set -X security.protocol={right}");
        for program in programs {
            program.ended(PATIENCE).refused(*code, &[at, seen, &instead]);
        }
    }
    // A mechanism that the broker does not have: those that it has are named.
    let uri = format!("kafka://{}/{topic}", broker.listener("SASL_PLAINTEXT"));
    let read = ["--source", &uri, "--sink", "stdout:", "--state", "none", "-X", "security.protocol=SASL_PLAINTEXT"];
    let other = ["-X", "sasl.mechanism=SCRAM-SHA-1", "-X", "sasl.username=alice"];
    let ended = Program::run(folder.path(), &[&read[..], &other].concat(), &env);
    ended.refused(64, &["correct -X sasl.mechanism: the broker takes ", "SCRAM-SHA-512"]);
    let kerberos = ["-X", "sasl.mechanism=GSSAPI"];
    let ended = Program::run(folder.path(), &[&read[..], &kerberos].concat(), &[]);
    ended.refused(64, &["-X sasl.mechanism=GSSAPI", "minutely is built without Kerberos"]);
}
