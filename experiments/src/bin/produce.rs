//! `produce BROKER TOPIC [RECORDS] [SYMBOLS] [PARTITIONS] [SPAN_MINUTES] [BYTES]`: writes the made-up market to a topic that
//! exists, lz4, in batches of up to 1 MB.

use anyhow::Context;
use minutely_experiments::{argument, market::Market};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let (broker, topic): (String, String) = (argument(1, String::new())?, argument(2, String::new())?);
    let market = Market {
        records: argument(3, 5_000_000)?,
        symbols: argument(4, 1_000)?,
        partitions: argument(5, 8)?,
        span_ms: argument::<u64>(6, 100)? * 60_000,
        bytes: argument(7, 100)?,
    };
    #[expect(clippy::disallowed_methods, reason = "a producer of made-up records, not a reader of anyone's")]
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &broker)
        .set("enable.idempotence", "true")
        .set("compression.codec", "lz4")
        .set("linger.ms", "100")
        .set("batch.num.messages", "100000")
        .set("batch.size", "900000")
        .create()?;
    let mut payload = Vec::new();
    for offset in 0..market.records_of(0) {
        for partition in (0..market.partitions).filter(|partition| offset < market.records_of(*partition)) {
            payload.clear();
            market.write(partition, offset, &mut payload);
            let mut record = BaseRecord::<(), _>::to(&topic)
                .payload(&payload)
                .partition(i32::try_from(partition).context("a partition")?);
            loop {
                match producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                        record = again;
                        producer.poll(Duration::from_millis(10));
                    }
                    Err((error, _)) => return Err(error.into()),
                }
            }
        }
    }
    producer.flush(Duration::from_secs(120)).context("not all was acknowledged")?;
    Ok(())
}
