//! A real RabbitMQ: streams of one's own, records in, and the log as a plain consumer finds it.
//!
//! A server that has just begun again confirms records that it drops, and drops others without a word. So records are sent as
//! mandatory, the first one on each connection alone, and what is not confirmed in time is sent again by another one. Such a
//! record may be there twice: what a test expects is of the log as it was read back.

use super::kafka::run;
use super::{fresh, needs, poll, script};
use crate::hostile::{Owned, Partition};
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::{EventTime, NextOffset};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a server may be away, or slow.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long any answer of a server may take before a request is made again, by another connection.
const ANSWER: Duration = Duration::from_secs(15);
/// How long after a stream was made a server may be killed: it forgets for good a first stream that it has just made.
const SETTLED: Duration = Duration::from_secs(3);

/// A server's writing side.
pub(crate) struct Rabbit {
    /// `amqp://user:password@host:port`.
    url: String,
    runtime: tokio::runtime::Runtime,
    /// When a stream was last made.
    declared: Mutex<Instant>,
}

impl Rabbit {
    /// The server for tests, or a note that this one is left out.
    pub(crate) fn of_tests(what: &str) -> Option<Self> {
        needs(what, "MINUTELY_TEST_RABBITMQ_URL").map(Self::at)
    }

    fn at(url: String) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Rabbit { url, runtime, declared: Mutex::new(Instant::now()) }
    }

    fn channel(&self) -> (Connection, Channel) {
        let attempt = || async {
            let url = format!("{}/%2f", self.url);
            let connection = Connection::connect(&url, ConnectionProperties::default()).await.ok()?;
            let channel = connection.create_channel().await.ok()?;
            channel.confirm_select(ConfirmSelectOptions::default()).await.ok()?;
            Some((connection, channel))
        };
        poll("a connection", PATIENCE, || self.runtime.block_on(async { in_time(attempt()).await? }))
    }

    /// A queue of its own, of this type, with these arguments in bytes.
    pub(crate) fn queue(&self, name: &str, kind: &str, arguments: &[(&str, i64)]) -> String {
        let name = fresh(name);
        self.declare(&name, kind, arguments);
        name
    }

    pub(crate) fn stream(&self, name: &str) -> String {
        self.queue(name, "stream", &[])
    }

    pub(crate) fn declare(&self, name: &str, kind: &str, arguments: &[(&str, i64)]) {
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        for (key, value) in arguments {
            table.insert((*key).into(), AMQPValue::LongLongInt(*value));
        }
        let (_connection, channel) = self.channel();
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.runtime.block_on(channel.queue_declare(name.into(), durable, table)).unwrap();
        *self.declared.lock().unwrap() = Instant::now();
    }

    pub(crate) fn delete(&self, name: &str) {
        let (_connection, channel) = self.channel();
        self.runtime.block_on(channel.queue_delete(name.into(), QueueDeleteOptions::default())).unwrap();
    }

    /// As `--source`.
    pub(crate) fn uri(&self, streams: &str) -> String {
        format!("{}/{streams}", self.url.replacen("amqp", "rabbitmq", 1))
    }

    /// The same by TLS, and the certificate by which the server is known.
    pub(crate) fn encrypted_uri(&self, streams: &str) -> Option<(String, PathBuf)> {
        let folder = PathBuf::from(needs("RabbitMQ by TLS", "MINUTELY_TEST_RABBITMQ_DIR")?);
        let url = std::fs::read_to_string(folder.join("tls-url")).unwrap();
        let uri = format!("{}/{streams}", url.trim().replacen("amqp", "rabbitmq", 1));
        Some((uri, folder.join("secure/ca.pem")))
    }

    /// Writes records to the end of a stream, in their order, until the server has them all.
    pub(crate) fn write(&self, stream: &str, payloads: &[Vec<u8>], key: Option<&str>) {
        let mut headers = FieldTable::default();
        if let Some(key) = key {
            headers.insert("key".into(), AMQPValue::LongString(key.into()));
        }
        let properties = BasicProperties::default().with_headers(headers);
        let mut left: VecDeque<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let deadline = Instant::now() + PATIENCE * 2;
        while !left.is_empty() {
            assert!(Instant::now() < deadline, "{stream}: {} records are not confirmed", left.len());
            let (_connection, channel) = self.channel();
            self.runtime.block_on(send(&channel, stream, &properties, &mut left));
            if !left.is_empty() {
                eprintln!("{stream}: {} records are to be written again", left.len());
                std::thread::sleep(Duration::from_millis(200)); // the server is not ready yet
            }
        }
    }

    /// What a stream holds, read by a plain consumer once all these records are in it.
    pub(crate) fn log_with(&self, stream: &str, payloads: &[Vec<u8>]) -> Partition {
        let records = poll(&format!("all that was confirmed is in {stream}"), PATIENCE, || {
            let (_connection, channel) = self.channel();
            let found = self.runtime.block_on(read(&channel, stream))?;
            let mut missing: BTreeMap<&[u8], usize> = BTreeMap::new();
            payloads.iter().for_each(|payload| *missing.entry(payload).or_default() += 1);
            for (_, payload) in &found {
                missing.entry(payload).and_modify(|count| *count = count.saturating_sub(1));
            }
            let missing: usize = missing.values().sum();
            if missing > 0 {
                eprintln!("{stream}: {missing} of {} records are not there", payloads.len());
            }
            (missing == 0).then_some(found)
        });
        let owned = |(offset, payload)| Owned { offset, append_time: None, key: None, payload: Some(payload) };
        let name = PartitionName { log: stream.to_owned(), number: Some(0) };
        Partition { name, start: NextOffset(0), records: records.into_iter().map(owned).collect() }
    }
}

/// What is answered in time.
async fn in_time<T>(request: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(ANSWER, request).await.ok()
}

/// Takes off what the server has stored, until something fails.
async fn send(channel: &Channel, stream: &str, properties: &BasicProperties, left: &mut VecDeque<&[u8]>) {
    let mut most = 1; // the first one alone
    while !left.is_empty() {
        let mut confirms = Vec::new();
        let part = most.min(left.len());
        for payload in left.iter().take(part) {
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let sending = channel.basic_publish("".into(), stream.into(), options, payload, properties.clone());
            let Some(Ok(confirm)) = in_time(sending).await else { return };
            confirms.push(confirm);
        }
        for confirm in confirms {
            match in_time(confirm).await {
                Some(Ok(Confirmation::Ack(None))) => drop(left.pop_front()),
                _ => return,
            }
        }
        most = 1000;
    }
}

/// All records from the first on, until none has come for a while; none, while the stream cannot be read.
async fn read(channel: &Channel, stream: &str) -> Option<Vec<(i64, Vec<u8>)>> {
    in_time(channel.basic_qos(1000, BasicQosOptions::default())).await?.ok()?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
    let begun = channel.basic_consume(stream.into(), "".into(), BasicConsumeOptions::default(), arguments);
    let mut consumer = in_time(begun).await?.ok()?;
    let mut records = Vec::new();
    while let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_secs(2), consumer.next()).await {
        let delivery = delivery.ok()?;
        let headers = delivery.properties.headers().as_ref().unwrap();
        let Some(AMQPValue::LongLongInt(offset)) = headers.inner().get("x-stream-offset") else {
            panic!("{headers:?}")
        };
        records.push((*offset, delivery.data.clone()));
        in_time(delivery.ack(BasicAckOptions::default())).await?.ok()?;
    }
    Some(records)
}

/// A plain tick.
pub(crate) fn tick(symbol: &str, cents: i64, time: EventTime) -> Vec<u8> {
    let (ms, whole, part) = (time.0 / 1_000_000, cents / 100, cents % 100);
    format!(r#"{{"symbol":"{symbol}","price":{whole}.{part:02},"ts":{ms},"volume":{}}}"#, cents % 7).into_bytes()
}

/// What a stream holds that was written to from its beginning, as the oracle takes it.
pub(crate) fn log_of(stream: &str, payloads: &[Vec<u8>]) -> Partition {
    let records = (0..).zip(payloads).map(|(offset, payload)| Owned {
        offset,
        append_time: None,
        key: None,
        payload: Some(payload.clone()),
    });
    let name = PartitionName { log: stream.to_owned(), number: Some(0) };
    Partition { name, start: NextOffset(0), records: records.collect() }
}

/// A server that only one test uses: it may be killed.
pub(crate) struct OwnRabbit {
    script: PathBuf,
    folder: tempfile::TempDir,
    pub(crate) rabbit: Rabbit,
}

impl OwnRabbit {
    pub(crate) fn start(what: &str) -> Option<Self> {
        needs(what, "MINUTELY_TEST_RABBITMQ_URL")?;
        let (script, folder) = (script("MINUTELY_TEST_RABBITMQ_SCRIPT", "rabbitmq"), tempfile::tempdir().unwrap());
        let url = run(&script, &folder, &["start"]);
        Some(OwnRabbit { script, folder, rabbit: Rabbit::at(url) })
    }

    /// As a crash would.
    pub(crate) fn kill(&self) {
        let declared = *self.rabbit.declared.lock().unwrap();
        std::thread::sleep(SETTLED.saturating_sub(declared.elapsed()));
        run(&self.script, &self.folder, &["kill"]);
    }

    pub(crate) fn again(&self) {
        run(&self.script, &self.folder, &["start"]);
    }
}

impl Drop for OwnRabbit {
    fn drop(&mut self) {
        let ended = std::process::Command::new(&self.script).arg("kill").arg("--dir").arg(self.folder.path()).status();
        assert!(ended.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
