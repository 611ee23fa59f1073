//! `influxdb1:`: what it writes by the v1 API is what `influxdb:` writes, point for point.

use crate::common::influx::Influx;
use crate::common::program::Program;
use crate::common::rows::{csv, only, plain, same};

#[test]
fn both_apis_get_the_same_points() {
    const WHAT: &str = "influxdb1: beside influxdb:";
    let (Some(first), Some(second)) = (Influx::of_tests(WHAT), Influx::of_tests(WHAT)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("minutes.csv");
    let market = "sim:?seed=5&partitions=3&rate=200&symbols=20&history=30m&late=1%&broken=0.5%&duplicate=1%";
    let sinks = [first.uri1(), second.uri(), format!("csv:{}", text.display())];
    let mut args = vec!["--source", market, "--until-end", "--close", "--as-of", "2026-01-06T15:00:00Z", "-w", "2"];
    args.extend(sinks.iter().flat_map(|sink| ["--sink", sink]));
    let ended = Program::run(&folder.path().join("data"), &args, &[("INFLUX_TOKEN", &first.token)]).well();
    assert!(!ended.said.contains(&first.token));

    let wanted = plain(&csv(&text));
    let finals = only(&wanted, |_, cells| cells.state == "final");
    assert!(finals.len() > 300 && wanted.len() > finals.len(), "{} of {}", finals.len(), wanted.len());
    for (name, influx) in [("influxdb1:", &first), ("influxdb:", &second)] {
        same(&format!("minute by {name}"), &influx.rows("minute"), &finals);
        same(&format!("minute_live by {name}"), &influx.rows("minute_live"), &wanted);
    }
}
