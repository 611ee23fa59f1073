//! A server that does what a script says: HTTP answers, and websockets that send, close, drop, or are silent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// How long any step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// What a websocket's server does next.
pub(crate) enum Step {
    /// Takes a text from the client, and notes it.
    Take,
    Text(String),
    Binary(Vec<u8>),
    /// Bytes as they are, whatever websockets ask for.
    Raw(Vec<u8>),
    /// Answers pings for so long, and takes what comes.
    Serve(Duration),
    /// Takes nothing and sends nothing until the client has gone.
    Silence,
    /// Answers pings until the client closes.
    Hold,
    /// Closes with a code and words.
    Close(u16, &'static str),
}

/// What one connection gets.
pub(crate) enum Script {
    /// An HTTP answer: status, further headers, body.
    Answer(u16, &'static str, String),
    /// A websocket; at the end of the steps the connection is dropped, without a word.
    Socket(Vec<Step>),
    /// A handshake with a wrong key.
    WrongKey,
}

/// The server; it ends with the process.
pub(crate) struct ScriptedServer {
    pub(crate) url: String,
    scripts: Arc<Mutex<Vec<(String, Script)>>>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl ScriptedServer {
    /// Scripts by the beginning of the path that they answer, each once, in this order.
    pub(crate) fn start(scripts: Vec<(&str, Script)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let scripts = scripts.into_iter().map(|(path, script)| (path.to_owned(), script)).collect();
        let server = ScriptedServer { url, scripts: Arc::new(Mutex::new(scripts)), notes: Arc::default() };
        let (scripts, notes) = (Arc::clone(&server.scripts), Arc::clone(&server.notes));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (scripts, notes) = (Arc::clone(&scripts), Arc::clone(&notes));
                std::thread::spawn(move || answer(stream.unwrap(), &scripts, &notes));
            }
        });
        server
    }

    /// First lines of requests, texts that websockets took, and how they ended, in order.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap().clone()
    }

    /// Waits for a note with this text.
    pub(crate) fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + STEP_TIMEOUT;
        while !self.notes().iter().any(|note| note.contains(text)) {
            assert!(Instant::now() < deadline, "no `{text}` among {:?}", self.notes());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Scripts that no connection asked for.
    pub(crate) fn left(&self) -> usize {
        self.scripts.lock().unwrap().len()
    }
}

/// One connection.
fn answer(mut stream: TcpStream, scripts: &Mutex<Vec<(String, Script)>>, notes: &Mutex<Vec<String>>) {
    stream.set_read_timeout(Some(STEP_TIMEOUT)).unwrap();
    let head = head(&mut stream);
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let note = |text: String| notes.lock().unwrap().push(text);
    note(head.lines().next().unwrap_or_default().to_owned());
    let script = {
        let mut scripts = scripts.lock().unwrap();
        let at = scripts.iter().position(|(of, _)| path.starts_with(of.as_str()));
        at.map(|at| scripts.remove(at).1)
    };
    let key = header(&head, "sec-websocket-key");
    match (script, key) {
        (Some(Script::Answer(status, headers, body)), _) => {
            if let Some(cookie) = header(&head, "cookie") {
                note(format!("cookie {cookie}"));
            }
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
            drop(stream.write_all((head + &body).as_bytes()));
        }
        (Some(Script::WrongKey), Some(_)) => switch(&mut stream, "wrong"),
        (Some(Script::Socket(steps)), Some(key)) => {
            let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
            switch(&mut stream, &STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes())));
            let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
            for step in steps {
                if let Err(why) = act(&mut socket, step, &note) {
                    note(format!("gone: {why}"));
                    break;
                }
            }
            drop(socket.get_mut().shutdown(Shutdown::Both));
        }
        // No script is left: a server that is silent, so that a test can end.
        _ => std::thread::sleep(STEP_TIMEOUT),
    }
}

fn switch(stream: &mut TcpStream, accept: &str) {
    let head =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ";
    stream.write_all(format!("{head}{accept}\r\n\r\n").as_bytes()).unwrap();
}

fn act(socket: &mut WebSocket<TcpStream>, step: Step, note: &dyn Fn(String)) -> Result<(), String> {
    let text = |why: tokio_tungstenite::tungstenite::Error| why.to_string();
    match step {
        Step::Take => loop {
            match socket.read().map_err(text)? {
                Message::Text(text) => {
                    note(text.to_string());
                    return Ok(());
                }
                Message::Close(_) => return Err("closed".to_owned()),
                _ => {}
            }
        },
        Step::Text(frame) => socket.send(Message::text(frame)).map_err(text),
        Step::Binary(frame) => socket.send(Message::Binary(frame.into())).map_err(text),
        Step::Raw(bytes) => socket.get_mut().write_all(&bytes).map_err(|why| why.to_string()),
        Step::Serve(time) => {
            let end = Instant::now() + time;
            while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
                socket.get_mut().set_read_timeout(Some(left)).unwrap();
                match socket.read() {
                    Ok(Message::Close(_)) => return Err("closed".to_owned()),
                    Ok(_) => {}
                    Err(tokio_tungstenite::tungstenite::Error::Io(_)) => break,
                    Err(why) => return Err(why.to_string()),
                }
            }
            socket.get_mut().set_read_timeout(Some(STEP_TIMEOUT)).unwrap();
            Ok(())
        }
        Step::Silence => {
            let mut bytes = [0; 1024];
            while socket.get_mut().read(&mut bytes).is_ok_and(|many| many > 0) {}
            Err("after silence".to_owned())
        }
        Step::Hold => loop {
            match socket.read().map_err(text)? {
                Message::Close(_) => return Err("closed".to_owned()),
                Message::Text(text) => note(text.to_string()),
                _ => {}
            }
        },
        Step::Close(code, words) => {
            let frame = CloseFrame { code: code.into(), reason: words.into() };
            socket.close(Some(frame)).and_then(|()| socket.flush()).map_err(text)
        }
    }
}

/// A request's head.
fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0_u8]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|many| many == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// The value of a header; names are compared in lower case.
fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
}
