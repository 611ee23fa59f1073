//! `stamps BROKER TOPIC PARTITIONS SYMBOLS TICKS_PER_MS SECONDS`: writes live ticks to a topic that exists, so many a
//! millisecond. In each millisecond the first is one of the symbol `STAMP`, whose price is that millisecond since 1970,
//! modulo 10^8: so whoever sees the price knows how old the tick is. Says at the end how many were sent, and how late the
//! latest was.

use anyhow::Context;
use minutely_experiments::market::name;
use minutely_experiments::{argument, say};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(clippy::disallowed_methods, reason = "a producer of live ticks has a clock of its own")]
fn now_ms() -> anyhow::Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

fn main() -> anyhow::Result<()> {
    let (broker, topic): (String, String) = (argument(1, String::new())?, argument(2, String::new())?);
    let (partitions, symbols) = (argument::<u64>(3, 8)?, argument::<u64>(4, 1000)?);
    let (ticks_per_ms, seconds) = (argument::<u64>(5, 50)?, argument::<u64>(6, 60)?);
    #[expect(clippy::disallowed_methods, reason = "a producer of made-up records, not a reader of anyone's")]
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("linger.ms", "5") // as a feed that sends so many would have it
        .set("queue.buffering.max.messages", "2000000") // a broker that stalls shows in the latencies
        .create()?;
    let send = |partition: u64, payload: &str| -> anyhow::Result<()> {
        let record = BaseRecord::<(), _>::to(&topic).payload(payload).partition(i32::try_from(partition)?);
        producer.send(record).map_err(|(error, _)| error.into())
    };
    let began = now_ms()?;
    let (mut sent, mut latest) = (0, 0);
    for ms in began..began + seconds * 1000 {
        let mut now = now_ms()?;
        while now < ms {
            std::thread::sleep(Duration::from_micros(200));
            now = now_ms()?;
        }
        latest = latest.max(now - ms);
        send(0, &format!(r#"{{"symbol":"STAMP","price":{},"ts":{ms},"volume":1}}"#, ms % 100_000_000))?;
        for _ in 1..ticks_per_ms {
            let symbol = sent % symbols;
            let price = 100 + (sent / 7 + symbol * 31) % 50;
            let payload = format!(r#"{{"symbol":"{}","price":{price}.25,"ts":{ms},"volume":100}}"#, name(symbol));
            send(symbol % partitions, &payload)?;
            sent += 1;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(30)).context("not all was acknowledged")?;
    let all = sent + seconds * 1000;
    say(format_args!("{all} ticks of {} symbols in {} ms, {latest} ms late at most", symbols + 1, now_ms()? - began))?;
    Ok(())
}
