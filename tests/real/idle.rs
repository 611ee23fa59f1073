//! A sink to which nothing is due: that its database is gone is told all the same.

use crate::common::influx::OwnInflux;
use crate::common::program::{PATIENCE, Program};
use crate::common::wait_for;
use std::time::{Duration, Instant};

/// `minutely_sink_healthy_bool` of the one sink.
fn healthy(run: &Program) -> Option<bool> {
    let url = format!("http://{}/metrics", run.address());
    let metrics = wait_for(async { reqwest::get(url).await.unwrap().text().await.unwrap() });
    let line = metrics.lines().find(|line| line.starts_with("minutely_sink_healthy_bool{"))?;
    Some(line.ends_with(" 1"))
}

#[test]
fn a_database_that_is_gone_is_told_though_nothing_is_due_and_so_is_its_return() {
    const PINGS: Duration = Duration::from_secs(12); // two of them
    let Some(database) = OwnInflux::start("a sink without rows") else { return };
    let (folder, sink) = (tempfile::tempdir().unwrap(), database.influx.uri());
    // no minute of these is final before ten more have passed
    let source = "sim:?rate=10&partitions=2&history=1m";
    let args = ["--source", source, "--sink", &sink, "--emit", "final", "--http", "127.0.0.1:0"];
    let mut run = Program::start(folder.path(), &args, &[("INFLUX_TOKEN", &database.influx.token)]);
    run.until("it is well", PATIENCE, |run| run.counted() > 0 && healthy(run) == Some(true));
    for _ in 0..2 {
        database.stop();
        let stopped = Instant::now();
        run.until("it says so", PATIENCE, |run| healthy(run) == Some(false));
        run.until("it goes on saying so", PATIENCE, |run| {
            assert_eq!(healthy(run), Some(false));
            stopped.elapsed() > PINGS
        });
        database.again();
        run.until("it is well again", PATIENCE, |run| healthy(run) == Some(true));
    }
    assert!(database.influx.rows("minute").is_empty());
    let said = run.stopped().said;
    let told = said.lines().filter(|line| line.contains("trying again")).count();
    assert!((2..=4).contains(&told), "once, or twice if it is refused for another reason first: {said}");
}
