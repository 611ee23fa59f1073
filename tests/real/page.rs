//! The live page in a real Chromium, on a run that reads a real broker: `tests/page/page.mjs` says what must be seen.

use super::live::SHORT;
use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program};
use crate::common::{needs, now};
use minutely_dataflows::time::{EventTime, SECOND};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Harmful, if it were taken for markup, for a script, or for a part of an address.
const HOSTILE: &str = "<img src=x onerror=\"alert('x')\">&amp;</script>?#%27+ 🦀 \u{202e}";
/// Half of its ticks come when their window is closed in all partitions, and not yet final.
const STRAGGLER: &str = "STRAGGLER";

/// The folder of the page's tests, and where `playwright-core` is.
pub(crate) fn tools(what: &str) -> Option<(PathBuf, String)> {
    let modules = needs(what, "MINUTELY_TEST_PAGE")?;
    Some((Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page"), modules))
}

/// Node with a script of that folder, to its end; all it says is in the failure.
fn node(folder: &Path, modules: &str, env: &[(&str, &str)], args: &[&str]) {
    let mut command = Command::new("node");
    command.current_dir(folder).args(args).env("NODE_PATH", modules).envs(env.iter().copied());
    let ended = command.stdin(Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{args:?} ended with {}:\n{said}", ended.status);
}

#[test]
fn modules_of_the_page_do_what_they_say() {
    let Some((folder, modules)) = tools("the page's modules") else { return };
    node(&folder, &modules, &[], &["--test", "units.mjs"]);
}

#[test]
fn a_browser_shows_a_live_run() {
    let what = "the page in a browser";
    let (Some(kafka), Some((folder, modules))) = (Kafka::of_tests(what), tools(what)) else { return };
    let data = tempfile::tempdir().unwrap();
    let topic = kafka.topic("page", 4, &[]);
    let to = kafka.uri(&topic);
    let market = "sim:?partitions=4&symbols=30&rate=300&history=1m&late=0.2%&broken=0.2%";
    let mut producer = Program::producing(&["--from", market, "--to", &to], &[]);
    let derive = ["--derive", "sma5,sma20,ema12,stddev,chg5"];
    let groups = data.path().join("groups.csv");
    std::fs::write(&groups, "symbol,group,weight\nAAPL,tech,1\nMSFT,tech,2\nSTRAGGLER,STRAGGLER,1\n").unwrap();
    let groups = ["--groups", groups.to_str().unwrap()];
    let args = [&["--source", &to, "--http", "127.0.0.1:0", "-w", "2"], &SHORT[..], &derive[..], &groups].concat();
    let mut run = Program::start(data.path(), &args, &[]);
    let url = format!("http://{}/", run.address());
    let writer = kafka.writer(&topic);
    let hostile = serde_json::to_string(HOSTILE).unwrap();
    let (browsing, over) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let over = over; // which hears it, however the browser ends
            for turn in 0.. {
                let time = now();
                writer.tick(turn % 4, hostile.trim_matches('"'), 4200 + i64::from(turn % 90), time);
                writer.tick(0, STRAGGLER, 10_000 + i64::from(turn % 100), time);
                writer.tick(0, STRAGGLER, 30_000 + i64::from(turn), EventTime(time.0 - 4 * SECOND));
                writer.producer.poll(Duration::ZERO);
                if over.recv_timeout(Duration::from_millis(200)) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
        });
        let _browsing = browsing;
        // Many tests run beside this one: nothing is said of how fast the page is.
        let env = [("PAGE_SYMBOL", HOSTILE), ("PAGE_STRAGGLER", STRAGGLER), ("PATIENCE", "6")];
        node(&folder, &modules, &env, &["page.mjs", &url]);
    });
    run.until("it still runs", PATIENCE, |_| true);
    producer.until("so does the producer", PATIENCE, |_| true);
    run.stopped();
}
