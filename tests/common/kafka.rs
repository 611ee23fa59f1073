//! A real broker: topics of one's own, records in, and the log as a plain consumer finds it.

#[path = "../../src/sources/kafka/tests/deliveries.rs"]
mod deliveries;

use self::deliveries::Deliveries;
use super::{fresh, needs, poll, script, wait_for};
use crate::hostile::{Owned, Partition};
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::{EventTime, NextOffset};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::util::Timeout;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// What makes the program read about half a megabyte a second and partition, however fast the machine: the broker holds every
/// answer back for 100 ms, because it never has as many bytes as are asked for at least.
pub(crate) const SLOWLY: [&str; 6] =
    ["-X", "fetch.min.bytes=50000000", "-X", "fetch.wait.max.ms=100", "-X", "fetch.message.max.bytes=50000"];

#[expect(clippy::disallowed_methods, reason = "a client that is independent of the program's")]
fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

/// A broker's writing side.
pub(crate) struct Kafka {
    pub(crate) address: String,
    admin: AdminClient<DefaultClientContext>,
}

impl Kafka {
    /// The broker for tests, or a note that this one is left out.
    pub(crate) fn of_tests(what: &str) -> Option<Self> {
        needs(what, "MINUTELY_TEST_KAFKA").map(|address| Self::at(&address))
    }

    pub(crate) fn at(address: &str) -> Self {
        Kafka { address: address.to_owned(), admin: config(address).create().unwrap() }
    }

    /// A topic of its own. Old stamps would be deleted within a second if it had a retention.
    pub(crate) fn topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> String {
        let topic = fresh(name);
        poll("a topic", PATIENCE, || self.create(&topic, partitions, settings).then_some(()));
        self.until_led(&topic, partitions);
        topic
    }

    /// Waits until the broker leads its partitions: it hears of them after whoever was asked to make them.
    fn until_led(&self, topic: &str, partitions: i32) {
        poll("the broker leads its partitions", PATIENCE, || {
            // (A client that knows fewer partitions asks for no more for minutes.)
            let consumer: BaseConsumer = config(&self.address).create().unwrap();
            (0..partitions).try_for_each(|number| consumer.fetch_watermarks(topic, number, PATIENCE).map(drop)).ok()
        });
    }

    /// Another one of the same name.
    pub(crate) fn make_anew(&self, topic: &str, partitions: i32) {
        wait_for(self.admin.delete_topics(&[topic], &AdminOptions::new())).unwrap().remove(0).unwrap();
        poll("the topic again", PATIENCE, || self.create(topic, partitions, &[]).then_some(()));
        self.until_led(topic, partitions);
    }

    /// False: one of this name is being deleted.
    fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) -> bool {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
        match wait_for(self.admin.create_topics([&new], &options)).unwrap().remove(0) {
            Ok(_) => true,
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => false,
            Err(error) => panic!("{topic}: {error:?}"),
        }
    }

    /// How far a group is behind the end of each partition, as a tool would show it.
    pub(crate) fn lag(&self, group: &str, topic: &str) -> Vec<i64> {
        let mut config = config(&self.address);
        let consumer: BaseConsumer = config.set("group.id", group).create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, i32::try_from(metadata.topics()[0].partitions().len()).unwrap() - 1);
        let committed = consumer.committed_offsets(list, PATIENCE).unwrap();
        let behind = |of: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            let (_, end) = consumer.fetch_watermarks(topic, of.partition(), PATIENCE).unwrap();
            end - of.offset().to_raw().filter(|offset| *offset >= 0).unwrap_or(0)
        };
        committed.elements().iter().map(behind).collect()
    }

    /// What a topic's setting is now.
    pub(crate) fn setting(&self, topic: &str, name: &str) -> Option<String> {
        let (topic, options) = (ResourceSpecifier::Topic(topic), AdminOptions::new());
        let answer = wait_for(self.admin.describe_configs([&topic], &options)).unwrap().remove(0).unwrap();
        answer.get(name).and_then(|entry| entry.value.clone())
    }

    /// So many partitions in all from now on.
    pub(crate) fn grow(&self, topic: &str, partitions: usize) {
        let more = [NewPartitions::new(topic, partitions)];
        wait_for(self.admin.create_partitions(&more, &AdminOptions::new())).unwrap().remove(0).unwrap();
        self.until_led(topic, i32::try_from(partitions).unwrap());
    }

    /// From now on a topic has these settings, and no others.
    pub(crate) fn alter(&self, topic: &str, settings: &[(&str, &str)]) {
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (name, value) in settings {
            altered = altered.set(name, value);
        }
        wait_for(self.admin.alter_configs([&altered], &AdminOptions::new())).unwrap().remove(0).unwrap();
    }

    /// What retention would do: a partition now begins at this offset.
    pub(crate) fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
        let deleted = wait_for(self.admin.delete_records(&list, &AdminOptions::new())).unwrap();
        assert!(deleted.elements().iter().all(|one| one.error().is_ok()), "{deleted:?}");
    }

    /// As `--source`.
    pub(crate) fn uri(&self, topic: &str) -> String {
        format!("kafka://{}/{topic}", self.address)
    }

    /// A producer: lz4, in order, each once.
    pub(crate) fn writer(&self, topic: &str) -> Writer {
        self.writer_with(topic, &[])
    }

    /// The same, in transactions.
    pub(crate) fn transactions(&self, topic: &str) -> Writer {
        let writer = self.writer_with(topic, &[("transactional.id", &fresh(topic))]);
        writer.producer.init_transactions(PATIENCE).unwrap();
        writer
    }

    pub(crate) fn writer_with(&self, topic: &str, properties: &[(&str, &str)]) -> Writer {
        let mut config = config(&self.address);
        config.set("linger.ms", "5").set("compression.codec", "lz4").set("enable.idempotence", "true");
        config.set("queue.buffering.max.messages", "500000").set("sticky.partitioning.linger.ms", "0");
        for (name, value) in properties {
            config.set(*name, *value);
        }
        Writer { topic: topic.to_owned(), producer: config.create_with_context(Deliveries::default()).unwrap() }
    }

    /// All that a topic holds and that is committed, as a plain consumer finds it.
    pub(crate) fn read_back(&self, topic: &str) -> Vec<Partition> {
        let mut config = config(&self.address);
        config.set("group.id", "read-back").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        config.set("isolation.level", "read_committed").set("fetch.queue.backoff.ms", "10");
        let consumer: BaseConsumer = config.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        let mut numbers: Vec<i32> = metadata.topics()[0].partitions().iter().map(|p| p.id()).collect();
        numbers.sort_unstable();
        let mut list = TopicPartitionList::new();
        let mut log = Vec::new();
        for &number in &numbers {
            let (low, _) = consumer.fetch_watermarks(topic, number, PATIENCE).unwrap();
            list.add_partition_offset(topic, number, Offset::Offset(low)).unwrap();
            let name = PartitionName { log: topic.to_owned(), number: Some(number) };
            log.push(Partition { name, start: NextOffset(low), records: Vec::new() });
        }
        consumer.assign(&list).unwrap();
        let (mut ended, deadline) = (0, Instant::now() + 4 * PATIENCE);
        while ended < numbers.len() {
            match consumer.poll(Duration::from_secs(1)) {
                Some(Ok(message)) => {
                    let append_time = match message.timestamp() {
                        rdkafka::Timestamp::LogAppendTime(ms) => Some(EventTime(ms * 1_000_000)),
                        _ => None,
                    };
                    let (key, payload) = (message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec));
                    let at = usize::try_from(message.partition()).unwrap();
                    log[at].records.push(Owned { offset: message.offset(), append_time, key, payload });
                }
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(error)) => panic!("{topic}: {error}"),
                None => assert!(Instant::now() < deadline, "{topic}: not read back in time"),
            }
        }
        log
    }
}

/// A producer into one topic.
pub(crate) struct Writer {
    topic: String,
    pub(crate) producer: BaseProducer<Deliveries>,
}

impl Writer {
    pub(crate) fn send(&self, partition: i32, key: Option<&[u8]>, payload: Option<&[u8]>, stamp_ms: i64) {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).partition(partition).timestamp(stamp_ms);
        (record.key, record.payload) = (key, payload);
        let mut record = Some(record);
        let deadline = Instant::now() + PATIENCE;
        while let Some(again) = record.take() {
            if let Err((error, again)) = self.producer.send(again) {
                let code = error.rdkafka_error_code();
                let soon = [Some(RDKafkaErrorCode::QueueFull), Some(RDKafkaErrorCode::UnknownPartition)];
                assert!(soon.contains(&code) && Instant::now() < deadline, "{}/{partition}: {error}", self.topic);
                self.producer.poll(Duration::from_millis(5));
                record = Some(again);
            }
        }
    }

    /// A plain tick; the stamp is the event time.
    pub(crate) fn tick(&self, partition: i32, symbol: &str, cents: i64, time: EventTime) {
        let (ms, whole, part) = (time.0 / 1_000_000, cents / 100, cents % 100);
        let payload = format!(r#"{{"symbol":"{symbol}","price":{whole}.{part:02},"ts":{ms},"volume":{}}}"#, cents % 7);
        self.send(partition, Some(symbol.as_bytes()), Some(payload.as_bytes()), ms);
    }

    /// Until the broker has all of it.
    pub(crate) fn flush(&self) {
        self.producer.flush(4 * PATIENCE).unwrap();
        assert_eq!(self.producer.in_flight_count(), 0);
        self.producer.context().well();
    }

    pub(crate) fn begin(&self) {
        self.producer.begin_transaction().unwrap();
    }

    pub(crate) fn commit(&self) {
        self.producer.commit_transaction(Timeout::After(PATIENCE)).unwrap();
    }

    pub(crate) fn abort(&self) {
        self.producer.abort_transaction(Timeout::After(PATIENCE)).unwrap();
    }
}

/// A broker that only one test uses: it may be killed.
pub(crate) struct OwnKafka {
    script: PathBuf,
    folder: tempfile::TempDir,
    pub(crate) kafka: Kafka,
}

impl OwnKafka {
    pub(crate) fn start(what: &str) -> Option<Self> {
        Self::with(what, &[])
    }

    /// With listeners for TLS (it wants a certificate), for passwords, and for both; see [`OwnKafka::listener`]. Its folder
    /// `secure` has `ca.pem`, `client.crt` and `client.key`; its one user is alice, with password alice-secret.
    pub(crate) fn secure(what: &str) -> Option<Self> {
        Self::with(what, &["--secure", "-o", "listener.name.ssl.ssl.client.auth=required"])
    }

    /// As [`OwnKafka::secure`], and alice may do what she is granted alone; see [`OwnKafka::grant`].
    pub(crate) fn guarded(what: &str) -> Option<Self> {
        let authorizer = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer";
        Self::with(what, &["--secure", "-o", authorizer, "-o", "super.users=User:ANONYMOUS"])
    }

    /// Alice may do this from now on: `["--operation", "Read", "--topic", "ticks"]`.
    pub(crate) fn grant(&self, what: &[&str]) {
        let tool = ["tool", "org.apache.kafka.tools.AclCommand", "--bootstrap-server", "@bootstrap"];
        run(&self.script, &self.folder, &[&tool[..], &["--add", "--allow-principal", "User:alice"], what].concat());
    }

    /// Its SASL_PLAINTEXT listener takes tokens that nobody has signed.
    pub(crate) fn tokens(what: &str) -> Option<Self> {
        const MODULE: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";
        let jaas = format!(
            "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config={MODULE} unsecuredLoginStringClaim_sub=\"b\";"
        );
        let mechanisms = "listener.name.sasl_plaintext.sasl.enabled.mechanisms=OAUTHBEARER";
        Self::with(what, &["--secure", "-o", mechanisms, "-o", &jaas])
    }

    /// Two brokers: each of two partitions without a replica has a leader of its own.
    pub(crate) fn two(what: &str) -> Option<Self> {
        Self::with(what, &["--brokers", "2"])
    }

    /// Kills, or starts, one of several.
    pub(crate) fn one(&self, command: &str, broker: &str) {
        run(&self.script, &self.folder, &[command, "--broker", broker]);
    }

    /// Sends the broker a signal, by name (`STOP`).
    pub(crate) fn signal(&self, name: &str) {
        let status = run(&self.script, &self.folder, &["status"]);
        let pid = status.split_once("broker-1: running, pid ").and_then(|(_, rest)| rest.split_once(','));
        let (pid, _) = pid.unwrap_or_else(|| panic!("no pid in {status}"));
        let sent = Command::new("kill").args([&format!("-{name}"), pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {pid}");
    }

    fn with(what: &str, more: &[&str]) -> Option<Self> {
        needs(what, "MINUTELY_TEST_KAFKA")?;
        let (script, folder) = (script("MINUTELY_TEST_KAFKA_SCRIPT", "kafka"), tempfile::tempdir().unwrap());
        let address = run(&script, &folder, &[&["start", "--heap", "256m", "--timeout", "120"], more].concat());
        Some(OwnKafka { script, folder, kafka: Kafka::at(&address) })
    }

    /// The address of a listener: SSL, SASL_SSL or SASL_PLAINTEXT.
    pub(crate) fn listener(&self, name: &str) -> String {
        let status = run(&self.script, &self.folder, &["status"]);
        let address = status.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
        address.unwrap_or_else(|| panic!("no {name} in {status}")).to_owned()
    }

    /// A file of its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As a crash would.
    pub(crate) fn kill(&self) {
        run(&self.script, &self.folder, &["kill"]);
    }

    pub(crate) fn again(&self) {
        run(&self.script, &self.folder, &["start", "--timeout", "120"]);
        poll("the broker answers", PATIENCE, || {
            self.kafka.admin.inner().fetch_metadata(None, Duration::from_secs(2)).ok().map(drop)
        });
    }
}

/// Runs a server's script on a folder; what it prints.
pub(crate) fn run(script: &PathBuf, folder: &tempfile::TempDir, arguments: &[&str]) -> String {
    let output = Command::new(script).args(arguments).arg("--dir").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Drop for OwnKafka {
    fn drop(&mut self) {
        let cleaned = Command::new(&self.script).arg("clean").arg("--dir").arg(self.folder.path()).status();
        assert!(cleaned.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
