//! OAUTHBEARER by OIDC: a token endpoint on loopback is asked as RFC 6749 has it, and a real broker takes its tokens, for a
//! run and for `minutely produce`. One that refuses, or does not answer, is named.

use crate::common::kafka::OwnKafka;
use crate::common::now;
use crate::common::program::{PATIENCE, Program};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use minutely_dataflows::time::SECOND;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Answers for as long as the test lives.
struct Endpoint {
    url: String,
    tokens: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let (tokens, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counts, keeps) = (Arc::clone(&tokens), Arc::clone(&asked));
        std::thread::spawn(move || {
            for mut socket in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(socket.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|read| read > 0) {}
                for line in head.to_ascii_lowercase().lines() {
                    length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let known = head.contains(&format!("Basic {}", STANDARD.encode("me:s3cret")));
                let answer = if known { token() } else { r#"{"error":"invalid_client"}"#.to_owned() };
                let status = if known { "200 OK" } else { "401 Unauthorized" };
                counts.fetch_add(usize::from(known), Ordering::SeqCst);
                keeps.lock().unwrap().push(format!(
                    "{}{}",
                    head.lines().next().unwrap(),
                    String::from_utf8(body).unwrap()
                ));
                let length = answer.len();
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}");
                let _gone = socket.write_all(answer.as_bytes());
            }
        });
        Endpoint { url, tokens, asked }
    }
}

/// Of five seconds: it is renewed while a run lives.
fn token() -> String {
    let now = now().0 / SECOND;
    let claims = format!(r#"{{"sub":"me","iat":{now},"exp":{},"scope":"kafka"}}"#, now + 6);
    let token = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims));
    format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":6}}"#)
}

#[test]
fn a_token_lets_in_and_is_renewed() {
    let Some(broker) = OwnKafka::tokens("OAUTHBEARER") else { return };
    let endpoint = Endpoint::start();
    let topic = broker.kafka.topic("tokens", 1, &[]);
    let uri = format!("kafka://{}/{topic}", broker.listener("SASL_PLAINTEXT"));
    let url = format!("sasl.oauthbearer.token.endpoint.url={}", endpoint.url);
    let login = |url: &str| -> Vec<String> {
        let properties = [
            "security.protocol=SASL_PLAINTEXT",
            "sasl.mechanism=OAUTHBEARER",
            "sasl.oauthbearer.method=oidc",
            "sasl.oauthbearer.client.id=me",
            "sasl.oauthbearer.client.secret=env:SECRET",
            "sasl.oauthbearer.scope=kafka ticks",
            url,
        ];
        properties.iter().flat_map(|property| ["-X".to_owned(), (*property).to_owned()]).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let run = |url: &str, secret: &str, more: &[&str]| {
        let login = login(url);
        let login: Vec<&str> = login.iter().map(String::as_str).collect();
        let args = [&["--source", &uri, "--sink", "stdout:", "--state", "none"], more, &login].concat();
        Program::start(folder.path(), &args, &[("SECRET", secret)])
    };
    let mine = login(&url);
    let mine: Vec<&str> = mine.iter().map(String::as_str).collect();
    let args = [&["--from", "sim:?history=1m&partitions=1&rate=10&shape=even", "--to", &uri, "--until-end"], &mine[..]]
        .concat();
    let written = Program::producing(&args, &[("SECRET", "s3cret")]).ended(PATIENCE).well().done("acknowledged");
    assert!(written > 500, "{written}");
    let elsewhere = format!("{uri}-nowhere");
    let args = [&["--from", "sim:", "--to", &elsewhere], &mine[..]].concat();
    let parts = ["-nowhere' does not exist, and none is created with OAUTHBEARER: create it first"];
    Program::producing(&args, &[("SECRET", "s3cret")]).ended(PATIENCE).refused(64, &parts);
    let mut live = run(&url, "s3cret", &[]);
    live.until("it reads", PATIENCE, |live| live.read() == written);
    let before = endpoint.tokens.load(Ordering::SeqCst);
    live.until("tokens are renewed", PATIENCE, |_| endpoint.tokens.load(Ordering::SeqCst) > before + 2);
    let writer = broker.kafka.writer(&topic);
    writer.tick(0, "TICK", 1, now());
    writer.flush();
    live.until("it reads on", PATIENCE, |live| live.read() == written + 1);
    live.stopped();
    let asked = endpoint.asked.lock().unwrap().clone();
    let wanted = "POST /token HTTP/1.1grant_type=client_credentials&scope=kafka+ticks";
    assert!(asked.iter().all(|asked| asked == wanted), "{asked:?}");

    let nobody = "sasl.oauthbearer.token.endpoint.url=http://127.0.0.1:1/token";
    let running = [run(&url, "wr0ng", &["--until-end"]), run(nobody, "s3cret", &["--until-end"])];
    let parts: [(i32, &[&str]); 2] = [
        (64, &["refuses this client (401: invalid_client)", "correct -X sasl.oauthbearer.client.id"]),
        (69, &["no answer from the token endpoint http://127.0.0.1:1/token", "onnection refused"]),
    ];
    for (program, (code, parts)) in running.into_iter().zip(parts) {
        let ended = program.ended(PATIENCE);
        ended.refused(code, parts);
        assert!(!ended.said.contains("wr0ng") && !ended.said.contains("s3cret"), "{}", ended.said);
    }
}
