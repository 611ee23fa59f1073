//! A real RabbitMQ: streams of one's own, and records in.

use super::kafka::run;
use super::{fresh, needs, poll, script};
use crate::hostile::{Owned, Partition};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use minutely_dataflows::record::PartitionName;
use minutely_dataflows::time::{EventTime, NextOffset};
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server's writing side.
pub(crate) struct Rabbit {
    /// `amqp://user:password@host:port`.
    url: String,
    runtime: tokio::runtime::Runtime,
}

impl Rabbit {
    /// The server for tests, or a note that this one is left out.
    pub(crate) fn of_tests(what: &str) -> Option<Self> {
        needs(what, "MINUTELY_TEST_RABBITMQ_URL").map(Self::at)
    }

    fn at(url: String) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Rabbit { url, runtime }
    }

    fn channel(&self) -> (Connection, Channel) {
        poll("a connection", PATIENCE, || {
            self.runtime.block_on(async {
                let url = format!("{}/%2f", self.url);
                let connection = Connection::connect(&url, ConnectionProperties::default()).await.ok()?;
                let channel = connection.create_channel().await.ok()?;
                channel.confirm_select(ConfirmSelectOptions::default()).await.ok()?;
                Some((connection, channel))
            })
        })
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
    }

    pub(crate) fn delete(&self, name: &str) {
        let (_connection, channel) = self.channel();
        self.runtime.block_on(channel.queue_delete(name.into(), QueueDeleteOptions::default())).unwrap();
    }

    /// As `--source`.
    pub(crate) fn uri(&self, streams: &str) -> String {
        format!("{}/{streams}", self.url.replacen("amqp:", "rabbitmq:", 1))
    }

    /// Writes records to the end of a stream, in their order, until the server has them all.
    pub(crate) fn write(&self, stream: &str, payloads: &[Vec<u8>], key: Option<&str>) {
        let (_connection, channel) = self.channel();
        let mut headers = FieldTable::default();
        if let Some(key) = key {
            headers.insert("key".into(), AMQPValue::LongString(key.into()));
        }
        let properties = BasicProperties::default().with_headers(headers);
        self.runtime.block_on(async {
            for part in payloads.chunks(1000) {
                let mut confirms = Vec::new();
                for payload in part {
                    let (to, options) = (stream.into(), BasicPublishOptions::default());
                    confirms.push(
                        channel.basic_publish("".into(), to, options, payload, properties.clone()).await.unwrap(),
                    );
                }
                for confirm in confirms {
                    assert!(confirm.await.unwrap().is_ack(), "{stream}");
                }
            }
        });
    }
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
