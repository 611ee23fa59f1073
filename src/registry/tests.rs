//! A registry that is scripted, for its failures, and a real one.

use super::*;
use minutely_dataflows::edge::HaltKind;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// What a scripted server was asked, without the end of its lines.
type Asked = Arc<Mutex<Vec<String>>>;

/// A server that answers by this function: of the path and how often it was asked, in all. It lives as long as the process.
fn serve(answer: impl Fn(&str, usize) -> Reply + Send + 'static) -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let shared = Arc::clone(&asked);
    std::thread::spawn(move || {
        for (at, socket) in listener.incoming().enumerate() {
            one(&mut socket.unwrap(), &shared, |path| answer(path, at));
        }
    });
    (url, asked)
}

fn one(socket: &mut TcpStream, asked: &Asked, answer: impl Fn(&str) -> Reply) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if socket.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let login = head.lines().find_map(|line| {
        line.to_lowercase().strip_prefix("authorization: ").map(|_| line["authorization: ".len()..].to_owned())
    });
    asked.lock().unwrap().push([Some(path.clone()), login].into_iter().flatten().collect::<Vec<_>>().join(" "));
    match answer(&path) {
        Reply::Status(status, headers, body) => {
            let length = body.len();
            let text =
                format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}");
            let _gone = socket.write_all(text.as_bytes());
        }
        Reply::Cut => {
            let _gone = socket.write_all(b"HTTP/1.1 200 x\r\nContent-Length: 1000\r\n\r\n{\"schema\": ");
        }
        Reply::Silence => std::thread::sleep(Duration::from_millis(400)),
    }
}

enum Reply {
    Status(u16, &'static str, String),
    /// A body that ends too early.
    Cut,
    /// None.
    Silence,
}

fn ok(body: &str) -> Reply {
    Reply::Status(200, "", body.to_owned())
}

fn status(status: u16, body: &str) -> Reply {
    Reply::Status(status, "", body.to_owned())
}

const NONE: &str = r#"{"error_code": 40403, "message": "Schema not found"}"#;
const INT: &str = r#"{"schema": "\"int\""}"#;

fn access(user: Option<&str>, env: &[(&str, &str)]) -> Result<RegistryAccess, String> {
    let args = args(&[("--schema-registry-user", user)]);
    RegistryAccess::of(&args, &|name| {
        env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

/// The options, of these alone.
fn args(options: &[(&str, Option<&str>)]) -> SchemaArgs {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        schemas: SchemaArgs,
    }
    let words = options.iter().filter_map(|(name, value)| Some([*name, (*value)?])).flatten();
    <Line as clap::Parser>::parse_from(std::iter::once("x").chain(words)).schemas
}

/// A registry with short waits.
fn registry(urls: &str) -> Registry {
    registry_as(urls, access(None, &[]).unwrap())
}

fn registry_as(urls: &str, access: RegistryAccess) -> Registry {
    let ms = Duration::from_millis;
    let wait = RegistryWaits { all: ms(800), request: ms(200), pauses: (ms(10), ms(50)), doubt: ms(1) };
    Registry::new(client::addresses(urls).unwrap(), access, Vec::new(), wait).unwrap()
}

#[test]
fn a_schema_is_asked_for_once() {
    let (url, asked) = serve(|_, _| ok(INT));
    let registry = registry(&format!("{url}/apis/ccompat/v7/"));
    let want = RegisteredSchema { kind: SchemaKind::Avro, text: "\"int\"".to_owned(), references: Vec::new() };
    for _ in 0..3 {
        assert_eq!(registry.schema(7).unwrap(), Some(want.clone()));
    }
    assert_eq!(*asked.lock().unwrap(), ["/apis/ccompat/v7/schemas/ids/7"]);
}

#[test]
fn what_is_referred_to_comes_first() {
    let (url, asked) = serve(|path, _| match path {
        "/schemas/ids/1" => ok(r#"{"schemaType": "PROTOBUF", "schema": "root", "references": [
            {"name": "a.proto", "subject": "a/b c", "version": 3}, {"name": "b.proto", "subject": "b", "version": 1},
            {"name": "gone.proto", "subject": "gone", "version": 1}]}"#),
        "/subjects/a%2Fb%20c/versions/3" => {
            ok(r#"{"subject": "a/b c", "version": 3, "id": 9, "schema": "a", "schemaType": "PROTOBUF",
            "references": [{"name": "b.proto", "subject": "b", "version": 1}]}"#)
        }
        "/subjects/b/versions/1" => ok(r#"{"schema": "b", "references": null}"#),
        _ => status(404, r#"{"error_code": 40401, "message": "no subject"}"#),
    });
    let schema = registry(&url).schema(1).unwrap().unwrap();
    let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!((schema.kind, schema.text.as_str()), (SchemaKind::Protobuf, "root"));
    assert_eq!(schema.references, [pair("b.proto", "b"), pair("a.proto", "a")]);
    assert_eq!(asked.lock().unwrap().len(), 4);
}

/// A node of the registry may be behind: an id that it does not have is asked for again.
#[test]
fn an_id_without_a_schema_is_asked_for_twice() {
    let (url, asked) = serve(|_, at| if at == 0 { status(404, NONE) } else { ok(INT) });
    assert!(registry(&url).schema(5).unwrap().is_some());
    assert_eq!(asked.lock().unwrap().len(), 2);

    // At another address, where there is one.
    let (behind, asked_behind) = serve(|_, _| status(404, NONE));
    let (other, asked_other) = serve(|_, _| ok(INT));
    assert!(registry(&format!("{behind},{other}")).schema(5).unwrap().is_some());
    assert_eq!((asked_behind.lock().unwrap().len(), asked_other.lock().unwrap().len()), (1, 1));

    let (url, asked) = serve(|_, _| status(404, NONE));
    let registry = registry(&url);
    for id in 0..40 {
        assert_eq!((registry.schema(id).unwrap(), registry.schema(id).unwrap()), (None, None));
    }
    let times = asked.lock().unwrap().len();
    assert_eq!(times, 40 + usize::try_from(MOST_DOUBTS).unwrap(), "not for ever, and an answer is kept");
}

#[test]
fn what_may_pass_is_asked_again() {
    let (url, asked) = serve(|_, at| match at {
        0 => status(500, r#"{"error_code": 50001, "message": "its store is away"}"#),
        1 => Reply::Status(429, "Retry-After: 0\r\n", "slower".into()),
        2 => Reply::Cut,
        3 => ok("<html>a proxy</html>"),
        4 => Reply::Silence,
        _ => ok(INT),
    });
    assert!(registry(&url).schema(5).unwrap().is_some());
    assert_eq!(asked.lock().unwrap().len(), 6);

    // Another address answers meanwhile, and is asked first from then on.
    let (bad, asked_bad) = serve(|_, _| status(503, ""));
    let (good, asked_good) = serve(|_, _| ok(INT));
    let registry = registry(&format!("{bad}, http://127.0.0.1:1,{good}"));
    assert!(registry.schema(1).unwrap().is_some() && registry.schema(2).unwrap().is_some());
    assert_eq!((asked_bad.lock().unwrap().len(), asked_good.lock().unwrap().len()), (1, 2));
}

#[test]
fn no_answer_ends_the_run_with_the_last_words_of_each_address() {
    let (url, asked) = serve(|_, _| status(500, r#"{"error_code": 50001, "message": "its store is away"}"#));
    let halt = registry(&format!("{url},http://127.0.0.1:1")).schema(5).unwrap_err();
    assert_eq!(halt.kind, HaltKind::Unreachable);
    for part in [
        "within 0.8 s",
        &format!("{url}/: it answers 500 (its store is away)"),
        "http://127.0.0.1:1/: ",
        "refused",
        "--schema-registry-timeout",
    ] {
        assert!(halt.why.contains(part), "{}", halt.why);
    }
    assert!(asked.lock().unwrap().len() > 3);
    let (url, _) = serve(|_, _| Reply::Silence);
    assert!(registry(&url).schema(5).unwrap_err().why.contains("no answer in time"));
    let (url, _) = serve(|_, _| Reply::Status(503, "Retry-After: 3600\r\n", String::new()));
    assert_eq!(registry(&url).probe().unwrap_err().kind, HaltKind::Unreachable);
    let (url, _) = serve(|_, _| ok(r#"{"text": 1}"#));
    assert!(registry(&url).schema(5).unwrap_err().why.contains(r#"no schema: {"text": 1}"#));
}

#[test]
fn what_will_not_do_says_what_to_do() {
    let login = access(Some("me"), &[("MINUTELY_SCHEMA_REGISTRY_PASSWORD", "p s\n")]).unwrap();
    let (url, asked) = serve(|_, _| status(401, r#"{"error_code": 401, "message": "Unauthorized"}"#));
    let with_login = registry_as(&url, login).probe().unwrap_err();
    assert!(with_login.why.contains("does not know this user"), "{}", with_login.why);
    assert_eq!(*asked.lock().unwrap(), ["/schemas/ids/0 Basic bWU6cCBz"]);
    let token = access(None, &[("MINUTELY_SCHEMA_REGISTRY_TOKEN", " abc.def\n")]).unwrap();
    let (url, asked) = serve(|_, _| status(403, "no"));
    let forbidden = registry_as(&url, token).probe().unwrap_err();
    assert!(
        forbidden.why.contains("may not read schemas there") && forbidden.kind == HaltKind::Usage,
        "{}",
        forbidden.why
    );
    assert_eq!(*asked.lock().unwrap(), ["/schemas/ids/0 Bearer abc.def"]);
    for (code, headers, body, want) in [
        (401, "", "", "it wants a login: give --schema-registry-user"),
        (403, "", "", "it may need a login"),
        (404, "", "<html>no such page</html>", "ccompat"),
        (404, "", r#"{"error_code": 404, "message": "HTTP 404 Not Found"}"#, "ccompat"),
        (302, "Location: https://sso/login?secret=1\r\n", "", "to https://sso/login)"),
        (400, "", r#"{"error_code": 400, "message": "odd"}"#, "(odd)"),
    ] {
        let (url, _) = serve(move |_, _| Reply::Status(code, headers, body.to_owned()));
        let halt = registry(&url).probe().unwrap_err();
        assert!(
            halt.kind == HaltKind::Usage && halt.why.contains(want) && halt.why.contains(&code.to_string()),
            "{}",
            halt.why
        );
    }
    let (url, _) = serve(|_, _| status(404, NONE));
    registry(&url).probe().unwrap();
}

#[test]
fn options_that_do_not_fit_are_told_together() {
    let mistakes = |options: &[(&str, Option<&str>)]| {
        let mut errors = UsageErrors::default();
        assert!(Registry::of(&args(options), &mut errors).is_none());
        errors.iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(mistakes(&[]).is_empty());
    let ca = Some("/nowhere/ca.pem");
    let orphans = mistakes(&[("--schema-registry-user", Some("me")), ("--schema-registry-ca", ca)]);
    assert!(
        orphans.len() == 2 && orphans.iter().all(|mistake| mistake.contains("there is no --schema-registry")),
        "{orphans:?}"
    );
    let url = Some("http://me:secret@a:1,ftp://b,nonsense,https://c?x=1");
    let all = mistakes(&[
        ("--schema-registry", url),
        ("--schema-registry-ca", ca),
        ("--schema-registry-timeout", Some("soon")),
    ]);
    assert_eq!(all.len(), 6, "{all:?}");
    assert!(!all.concat().contains("secret"), "{all:?}");
    let error = |user, env| access(user, env).err().unwrap();
    assert!(error(Some("me"), &[]).contains("has no password"));
    let both = [("MINUTELY_SCHEMA_REGISTRY_PASSWORD", "p"), ("MINUTELY_SCHEMA_REGISTRY_TOKEN", "t")];
    assert!(error(Some("me"), &both).contains("two logins"));
    assert!(error(None, &[("MINUTELY_SCHEMA_REGISTRY_TOKEN", "a b")]).contains("such as a space"));
    let open = access(None, &both[..1]).unwrap();
    assert!(matches!(open.login, access::RegistryLogin::None), "a variable alone is no login");
}

#[test]
fn a_schema_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let avro = write("a.avsc", "\"int\"");
    write("in/b.proto", "syntax = \"proto3\"; import 'in/c.proto'; message B { C c = 1; }");
    write("in/c.proto", "syntax = \"proto3\"; message C { int32 n = 1; }");
    let proto = write(
        "a.proto",
        "syntax = \"proto3\";\nimport public \"in/b.proto\";\nimport \"google/protobuf/timestamp.proto\";\nmessage A { B b = 1; google.protobuf.Timestamp at = 2; }\nmessage Z {}",
    );
    let of =
        |file: &str, message, kind| schema_file(&args(&[("--schema", Some(file)), ("--schema-type", message)]), kind);
    assert!(of(&avro, None, SchemaKind::Avro).unwrap().is_some());
    assert!(of(&proto, Some("A"), SchemaKind::Protobuf).unwrap().is_some());
    let several = of(&proto, None, SchemaKind::Protobuf).unwrap_err();
    assert!(
        several.starts_with("--schema ")
            && several.contains("a.proto: it has several messages")
            && several.contains("A, Z"),
        "{several}"
    );
    assert!(of(&proto, None, SchemaKind::Avro).unwrap_err().contains("is a file .avsc"));
    assert!(of(&avro, None, SchemaKind::Protobuf).unwrap_err().contains("is a file .proto"));
    assert!(of("/nowhere.avsc", None, SchemaKind::Avro).unwrap_err().contains("No such file"));
    let outside = write("up.proto", "syntax = \"proto3\"; import \"../up.proto\"; message A {}");
    assert!(of(&outside, None, SchemaKind::Protobuf).is_err());
    assert!(schema_file(&args(&[]), SchemaKind::Avro).unwrap().is_none());
    assert!(
        schema_file(&args(&[("--schema-type", Some("A"))]), SchemaKind::Protobuf).unwrap_err().contains("--schema,")
    );
}

/// Over TLS: by a certificate of a file, and not by one that nobody knows.
#[test]
fn a_certificate_that_is_known() {
    struct Server(std::process::Child);
    impl Drop for Server {
        fn drop(&mut self) {
            let _ended = self.0.kill();
            let _ended = self.0.wait();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("schemas/ids")).unwrap();
    std::fs::write(folder.path().join("schemas/ids/7"), INT).unwrap();
    let openssl = |words: &str| {
        let mut command = std::process::Command::new("openssl");
        command.current_dir(folder.path()).args(words.split(' ')).stdin(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        command
    };
    let made = openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1",
    );
    assert!({ made }.status().unwrap().success());
    let mut server = openssl("s_server -WWW -accept 127.0.0.1:0 -cert cert.pem -key key.pem");
    let mut server = Server(server.stdout(std::process::Stdio::piped()).spawn().unwrap());
    let lines = std::io::BufRead::lines(std::io::BufReader::new(server.0.stdout.take().unwrap()));
    let port =
        lines.map(Result::unwrap).find_map(|line| Some(line.strip_prefix("ACCEPT ")?.rsplit_once(':')?.1.to_owned()));
    let url = format!("https://127.0.0.1:{}", port.unwrap());
    let of = |options: &[(&str, Option<&str>)]| {
        let mut errors = UsageErrors::default();
        Registry::of(&args(&[&[("--schema-registry", Some(url.as_str()))], options].concat()), &mut errors).unwrap()
    };
    let certificate = folder.path().join("cert.pem");
    let known = of(&[("--schema-registry-ca", certificate.to_str())]);
    assert_eq!(known.schema(7).unwrap().unwrap().text, "\"int\"");
    let halt = of(&[("--schema-registry-timeout", Some("300ms"))]).schema(7).unwrap_err();
    assert!(halt.kind == HaltKind::Unreachable && halt.why.contains("--schema-registry-ca"), "{}", halt.why);
}

/// Schemas that a real registry was given, as it gives them; and messages by them.
#[test]
fn a_real_registry() {
    let Ok(url) = std::env::var("MINUTELY_TEST_REGISTRY_URL") else {
        println!("LEFT OUT: a real schema registry, needs MINUTELY_TEST_REGISTRY_URL");
        return;
    };
    let ours = format!("{:x}", fastrand::u64(..));
    let money =
        r#"{"type": "record", "name": "Money", "namespace": "b", "fields": [{"name": "cents", "type": "int"}]}"#;
    let trade =
        r#"{"type": "record", "name": "Trade", "namespace": "b", "fields": [{"name": "cost", "type": "b.Money"}]}"#;
    // Each has a doc of its own: the same text would be the same id in another run of this test.
    let doc = |text: &str| text.replacen("\"namespace\"", &format!("\"doc\": \"{ours}\", \"namespace\""), 1);
    let (inner, outer) = (
        "syntax = \"proto3\"; message A { int32 p = 1; }",
        "syntax = \"proto3\"; import \"a.proto\"; message B { A a = 1; }",
    );
    let comment = |text: &str| format!("{text} // {ours}");
    let register = |subject: &str, body: serde_json::Value| {
        let url = format!("{url}/subjects/{ours}%2F{subject}/versions");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let body = body.to_string();
        let answer = runtime.block_on(async {
            let request =
                reqwest::Client::new().post(url).header("Content-Type", "application/vnd.schemaregistry.v1+json");
            request.body(body).send().await.unwrap().text().await.unwrap()
        });
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        u32::try_from(answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"))).unwrap()
    };
    let refer = |name: &str, subject: &str| serde_json::json!([{"name": name, "subject": format!("{ours}/{subject}"), "version": 1}]);
    let ids = [
        register("money", serde_json::json!({"schema": doc(money)})),
        register("trade", serde_json::json!({"schema": doc(trade), "references": refer("b.Money", "money")})),
        register("inner", serde_json::json!({"schemaType": "PROTOBUF", "schema": comment(inner)})),
        register(
            "outer",
            serde_json::json!({"schemaType": "PROTOBUF", "schema": comment(outer), "references": refer("a.proto", "inner")}),
        ),
    ];
    let mut errors = UsageErrors::default();
    let registry = Registry::of(&args(&[("--schema-registry", Some(&url))]), &mut errors).unwrap();
    registry.probe().unwrap();
    let found = ids.map(|id| registry.schema(id).unwrap().unwrap());
    assert_eq!(found[0].text, doc(money));
    assert_eq!((found[1].kind, &found[1].references), (SchemaKind::Avro, &vec![("b.Money".to_owned(), doc(money))]));
    assert_eq!(
        (found[3].kind, &found[3].references),
        (SchemaKind::Protobuf, &vec![("a.proto".to_owned(), comment(inner))])
    );
    for schema in &found {
        minutely_dataflows::decode::schema::FileSchema::of(schema, None).unwrap();
    }
    assert_eq!(registry.schema(u32::MAX / 2).unwrap(), None);
    let above = url.split("/apis/").next().unwrap();
    let other = Registry::of(&args(&[("--schema-registry", Some(above))]), &mut errors).unwrap();
    assert!(other.probe().unwrap_err().why.contains("ccompat"), "the registry's own page is no API of it");
}
