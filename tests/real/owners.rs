//! Two jobs and one bucket: the second does not overwrite the first.

use crate::common::influx::Influx;
use crate::common::program::Program;
use std::path::Path;

/// A file with one tick of symbol DUP.
fn ticks(folder: &Path, price: i64) -> String {
    let path = folder.join(format!("{price}.jsonl"));
    std::fs::write(&path, format!("{{\"symbol\":\"DUP\",\"price\":{price},\"ts\":1767600000000}}\n")).unwrap();
    format!("file:{}", path.display())
}

#[test]
fn the_second_job_is_refused_and_told_its_ways_out() {
    let Some(influx) = Influx::of_tests("two jobs in one bucket") else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let sources = [ticks(folder.path(), 10), ticks(folder.path(), 999)];
    let run = |n: usize, sink: &str, more: &[&str]| {
        let mut args = vec!["--source", &sources[n], "--sink", sink, "--job", ["job0", "job1"][n]];
        args.extend(more);
        Program::run(&data, &args, &[("INFLUX_TOKEN", &influx.token)])
    };
    let sums = |measurement: &str| influx.rows(measurement).into_values().map(|cells| cells.sum).collect::<Vec<_>>();
    let plain = influx.uri();
    run(0, &plain, &[]).well();
    run(0, &plain, &[]).well(); // the same job again
    let ways = ["`minute` belongs to job `job0`", &plain, "?measurement=NAME", "?tag.NAME=VALUE", "--take-sink"];
    run(1, &plain, &[]).refused(64, &ways);
    run(1, &influx.uri1(), &[]).refused(64, &ways[..1]);
    assert!(!data.join("job1/state").exists(), "nothing is written");
    assert_eq!((sums("minute"), sums("minute_live")), (vec!["10".to_owned()], vec!["10".to_owned()]));

    run(1, &format!("{plain}?measurement=other"), &[]).well();
    assert_eq!((sums("other"), sums("other_live")), (vec!["999".to_owned()], vec!["999".to_owned()]));
    run(1, &format!("{plain}?tag.venue=B"), &["--state", "none"]).well();
    assert_eq!(
        (sums("minute where venue = 'B'"), sums("minute where venue = ''")),
        (vec!["999".to_owned()], vec!["10".to_owned()])
    );
    run(1, &plain, &["--take-sink", "--state", "none"]).well();
    assert_eq!(sums("minute where venue = ''"), ["999"]);
    run(0, &plain, &["--state", "none"]).refused(64, &["belongs to job `job1`"]);
    // A measurement of coarser windows is a place as well: `window_5m` is beside `minute`.
    let windows = ["--windows", "5m", "--state", "none"];
    run(1, &plain, &[&windows[..], &["--take-sink"]].concat()).well();
    run(0, &format!("{plain}?measurement=window_5m"), &[]).refused(64, &["`window_5m` belongs to job `job1`"]);
}
