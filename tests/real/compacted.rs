//! A topic that may be compacted: what the broker does not let a user see is unknown, and said for as long as it is so; a
//! topic that becomes compacted under a run ends it.

use crate::common::kafka::OwnKafka;
use crate::common::program::{PATIENCE, Program};
use crate::common::{now, wait_for};
use crate::live::SHORT;
use minutely_dataflows::time::SECOND;

/// The concerns of the run that serves here.
fn concerns(at: &str) -> Vec<String> {
    let url = format!("http://{at}/api/status");
    let status = wait_for(async { reqwest::get(url).await.unwrap().text().await.unwrap() });
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    status["concerns"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_policy_that_may_not_be_seen_is_unknown_until_it_is_seen_and_one_that_changes_ends_the_run() {
    let Some(broker) = OwnKafka::guarded("what a user may not see of a topic") else { return };
    let kafka = &broker.kafka;
    let (topic, other) = (kafka.topic("unseen", 1, &[]), kafka.topic("unseen", 1, &[("cleanup.policy", "compact")]));
    for topic in [&topic, &other] {
        broker.grant(&["--operation", "Read", "--operation", "Describe", "--topic", topic]);
        let writer = kafka.writer(topic);
        (0..60).for_each(|second| writer.tick(0, "TICK", 100, now().plus((second - 60) * SECOND)));
        writer.flush();
    }
    let folder = tempfile::tempdir().unwrap();
    let start = |topic: &str, more: &[&str]| {
        let source = format!("kafka://{}/{topic}", broker.listener("SASL_PLAINTEXT"));
        let properties = ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=SCRAM-SHA-256", "sasl.username=alice"];
        let properties = properties.iter().flat_map(|property| ["-X", property]);
        let mut args = vec!["--source", &source, "--sink", "stdout:", "--job", topic];
        args.extend(properties.chain(SHORT).chain(more.iter().copied()));
        Program::start(folder.path(), &args, &[("MINUTELY_KAFKA_PASSWORD", "alice-secret")])
    };
    let unknown = |topic: &str| {
        format!(
            "topic '{topic}' may be compacted, which removes records that count: this user may not see cleanup.policy; \
             grant READ, DESCRIBE and DESCRIBE_CONFIGS on it"
        )
    };

    // Refused is not "no": it is said at the start, and at the end.
    let ended = start(&other, &["--until-end"]).ended(PATIENCE).well();
    let said = ended.said.lines().filter(|line| line.contains(&unknown(&other)));
    assert!(said.count() >= 2, "{}", ended.said);

    // On the line and in the status, for as long as it is so.
    let mut run = start(&topic, &["--http", "127.0.0.1:0"]);
    let at = run.address();
    run.until("the line says it", PATIENCE, |run| run.live().is_some_and(|line| line.contains(&unknown(&topic))));
    assert!(concerns(&at).contains(&unknown(&topic)), "{:?}", concerns(&at));
    let group = format!("this user may not; grant READ on group 'minutely-{topic}'");
    run.until("the group's right is asked for", PATIENCE, |run| run.said().contains(&group));
    broker.grant(&["--operation", "Read", "--group", &format!("minutely-{topic}")]);
    broker.grant(&["--operation", "DescribeConfigs", "--topic", &topic]);
    kafka.writer(&topic).tick(0, "TICK", 100, now());
    run.until("all is known", PATIENCE, |_| concerns(&at).is_empty());
    run.until("the line is quiet", PATIENCE, |run| run.live().is_some_and(|line| !line.contains("compacted")));

    kafka.alter(&topic, &[("cleanup.policy", "compact"), ("retention.ms", "-1")]);
    let ended = run.ended(PATIENCE);
    assert_eq!(ended.code, Some(65), "{}", ended.said);
    let halt = ended.said.lines().last().unwrap();
    for part in [&format!("topic '{topic}' has cleanup.policy=compact now"), "set cleanup.policy=delete", "--job NAME"]
    {
        assert!(halt.contains(part), "`{part}` is not in {halt}");
    }
}
