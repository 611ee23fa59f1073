//! Against a real broker: MINUTELY_TEST_KAFKA=host:port names one. Two tests stop brokers; those start their own with
//! the script of MINUTELY_TEST_KAFKA_SCRIPT (default `experiments/servers/kafka`).

mod deliveries;

use self::deliveries::Deliveries;
use super::*;
use crate::clock::SystemClock;
use crate::kafka::empty;
use crate::sources::testing;
use minutely_dataflows::edge::{EndAnswer, HaltKind};
use minutely_dataflows::time::EventTime;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

// --- the broker, and what is written to it ------------------------------------------------------------------------

/// The broker for tests, or a note that this one is left out.
fn broker(what: &str) -> Option<String> {
    let broker = std::env::var("MINUTELY_TEST_KAFKA").ok();
    if broker.is_none() {
        left_out(what, "MINUTELY_TEST_KAFKA");
    }
    broker
}

/// Straight to stderr: what `eprintln` says of a test that passes is not shown.
fn left_out(what: &str, needs: &str) {
    writeln!(std::io::stderr(), "LEFT OUT: {what}, needs {needs}").unwrap();
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A broker's writing side.
struct Writer {
    broker: String,
    admin: AdminClient<DefaultClientContext>,
    producer: BaseProducer<Deliveries>,
}

impl Writer {
    fn new(broker: &str, properties: &[(&str, &str)]) -> Self {
        let mut config = empty();
        config.set("bootstrap.servers", broker);
        let admin = config.create().unwrap();
        config.set("linger.ms", "20");
        for (name, value) in properties {
            config.set(*name, *value);
        }
        let producer = config.create_with_context(Deliveries::default()).unwrap();
        Writer { broker: broker.to_owned(), admin, producer }
    }

    /// A topic of this name and a number that no other test has.
    fn topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> String {
        let topic = format!("{name}-{:012x}", fastrand::u64(..) >> 16);
        self.create(&topic, partitions, settings);
        topic
    }

    fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        // The stamps of the tests are old: without this, retention deletes the records within a second.
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match wait_for(self.admin.create_topics([&new], &options)).unwrap().remove(0) {
                // (A broker may hear of it after whoever was asked.)
                Ok(_) => {
                    let has = || {
                        let metadata = self.producer.client().fetch_metadata(Some(topic), Duration::from_secs(10));
                        metadata.is_ok_and(|metadata| {
                            metadata
                                .topics()
                                .iter()
                                .all(|topic| topic.error().is_none() && !topic.partitions().is_empty())
                        })
                    };
                    while !has() {
                        assert!(Instant::now() < deadline, "{topic} is not there");
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    return;
                }
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) if Instant::now() < deadline => {} // being deleted
                Err(error) => panic!("{topic}: {error:?}"),
            }
        }
    }

    fn uri(&self, topics: &[&str]) -> String {
        format!("kafka://{}/{}", self.broker, topics.join(","))
    }

    fn send(&self, topic: &str, partition: i32, got: &Got) {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).timestamp(got.stamp_ms);
        record.key = got.key.as_deref();
        record.payload = got.payload.as_deref();
        let mut record = Some(record);
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Some(again) = record.take() {
            if let Err((error, again)) = self.producer.send(again) {
                let code = error.rdkafka_error_code();
                let soon = [Some(RDKafkaErrorCode::QueueFull), Some(RDKafkaErrorCode::UnknownPartition)];
                assert!(soon.contains(&code) && Instant::now() < deadline, "{topic}/{partition}: {error}");
                self.producer.poll(Duration::from_millis(10));
                record = Some(again);
            }
        }
    }

    /// Waits until the broker says that the topic has so many partitions: it may say less for a while after they were made, and a
    /// producer that hears of less refuses, later on, what it has taken for the others.
    fn until_it_has(&self, topic: &str, partitions: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let metadata = self.producer.client().fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
            if metadata.topics().iter().any(|found| found.name() == topic && found.partitions().len() >= partitions) {
                return;
            }
            assert!(Instant::now() < deadline, "{topic} has fewer than {partitions} partitions");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn send_numbers(&self, topic: &str, partition: i32, numbers: std::ops::Range<i64>) {
        for number in numbers {
            self.send(topic, partition, &Got::number(number));
        }
        self.flush();
    }

    fn flush(&self) {
        self.producer.flush(Duration::from_secs(30)).unwrap();
        self.producer.context().well();
    }
}

/// A record as written or read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Got {
    offset: i64,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    append_time: Option<EventTime>,
    stamp_ms: i64, // as sent; a reader does not tell
}

impl Got {
    fn number(number: i64) -> Self {
        Got { payload: Some(number.to_string().into_bytes()), stamp_ms: 1_000_000 + number, ..Got::default() }
    }
}

fn numbers(got: &[Got]) -> Vec<i64> {
    got.iter().map(|got| String::from_utf8(got.payload.clone().unwrap()).unwrap().parse().unwrap()).collect()
}

fn offsets(got: &[Got]) -> Vec<i64> {
    got.iter().map(|got| got.offset).collect()
}

// --- reading ------------------------------------------------------------------------------------------------------

fn options() -> SourceOptions {
    let clock = SystemClock::start();
    SourceOptions {
        run_start: clock.wall(),
        bounded: false,
        answer_timeout: Duration::from_secs(30),
        clock,
        ..testing::options()
    }
}

fn bounded() -> SourceOptions {
    SourceOptions { bounded: true, ..options() }
}

/// A reader, and its wake-ups.
struct Reading {
    reader: Box<dyn PartitionReader>,
    woken: Receiver<()>,
    got: Vec<Got>,
}

impl Reading {
    fn open(source: &Arc<dyn LogSource>, found: &Discovered) -> Self {
        let (wake, woken) = channel();
        let wake = Mutex::new(wake);
        let wake: Wake = Arc::new(move || {
            let _gone = wake.lock().unwrap().send(()).is_err();
        });
        Reading { reader: source.open(found, wake).unwrap(), woken, got: Vec::new() }
    }

    fn step(&mut self, max: usize) -> Result<usize, Halt> {
        let got = &mut self.got;
        self.reader.read(max, &mut |record| {
            got.push(Got {
                offset: record.offset,
                key: record.key.map(<[u8]>::to_vec),
                payload: record.payload.map(<[u8]>::to_vec),
                append_time: record.append_time,
                stamp_ms: 0,
            });
        })
    }

    /// Reads until it is so. Sleeps as a worker does: until woken, or for the idle wait.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let max = fastrand::usize(1..3000);
            let read = self.step(max).unwrap();
            assert!(read <= max);
            if done(self) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: not so after a minute, at {:?}", self.reader.next());
            if read < max {
                let _woken = self.woken.recv_timeout(self.reader.idle_wait());
            }
        }
    }

    fn until_ended(&mut self) -> &[Got] {
        self.until("ended", |reading| reading.reader.ended());
        &self.got
    }

    fn until_next(&mut self, next: i64) {
        self.until(&format!("position {next}"), |reading| reading.reader.next() == NextOffset(next));
    }

    fn halt(&mut self) -> Halt {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Err(halt) = self.step(100) {
                assert_eq!(self.step(100), Err(halt.clone()), "for good");
                return halt;
            }
            assert!(Instant::now() < deadline, "no halt after a minute, at {:?}", self.reader.next());
            let _woken = self.woken.recv_timeout(self.reader.idle_wait());
        }
    }

    /// Asks, and waits for the answer.
    fn end(&mut self, urgent: bool) -> EndAnswer {
        self.reader.ask_end(urgent);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(answer) = self.reader.answer() {
                return answer;
            }
            assert!(Instant::now() < deadline, "no answer after a minute");
            let _woken = self.woken.recv_timeout(self.reader.idle_wait());
        }
    }
}

fn found_soon(source: &Arc<dyn LogSource>) -> Result<Vec<Discovered>, Halt> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match source.discover() {
            Ok(found) if found.is_empty() => assert!(Instant::now() < deadline, "nothing found after a minute"),
            other => return other,
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn refused(uri: &str, options: &SourceOptions) -> Halt {
    open(uri, options).err().expect("must be refused")
}

// --- what is read -------------------------------------------------------------------------------------------------

#[test]
fn partitions_are_read_in_order_whole_and_once() {
    let Some(broker) = broker("partitions read in order") else { return };
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let writer = Writer::new(&broker, &[("compression.codec", "lz4"), ("enable.idempotence", "true")]);
    let (one, two) = (writer.topic("order", 3, &[]), writer.topic("order", 1, &[]));
    let mut written: BTreeMap<String, Vec<Got>> = BTreeMap::new();
    let mut write = |topic: &str, partition: i32, random: &mut fastrand::Rng| {
        let log = written.entry(format!("{topic}/{partition}")).or_default();
        let mut bytes = |least| -> Option<Vec<u8>> {
            let length = random.usize(..200);
            (length >= least).then(|| (least..length).map(|_| random.u8(b'a'..=b'z')).collect())
        };
        let mut got = Got { offset: log.len() as i64, key: bytes(100), payload: bytes(3), ..Got::default() };
        got.stamp_ms = 1_700_000_000_000 + random.i64(-100_000..100_000);
        writer.send(topic, partition, &got);
        log.push(Got { stamp_ms: 0, ..got });
    };
    for _ in 0..20_000 {
        write(&one, random.i32(0..2), &mut random); // partition 2 stays empty
    }
    for _ in 0..3_000 {
        write(&two, 0, &mut random);
    }
    writer.flush();

    let source = open(&writer.uri(&[&two, &one]), &bounded()).unwrap();
    let found = source.discover().unwrap();
    let names: Vec<String> = found.iter().map(|found| found.name.to_string()).collect();
    assert_eq!(names, [format!("{two}/0"), format!("{one}/0"), format!("{one}/1"), format!("{one}/2")]);
    assert_eq!(source.discover().unwrap(), [], "reported once");
    for _ in 0..1000 {
        write(&one, 1, &mut random); // past the recorded end
    }
    writer.flush();

    for found in &found {
        let name = found.name.to_string();
        let end = found.end.expect("bounded");
        let count = usize::try_from(end).unwrap();
        let written = written.get(&name).map_or(&[][..], |written| &written[..count]);
        assert_eq!(found.start, NextOffset(0));
        let mut reading = Reading::open(&source, found);
        let got = reading.until_ended();
        assert_eq!(got.len(), written.len(), "{name}");
        assert!(got == written, "{name}: first difference at {:?}", got.iter().zip(written).position(|(g, w)| g != w));
        assert_eq!(reading.reader.next(), NextOffset(end));
        assert_eq!(reading.step(10).unwrap(), 0, "nothing past the recorded end");
    }
    assert_eq!(found.iter().map(|found| found.end.unwrap()).sum::<i64>(), 23_000);
}

#[test]
fn every_compression_is_read() {
    let Some(broker) = broker("compressed batches") else { return };
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    let writers = codecs.map(|codec| Writer::new(&broker, &[("compression.codec", codec)]));
    let topic = writers[0].topic("codec", 1, &[]);
    for (writer, first) in writers.iter().zip((0..).step_by(500)) {
        writer.send_numbers(&topic, 0, first..first + 500);
    }
    let source = open(&writers[0].uri(&[&topic]), &bounded()).unwrap();
    let mut reading = Reading::open(&source, &source.discover().unwrap()[0]);
    assert!(numbers(reading.until_ended()).into_iter().eq(0..2500));
}

#[test]
fn a_reader_goes_on_where_another_stopped() {
    let Some(broker) = broker("a partition opened twice") else { return };
    let writer = Writer::new(&broker, &[]);
    let topic = writer.topic("again", 1, &[]);
    writer.send_numbers(&topic, 0, 0..5000);
    let source = open(&writer.uri(&[&topic]), &options()).unwrap();
    let mut found = source.discover().unwrap().remove(0);
    assert_eq!(found.end, None);
    let mut got = Vec::new();
    while got.len() < 5000 {
        let mut reading = Reading::open(&source, &found);
        reading.until("some more", |reading| !reading.got.is_empty());
        found.start = reading.reader.next();
        got.append(&mut reading.got);
        assert!(!reading.reader.ended());
    }
    assert!(numbers(&got).into_iter().eq(0..5000));
}

#[test]
fn a_record_that_comes_late_wakes_its_worker() {
    let Some(broker) = broker("wake-ups") else { return };
    let writer = Writer::new(&broker, &[]);
    let topic = writer.topic("wake", 1, &[]);
    let source = open(&writer.uri(&[&topic]), &options()).unwrap();
    let mut reading = Reading::open(&source, &source.discover().unwrap()[0]);
    for number in 0..3 {
        while reading.step(10).unwrap() > 0 || reading.woken.try_recv().is_ok() {}
        writer.send_numbers(&topic, 0, number..number + 1);
        while reading.got.len() as i64 <= number {
            reading.woken.recv_timeout(Duration::from_secs(60)).expect("the worker was not woken");
            reading.step(10).unwrap();
        }
    }
    assert_eq!(numbers(&reading.got), [0, 1, 2]);
}

#[test]
fn only_the_brokers_own_stamp_is_told() {
    let Some(broker) = broker("LogAppendTime") else { return };
    let writer = Writer::new(&broker, &[]);
    let clock = SystemClock::start();
    for (kind, appended) in [("LogAppendTime", true), ("CreateTime", false)] {
        let topic = writer.topic("stamp", 1, &[("message.timestamp.type", kind)]);
        let before = clock.wall();
        writer.send_numbers(&topic, 0, 0..3);
        let after = clock.wall();
        let source = open(&writer.uri(&[&topic]), &bounded()).unwrap();
        let mut reading = Reading::open(&source, &source.discover().unwrap()[0]);
        let got = reading.until_ended();
        assert_eq!(numbers(got), [0, 1, 2]);
        for got in got {
            assert_eq!(got.append_time.is_some(), appended, "{kind}");
            if let Some(stamp) = got.append_time {
                assert!(stamp.plus(1_000_000) > before && stamp <= after, "{before:?} {stamp:?} {after:?}");
            }
        }
    }
}

// --- starts and ends ----------------------------------------------------------------------------------------------

#[test]
fn a_start_chooses_offsets() {
    let Some(broker) = broker("--start") else { return };
    let writer = Writer::new(&broker, &[]);
    let topic = writer.topic("start", 2, &[]);
    for (number, stamp_ms) in [(0, 5_000), (1, 3_000), (2, 7_000), (3, 7_000), (4, 9_000)] {
        writer.send(&topic, 0, &Got { stamp_ms, ..Got::number(number) });
    }
    writer.flush();
    let ms = |ms: i64| Start::Time(EventTime(ms * 1_000_000));
    for (start, first) in [
        (Start::Earliest, 0),
        (Start::Latest, 5),
        (ms(-1), 0),
        (ms(3_000), 0),
        (ms(5_000), 0),
        (Start::Time(EventTime(5_000_000_001)), 2),
        (ms(7_000), 2),
        (ms(7_001), 4),
        (ms(9_001), 5),
    ] {
        for bounded in [false, true] {
            let source = open(&writer.uri(&[&topic]), &SourceOptions { start, bounded, ..options() }).unwrap();
            let found = source.discover().unwrap();
            let starts: Vec<i64> = found.iter().map(|found| found.start.0).collect();
            assert_eq!(starts, [first, 0], "{start:?}");
            assert_eq!(found[0].end, bounded.then_some(5));
            if bounded {
                assert_eq!(numbers(Reading::open(&source, &found[0]).until_ended()), (first..5).collect::<Vec<_>>());
            }
        }
    }
    let source = open(&writer.uri(&[&topic]), &SourceOptions { start: Start::Latest, ..options() }).unwrap();
    let mut reading = Reading::open(&source, &source.discover().unwrap()[0]);
    writer.send_numbers(&topic, 0, 5..8);
    reading.until_next(8);
    assert_eq!(numbers(&reading.got), [5, 6, 7]);
}

#[test]
fn an_open_transaction_is_not_the_end() {
    let Some(broker) = broker("transactions") else { return };
    let plain = Writer::new(&broker, &[]);
    let topic = plain.topic("transaction", 1, &[]);
    plain.send_numbers(&topic, 0, 0..5);
    let uri = plain.uri(&[&topic]);
    let live = open(&uri, &options()).unwrap();
    let mut reading = Reading::open(&live, &live.discover().unwrap()[0]);
    reading.until_next(5);
    assert_eq!(reading.end(true), EndAnswer::End(NextOffset(5)));

    let writer = Writer::new(&broker, &[("transactional.id", &topic)]);
    let timeout = Duration::from_secs(30);
    writer.producer.init_transactions(timeout).unwrap();
    writer.producer.begin_transaction().unwrap();
    writer.send_numbers(&topic, 0, 100..103);
    for urgent in [true, false] {
        assert_eq!(reading.end(urgent), EndAnswer::End(NextOffset(8)), "the open transaction is in the log");
    }
    reading.step(100).unwrap();
    assert_eq!((reading.reader.next(), reading.got.len()), (NextOffset(5), 5));
    let opened = open(&uri, &bounded()).unwrap();
    let found = opened.discover().unwrap().remove(0);
    assert_eq!(found.end, Some(5), "the last stable offset");
    assert_eq!(offsets(Reading::open(&opened, &found).until_ended()), [0, 1, 2, 3, 4]);

    writer.producer.abort_transaction(timeout).unwrap();
    reading.until_next(9); // three records and a marker
    assert_eq!((reading.got.len(), reading.end(true)), (5, EndAnswer::End(NextOffset(9))));
    let aborted = open(&uri, &bounded()).unwrap();
    let found = aborted.discover().unwrap().remove(0);
    assert_eq!(found.end, Some(9));
    let mut ended = Reading::open(&aborted, &found);
    assert_eq!(offsets(ended.until_ended()), [0, 1, 2, 3, 4]);
    assert_eq!(ended.reader.next(), NextOffset(9));

    writer.producer.begin_transaction().unwrap();
    writer.send_numbers(&topic, 0, 200..202);
    writer.producer.commit_transaction(timeout).unwrap();
    reading.until_next(12);
    assert_eq!(offsets(&reading.got), [0, 1, 2, 3, 4, 9, 10]);
    assert_eq!(numbers(&reading.got)[5..], [200, 201]);
    // An end between aborted records: no event fires there, the next record shows that it is passed.
    let mut within = Reading::open(&aborted, &Discovered { end: Some(7), ..found.clone() });
    assert_eq!(offsets(within.until_ended()), [0, 1, 2, 3, 4]);
    assert_eq!(within.reader.next(), NextOffset(7));

    let properties = vec![("isolation.level".to_owned(), "read_uncommitted".to_owned())];
    let all = open(&uri, &SourceOptions { properties, ..bounded() }).unwrap();
    let found = all.discover().unwrap().remove(0);
    assert_eq!(found.end, Some(12));
    assert_eq!(offsets(Reading::open(&all, &found).until_ended()), [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]);
}

// --- topics that change -------------------------------------------------------------------------------------------

#[test]
fn a_new_partition_is_read_from_its_first_record() {
    let Some(broker) = broker("a partition added while running") else { return };
    let writer = Writer::new(&broker, &[]);
    let topic = writer.topic("grows", 1, &[]);
    writer.send_numbers(&topic, 0, 0..3);
    let uri = writer.uri(&[&topic]);
    let source = open(&uri, &SourceOptions { start: Start::Latest, ..options() }).unwrap();
    let once = open(&uri, &bounded()).unwrap();
    assert_eq!((source.discover().unwrap()[0].start, once.discover().unwrap().len()), (NextOffset(3), 1));
    let more = [NewPartitions::new(&topic, 3)];
    for result in wait_for(writer.admin.create_partitions(&more, &AdminOptions::new())).unwrap() {
        result.unwrap();
    }
    let fresh = Writer::new(&broker, &[]);
    fresh.until_it_has(&topic, 3);
    fresh.send_numbers(&topic, 2, 10..15);
    let mut found = found_soon(&source).unwrap();
    while found.len() < 2 {
        found.extend(found_soon(&source).unwrap());
    }
    found.sort_by_key(|found| found.name.number);
    let names: Vec<_> = found.iter().map(|found| (found.name.to_string(), found.start.0, found.end)).collect();
    assert_eq!(names, [(format!("{topic}/1"), 0, None), (format!("{topic}/2"), 0, None)]);
    let mut reading = Reading::open(&source, &found[1]);
    reading.until_next(5);
    assert_eq!(numbers(&reading.got), [10, 11, 12, 13, 14]);
    assert_eq!(once.discover().unwrap(), [], "a bounded run reads what was there when it began");
}

#[test]
fn a_topic_that_is_deleted_or_made_anew_ends_the_run() {
    let Some(broker) = broker("topics deleted while running") else { return };
    let writer = Writer::new(&broker, &[]);
    let topics = [writer.topic("deleted", 1, &[]), writer.topic("recreated", 1, &[])];
    let sources = topics.each_ref().map(|topic| open(&writer.uri(&[topic]), &options()).unwrap());
    for source in &sources {
        assert_eq!(source.discover().unwrap().len(), 1);
    }
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    for result in wait_for(writer.admin.delete_topics(&names, &AdminOptions::new())).unwrap() {
        result.unwrap();
    }
    writer.create(&topics[1], 1, &[]);
    for (source, what) in sources.iter().zip(["was deleted while it was read", "was deleted and created again"]) {
        let halt = found_soon(source).unwrap_err();
        assert!(halt.kind == HaltKind::Data && halt.why.contains(what), "{halt:?}");
    }
}

#[test]
fn an_offset_that_the_log_does_not_hold_ends_the_run() {
    let Some(broker) = broker("offsets out of range") else { return };
    let writer = Writer::new(&broker, &[]);
    let topic = writer.topic("range", 2, &[]);
    writer.send_numbers(&topic, 0, 0..10);
    writer.send_numbers(&topic, 1, 0..4);
    let source = open(&writer.uri(&[&topic]), &options()).unwrap();
    let found = source.discover().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(5)).unwrap();
    list.add_partition_offset(&topic, 1, Offset::End).unwrap();
    let deleted = wait_for(writer.admin.delete_records(&list, &AdminOptions::new())).unwrap();
    assert!(deleted.elements().iter().all(|one| one.error().is_ok()), "{deleted:?}");
    for (partition, start, holds) in
        [(0, 2, "holds 5 to 9"), (0, 11, "holds 5 to 9"), (1, 0, "is empty and continues at 4")]
    {
        let wanted = Discovered { start: NextOffset(start), ..found[partition].clone() };
        let halt = Reading::open(&source, &wanted).halt();
        assert_eq!(halt.kind, HaltKind::Data);
        for part in [&format!("partition {topic}/{partition}: offset {start} "), holds, "--start earliest"] {
            assert!(halt.why.contains(part), "{part} in {halt:?}");
        }
    }
    let source = open(&writer.uri(&[&topic]), &options()).unwrap();
    let starts: Vec<i64> = source.discover().unwrap().iter().map(|found| found.start.0).collect();
    assert_eq!(starts, [5, 4], "the earliest that is there");
}

// --- bad use ------------------------------------------------------------------------------------------------------

#[test]
fn a_compacted_topic_is_refused() {
    let Some(broker) = broker("compacted topics") else { return };
    let writer = Writer::new(&broker, &[]);
    let fine = writer.topic("compact", 1, &[]);
    for policy in ["compact", "compact,delete"] {
        let topic = writer.topic("compact", 1, &[("cleanup.policy", policy)]);
        let halt = refused(&writer.uri(&[&fine, &topic]), &options());
        assert_eq!(halt.kind, HaltKind::Usage);
        assert!(halt.why.contains(&topic) && halt.why.contains("cleanup.policy=delete"), "{halt:?}");
    }
}

#[test]
fn a_topic_that_does_not_exist_is_refused() {
    let Some(broker) = broker("a wrong topic") else { return };
    let writer = Writer::new(&broker, &[]);
    let there = writer.topic("a-there", 1, &[]);
    let halt = refused(&writer.uri(&[&there, "no-such-topic"]), &options());
    assert_eq!(halt.kind, HaltKind::Usage);
    assert!(halt.why.contains("topic 'no-such-topic' does not exist") && halt.why.contains("it has "), "{halt:?}");
}

#[test]
fn a_broker_that_does_not_answer_is_unreachable() {
    let halt =
        refused("kafka://127.0.0.1:1/ticks", &SourceOptions { answer_timeout: Duration::from_secs(1), ..options() });
    assert_eq!(halt.kind, HaltKind::Unreachable);
    for part in ["kafka at 127.0.0.1:1 ", "within 1 s", "Connection refused"] {
        assert!(halt.why.contains(part), "{part} in {halt:?}");
    }
}

#[test]
fn mistakes_are_told_before_anything_is_connected() {
    let properties = vec![("auto.offset.reset".to_owned(), "latest".to_owned())];
    let halt = refused("kafka://127.0.0.1/a,,b", &SourceOptions { properties, ..options() });
    assert_eq!(halt.kind, HaltKind::Usage);
    for part in ["has no port", "a topic is missing", "auto.offset.reset must be error"] {
        assert!(halt.why.contains(part), "{part} in {halt:?}");
    }
}

// --- brokers of one's own -----------------------------------------------------------------------------------------

/// A broker that only this test uses.
struct Cluster {
    script: PathBuf,
    folder: tempfile::TempDir,
    address: String,
}

impl Cluster {
    fn start(what: &str) -> Option<Self> {
        broker(what)?;
        let named = std::env::var_os("MINUTELY_TEST_KAFKA_SCRIPT").map(PathBuf::from);
        let script = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/servers/kafka"));
        if !script.is_file() {
            left_out(what, "MINUTELY_TEST_KAFKA_SCRIPT");
            return None;
        }
        let mut cluster = Cluster { script, folder: tempfile::tempdir().unwrap(), address: String::new() };
        cluster.address = cluster.run(&["start", "--heap", "256m"]);
        Some(cluster)
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.script).args(arguments).arg("--dir").arg(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let cleaned = Command::new(&self.script).arg("clean").arg("--dir").arg(self.folder.path()).status();
        assert!(cleaned.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn a_broker_that_is_killed_is_waited_for() {
    let Some(cluster) = Cluster::start("a broker killed and started again") else { return };
    let writer = Writer::new(&cluster.address, &[]);
    let topic = writer.topic("killed", 1, &[]);
    writer.send_numbers(&topic, 0, 0..1000);
    let source = open(&writer.uri(&[&topic]), &options()).unwrap();
    let mut reading = Reading::open(&source, &source.discover().unwrap()[0]);
    reading.until_next(1000);
    cluster.run(&["kill"]);
    assert_eq!(reading.end(true), EndAnswer::Failed, "no evidence from a dead broker");
    assert_eq!((reading.step(10).unwrap(), reading.reader.next()), (0, NextOffset(1000)));
    assert_eq!(source.discover().unwrap(), []);
    cluster.run(&["start"]);
    writer.send_numbers(&topic, 0, 1000..2000);
    reading.until_next(2000);
    assert!(numbers(&reading.got).into_iter().eq(0..2000));
    reading.until("an answer", |reading| reading.end(true) == EndAnswer::End(NextOffset(2000)));
    cluster.run(&["kill"]);
    drop((reading, source)); // ends although no broker answers
}

#[test]
fn a_damaged_log_ends_the_run() {
    let Some(cluster) = Cluster::start("a damaged log") else { return };
    let writer = Writer::new(&cluster.address, &[]);
    let topic = writer.topic("damaged", 1, &[]);
    writer.send_numbers(&topic, 0, 0..10);
    writer.send(&topic, 0, &Got { payload: Some(b"precious".to_vec()), ..Got::number(0) });
    writer.flush();
    writer.send_numbers(&topic, 0, 11..20);
    cluster.run(&["stop"]);
    let log = cluster.folder.path().join(format!("broker-1/data/{topic}-0/00000000000000000000.log"));
    let mut bytes = std::fs::read(&log).unwrap();
    let at = bytes.windows(8).position(|eight| eight == b"precious").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    cluster.run(&["start"]);
    let source = open(&writer.uri(&[&topic]), &options()).unwrap();
    let mut reading = Reading::open(&source, &source.discover().unwrap()[0]);
    let halt = reading.halt();
    assert_eq!(halt.kind, HaltKind::Data);
    assert!(halt.why.contains(&format!("partition {topic}/0: the log is damaged")), "{halt:?}");
    assert!(halt.why.contains("at offset 10"), "{halt:?}");
    assert_eq!(numbers(&reading.got), (0..10).collect::<Vec<_>>(), "what is whole is read, nothing behind the hole");
}
