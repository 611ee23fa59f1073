//! A stand-in for servers of object stores, which holds what it is given: by the interface of S3, of Google's (which is nearly that) or of Azure's,
//! with or without the condition by which a file is created once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a connection may be silent.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);
const TIME: &str = "Fri, 02 Jan 2026 10:00:00 GMT";

/// Whose interface it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Interface {
    S3,
    Google,
    Azure,
}

impl Interface {
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Interface::S3 => "s3",
            Interface::Google => "gs",
            Interface::Azure => "az",
        }
    }

    /// What the program needs in its environment, for a server at `url` that knows this key; Azure's secrets are base64.
    pub(crate) fn env<'a>(self, url: &'a str, key: &'a str, secret: &'a str) -> Vec<(&'a str, &'a str)> {
        match self {
            Interface::S3 => vec![
                ("AWS_ENDPOINT", url),
                ("AWS_ALLOW_HTTP", "true"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_ACCESS_KEY_ID", key),
                ("AWS_SECRET_ACCESS_KEY", secret),
            ],
            // Of an account that asks nobody for a token.
            Interface::Google => vec![
                ("GOOGLE_BASE_URL", url),
                ("GOOGLE_ALLOW_HTTP", "true"),
                (
                    "GOOGLE_SERVICE_ACCOUNT_KEY",
                    r#"{"private_key": "none", "private_key_id": "none", "client_email": "none", "disable_oauth": true}"#,
                ),
            ],
            Interface::Azure => vec![
                ("AZURE_STORAGE_ENDPOINT", url),
                ("AZURE_ALLOW_HTTP", "true"),
                ("AZURE_STORAGE_ACCOUNT_NAME", key),
                ("AZURE_STORAGE_ACCOUNT_KEY", secret),
            ],
        }
    }
}

/// What it does where a file is to be created, and not overwritten.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Creating {
    /// It refuses where there is one.
    Honoured,
    /// It overwrites, as a server that has never heard of it.
    Ignored,
    /// 501, as a server that knows that it cannot.
    NotImplemented,
}

/// The server, which ends with the process; its bucket is `b`.
pub(crate) struct StandIn {
    pub(crate) url: String,
    interface: Interface,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

struct Request {
    method: String,
    /// Below the bucket.
    path: String,
    query: String,
    creates: bool,
    body: Vec<u8>,
}

impl StandIn {
    pub(crate) fn start(interface: Interface, creating: Creating) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let files = Arc::default();
        let server = StandIn { url, interface, files: Arc::clone(&files) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let files = Arc::clone(&files);
                std::thread::spawn(move || serve(&stream.unwrap(), interface, creating, &files));
            }
        });
        server
    }

    /// As `--state`.
    pub(crate) fn uri(&self) -> String {
        format!("{}://b/jobs/one", self.interface.scheme())
    }

    /// What the program needs in its environment.
    pub(crate) fn env(&self) -> Vec<(&str, &str)> {
        self.interface.env(&self.url, "account", "c2VjcmV0")
    }

    /// Names of all that is there.
    pub(crate) fn names(&self) -> Vec<String> {
        self.files.lock().unwrap().keys().cloned().collect()
    }
}

/// A request, if the client has not gone.
fn read(from: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    from.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut creates) = (0, false);
    loop {
        let mut header = String::new();
        from.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        match (&*name.to_ascii_lowercase(), value.trim()) {
            ("content-length", value) => length = value.parse().unwrap(),
            ("if-none-match", "*") | ("x-goog-if-generation-match", "0") => creates = true,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = path.strip_prefix("/b").unwrap_or(path).trim_start_matches('/').replace("%2F", "/");
    Some(Request { method, path, query: query.to_owned(), creates, body })
}

fn serve(stream: &TcpStream, interface: Interface, creating: Creating, files: &Mutex<BTreeMap<String, Vec<u8>>>) {
    stream.set_read_timeout(Some(STEP_TIMEOUT)).unwrap();
    let mut from = BufReader::new(stream);
    while let Some(request) = read(&mut from) {
        let mut files = files.lock().unwrap();
        let there = files.get(&request.path).cloned();
        let (status, body) = match &*request.method {
            "PUT" if request.creates && creating == Creating::NotImplemented => (501, Vec::new()),
            "PUT" if request.creates && creating == Creating::Honoured && there.is_some() => match interface {
                Interface::Azure => (409, Vec::new()),
                _ => (412, Vec::new()),
            },
            "PUT" => {
                files.insert(request.path, request.body);
                (if interface == Interface::Azure { 201 } else { 200 }, Vec::new())
            }
            "DELETE" => {
                files.remove(&request.path);
                (if interface == Interface::Azure { 202 } else { 204 }, Vec::new())
            }
            // Azure's client deletes by batches.
            "POST" if interface == Interface::Azure => (202, deleted(&mut files, &request.body).into_bytes()),
            "GET" if request.path.is_empty() => (200, listed(&files, &request.query, interface).into_bytes()),
            _ => there.map_or((404, Vec::new()), |bytes| (200, bytes)),
        };
        drop(files);
        let mut answer = format!("HTTP/1.1 {status} Said\r\nETag: \"1\"\r\nLast-Modified: {TIME}\r\n");
        if request.method == "POST" {
            answer.push_str("Content-Type: multipart/mixed; boundary=batch\r\n");
        }
        write!(answer, "x-goog-generation: 1\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
        let body = if request.method == "HEAD" { &[] } else { &*body };
        let mut to = stream;
        if to.write_all(&[answer.as_bytes(), body].concat()).is_err() {
            return;
        }
    }
}

/// Deletes the files of a batch, whose parts are requests.
fn deleted(files: &mut BTreeMap<String, Vec<u8>>, batch: &[u8]) -> String {
    let mut answer = String::new();
    let batch = String::from_utf8_lossy(batch);
    let paths = batch.lines().filter_map(|line| line.strip_prefix("DELETE ")?.split([' ', '?']).next());
    for (number, path) in paths.enumerate() {
        files.remove(path.split_once("/b/").map_or(path, |(_, name)| name));
        let part = "Content-Type: application/http\r\n";
        write!(answer, "--batch\r\n{part}Content-ID: {number}\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n\r\n").unwrap();
    }
    answer + "--batch--\r\n"
}

/// Files of one folder.
fn listed(files: &BTreeMap<String, Vec<u8>>, query: &str, interface: Interface) -> String {
    let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
    let prefix = prefix.replace("%2F", "/");
    let mut text = String::new();
    let found = files.iter().filter(|(name, _)| name.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/')));
    for (name, bytes) in found {
        let length = bytes.len();
        match interface {
            Interface::Azure => write!(
                text,
                "<Blob><Name>{name}</Name><Properties><Last-Modified>{TIME}</Last-Modified>\
                 <Content-Length>{length}</Content-Length><Content-Type>x</Content-Type><Etag>1</Etag></Properties></Blob>"
            ),
            _ => write!(
                text,
                "<Contents><Key>{name}</Key><Size>{length}</Size><LastModified>2026-01-02T10:00:00.000Z</LastModified>\
                 <ETag>1</ETag></Contents>"
            ),
        }
        .unwrap();
    }
    match interface {
        Interface::Azure => format!("<EnumerationResults><Blobs>{text}</Blobs><NextMarker/></EnumerationResults>"),
        _ => format!("<ListBucketResult>{text}</ListBucketResult>"),
    }
}
