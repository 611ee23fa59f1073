//! `kafka_peer BROKER TOPIC PARTITIONS RECORDS [KEY=VALUE]...`: the least that reading a topic can cost. librdkafka's batch call on one
//! queue for all partitions, with the product's properties, allocator and decoder, and the product's sums in a hash map by
//! (symbol, minute). No verdict, no watermark, no row.

#![allow(unsafe_code, reason = "librdkafka's batch call is in its C interface only")]

use anyhow::Context;
use differential_dataflow::difference::Semigroup;
use hashbrown::HashTable;
use minutely_dataflows::acc::{Accumulate, Avg, LogPosition};
use minutely_dataflows::decode::{Decoder, FieldNames};
use minutely_dataflows::record::Record;
use minutely_experiments::{argument, say};
use rdkafka::bindings as c;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::ptr;
use xxhash_rust::xxh3::xxh3_64;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages in a batch.
const BATCH: usize = 1024;

/// What the product sets.
const PROPERTIES: [(&str, &str); 10] = [
    ("group.id", "peer"),
    ("isolation.level", "read_committed"),
    ("queued.min.messages", "20000"),
    ("queued.max.messages.kbytes", "8192"),
    ("fetch.queue.backoff.ms", "10"),
    ("auto.offset.reset", "error"),
    ("check.crcs", "true"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
];

fn hash(symbol: &str, minute: i64) -> u64 {
    xxh3_64(symbol.as_bytes()) ^ minute.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn main() -> anyhow::Result<()> {
    let (broker, topic): (String, String) = (argument(1, String::new())?, argument(2, String::new())?);
    let (partitions, records): (i32, i64) = (argument(3, 8)?, argument(4, 5_000_000)?);
    #[expect(clippy::disallowed_methods, reason = "a peer, with the product's properties")]
    let mut config = ClientConfig::new();
    for (name, value) in PROPERTIES {
        config.set(name, value);
    }
    for property in std::env::args().skip(5) {
        let (name, value) = property.split_once('=').context("a property is KEY=VALUE")?;
        config.set(name, value);
    }
    let consumer: BaseConsumer = config.set("bootstrap.servers", &broker).create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(&topic, partition, Offset::Offset(0))?;
    }
    consumer.assign(&list)?;
    let decoder = Decoder::new(&FieldNames::default()).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
    let mut minutes: HashTable<(i64, Box<str>, Avg)> = HashTable::new();
    let mut counted = 0;
    // SAFETY: the client is alive; the queue is ours and destroyed below.
    let queue = unsafe { c::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
    let mut messages = [ptr::null_mut::<c::rd_kafka_message_t>(); BATCH];
    while counted < records {
        // SAFETY: room for BATCH pointers.
        let taken = unsafe { c::rd_kafka_consume_batch_queue(queue, 1_000, messages.as_mut_ptr().cast(), BATCH) };
        for message in &messages[..usize::try_from(taken).context("the batch failed")?] {
            // SAFETY: ours, alive until it is destroyed at the end of the turn; its payload has as many bytes as it says.
            let (failed, offset, payload) = unsafe {
                let message = &**message;
                let error = (&raw const message.err).cast::<i32>().read();
                let payload = (error == 0 && !message.payload.is_null())
                    .then(|| std::slice::from_raw_parts(message.payload.cast::<u8>(), message.len));
                (error != 0, message.offset, payload)
            };
            let record = Record { offset, key: None, payload, ..Record::default() };
            if !failed && let Ok(event) = decoder.decode(&record) {
                counted += 1;
                let minute = event.time.0.div_euclid(60_000_000_000);
                let acc = Avg::of(&event, LogPosition { identity: 0, offset });
                let key = hash(&event.symbol, minute);
                match minutes.find_mut(key, |(m, s, _)| *m == minute && **s == *event.symbol) {
                    Some((_, _, sum)) => sum.plus_equals(&acc),
                    None => {
                        minutes.insert_unique(key, (minute, (*event.symbol).into(), acc), |(m, s, _)| hash(s, *m));
                    }
                }
            }
            // SAFETY: once; nothing of it is used after this.
            unsafe { c::rd_kafka_message_destroy(*message) };
        }
    }
    // SAFETY: once, before the client.
    unsafe { c::rd_kafka_queue_destroy(queue) };
    say(format_args!("{counted} records, {} rows", minutes.len()))?;
    Ok(())
}
