//! A real InfluxDB: buckets of one's own, and rows by query.

use super::kafka::run;
use super::rows::{Bits, Cells, Rows};
use super::{fresh, needs, rfc3339, script, wait_for};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// A bucket of one's own.
pub(crate) struct Influx {
    url: String,
    org: String,
    pub(crate) token: String,
    bucket: String,
}

impl Influx {
    /// On the server for tests, or a note that this test is left out.
    pub(crate) fn of_tests(what: &str) -> Option<Self> {
        let url = needs(what, "MINUTELY_TEST_INFLUX_URL")?;
        let token = std::fs::read_to_string(needs(what, "MINUTELY_TEST_INFLUX_TOKEN_FILE")?).unwrap();
        Some(Self::at(url, needs(what, "MINUTELY_TEST_INFLUX_ORG")?, token.trim().to_owned()))
    }

    /// As [`Influx::of_tests`]; the bucket keeps points for so many seconds.
    pub(crate) fn that_keeps(what: &str, seconds: u64) -> Option<Self> {
        let url = needs(what, "MINUTELY_TEST_INFLUX_URL")?;
        let token = std::fs::read_to_string(needs(what, "MINUTELY_TEST_INFLUX_TOKEN_FILE")?).unwrap();
        let rules = serde_json::json!([{"type": "expire", "everySeconds": seconds}]);
        Some(Self::with(url, needs(what, "MINUTELY_TEST_INFLUX_ORG")?, token.trim().to_owned(), &rules))
    }

    fn at(url: String, org: String, token: String) -> Self {
        Self::with(url, org, token, &serde_json::json!([]))
    }

    fn with(url: String, org: String, token: String, rules: &serde_json::Value) -> Self {
        let influx = Influx { url, org, token, bucket: fresh("real") };
        let orgs: serde_json::Value =
            serde_json::from_str(&influx.get("/api/v2/orgs", &[("org", &influx.org)], "application/json")).unwrap();
        let id = orgs["orgs"][0]["id"].as_str().unwrap();
        let body = serde_json::json!({"orgID": id, "name": influx.bucket, "retentionRules": rules}).to_string();
        let made = wait_for(async {
            let request = reqwest::Client::new().post(format!("{}/api/v2/buckets", influx.url));
            let request = request.header("Authorization", format!("Token {}", influx.token));
            request.header("Content-Type", "application/json").body(body).send().await.unwrap().status()
        });
        assert_eq!(made.as_u16(), 201, "the bucket");
        influx
    }

    /// As `--sink`.
    pub(crate) fn uri(&self) -> String {
        format!("influxdb://{}/{}/{}", self.url.strip_prefix("http://").unwrap(), self.org, self.bucket)
    }

    /// The same by the v1 endpoint, where a bucket is a database of its name; the token is in `INFLUX_TOKEN`.
    pub(crate) fn uri1(&self) -> String {
        let host = self.url.strip_prefix("http://").unwrap();
        format!("influxdb1://{host}/{}?token_env=INFLUX_TOKEN", self.bucket)
    }

    fn get(&self, path: &str, query: &[(&str, &str)], accept: &str) -> String {
        wait_for(async {
            let mut url = reqwest::Url::parse(&format!("{}{path}", self.url)).unwrap();
            url.query_pairs_mut().extend_pairs(query);
            let request = reqwest::Client::new().get(url).header("Authorization", format!("Token {}", self.token));
            let answer = request.header("Accept", accept).send().await.unwrap();
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            assert_eq!(status, 200, "{text}");
            text
        })
    }

    /// Writes lines of line protocol.
    pub(crate) fn write(&self, lines: &str) {
        let written = wait_for(async {
            let mut url = reqwest::Url::parse(&format!("{}/api/v2/write", self.url)).unwrap();
            url.query_pairs_mut().extend_pairs([("org", &self.org), ("bucket", &self.bucket)]);
            let request = reqwest::Client::new().post(url).header("Authorization", format!("Token {}", self.token));
            request.body(lines.to_owned()).send().await.unwrap().status()
        });
        assert_eq!(written.as_u16(), 204, "{lines}");
    }

    /// Deletes points from one instant to another, in nanoseconds; of all measurements without a predicate.
    pub(crate) fn delete(&self, start: i64, stop: i64, predicate: &str) {
        let body =
            serde_json::json!({"start": rfc3339(start), "stop": rfc3339(stop), "predicate": predicate}).to_string();
        let deleted = wait_for(async {
            let mut url = reqwest::Url::parse(&format!("{}/api/v2/delete", self.url)).unwrap();
            url.query_pairs_mut().extend_pairs([("org", &self.org), ("bucket", &self.bucket)]);
            let request = reqwest::Client::new().post(url).header("Authorization", format!("Token {}", self.token));
            request.header("Content-Type", "application/json").body(body).send().await.unwrap().status()
        });
        assert_eq!(deleted.as_u16(), 204, "{predicate}");
    }

    /// All points of a measurement, by InfluxQL; `avg` rows.
    pub(crate) fn rows(&self, measurement: &str) -> Rows {
        let q = format!("SELECT symbol, \"count\", sum, avg, state FROM {measurement}");
        let text = self.get("/query", &[("db", &self.bucket), ("epoch", "ns"), ("q", &q)], "application/csv");
        let mut file = csv::Reader::from_reader(text.as_bytes());
        let Ok(header) = file.headers().cloned() else { return Rows::new() };
        let row = |record: csv::StringRecord| {
            let cell = |name: &str| &record[header.iter().position(|column| column == name).expect(name)];
            let cells = Cells {
                count: cell("count").parse().unwrap(),
                sum: cell("sum").to_owned(),
                avg: Bits::read(cell("avg")),
                state: cell("state").to_owned(),
                market: None,
                derived: Vec::new(),
            };
            ((rfc3339(cell("time").parse().unwrap()), cell("symbol").to_owned()), cells)
        };
        file.records().map(|record| row(record.unwrap())).collect()
    }

    /// The values of one number of a measurement's points, by minute and symbol.
    pub(crate) fn column(&self, measurement: &str, name: &str) -> BTreeMap<(String, String), Bits> {
        let q = format!("SELECT symbol, \"{name}\" FROM {measurement}");
        let text = self.get("/query", &[("db", &self.bucket), ("epoch", "ns"), ("q", &q)], "application/csv");
        let mut file = csv::Reader::from_reader(text.as_bytes());
        let header = file.headers().unwrap().clone();
        let value = |record: csv::StringRecord| {
            let cell = |name: &str| &record[header.iter().position(|column| column == name).expect(name)];
            ((rfc3339(cell("time").parse().unwrap()), cell("symbol").to_owned()), Bits::read(cell(name)))
        };
        file.records().map(|record| value(record.unwrap())).collect()
    }
}

/// A server that only one test uses: it may be stopped.
pub(crate) struct OwnInflux {
    script: PathBuf,
    folder: tempfile::TempDir,
    port: String,
    pub(crate) influx: Influx,
}

impl OwnInflux {
    pub(crate) fn start(what: &str) -> Option<Self> {
        needs(what, "MINUTELY_TEST_INFLUX_URL")?;
        let (script, folder) = (script("MINUTELY_TEST_INFLUX_SCRIPT", "influxdb"), tempfile::tempdir().unwrap());
        // Below the ports of outgoing connections: it must get its own back.
        let port = fastrand::u16(12_000..20_000).to_string();
        let url = run(&script, &folder, &["start", "--port", &port]);
        let token = std::fs::read_to_string(folder.path().join("token")).unwrap().trim().to_owned();
        let influx = Influx::at(url, "market".to_owned(), token);
        Some(OwnInflux { script, folder, port, influx })
    }

    /// Another bucket on it.
    pub(crate) fn bucket(&self) -> Influx {
        Influx::at(self.influx.url.clone(), self.influx.org.clone(), self.influx.token.clone())
    }

    pub(crate) fn stop(&self) {
        run(&self.script, &self.folder, &["stop"]);
    }

    pub(crate) fn again(&self) {
        run(&self.script, &self.folder, &["start", "--port", &self.port]);
    }
}

impl Drop for OwnInflux {
    fn drop(&mut self) {
        let killed = Command::new(&self.script).arg("kill").arg("--dir").arg(self.folder.path()).status();
        assert!(killed.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
