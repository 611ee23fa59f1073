use super::super::hello::testing::hello;
use super::*;
use std::net::TcpListener;

fn credentials() -> Credentials {
    Credentials::new(&ClusterKey::random().unwrap()).unwrap()
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (caller, listener.accept().unwrap().0)
}

/// Both sides in turn, until both have an end.
fn ends(mut sides: [Option<Handshake>; 2], credentials: [&Credentials; 2]) -> [Result<Hello, ErrorKind>; 2] {
    let mut ends = [None, None];
    while ends.iter().any(Option::is_none) {
        for ((side, end), credentials) in sides.iter_mut().zip(&mut ends).zip(credentials) {
            *end = match side.take().map(|one| one.advance(credentials)) {
                None => end.take(),
                Some(Ok(Progress::Pending(one))) => {
                    *side = Some(one);
                    None
                }
                Some(Ok(Progress::Proven(_, hello))) => Some(Ok(hello)),
                Some(Err(e)) => Some(Err(e.kind())),
            };
        }
    }
    ends.map(|end| end.unwrap())
}

fn sides(caller: TcpStream, called: TcpStream) -> [Option<Handshake>; 2] {
    [Handshake::call(caller, hello(1)), Handshake::answer(called, hello(0))].map(Result::ok)
}

#[test]
fn processes_that_know_the_key_learn_of_one_another() {
    let (credentials, (caller, called)) = (credentials(), pair());
    assert_eq!(ends(sides(caller, called), [&credentials, &credentials]), [Ok(hello(0)), Ok(hello(1))]);
}

#[test]
fn those_of_another_key_learn_nothing() {
    let (here, there, (caller, called)) = (credentials(), credentials(), pair());
    let [caller, called] = ends(sides(caller, called), [&there, &here]);
    assert_eq!(called, Err(ErrorKind::PermissionDenied));
    assert!(caller.is_err());
}

/// One who has seen a right tag, and has another key for TLS, is refused by either side.
#[test]
fn a_tag_is_not_enough() {
    let (key, other) = (ClusterKey::random().unwrap(), ClusterKey::random().unwrap());
    let right = Credentials::new(&key).unwrap();
    let half = Credentials { tags: key.tags(), tls: Tls::new(&other).unwrap() };
    for (caller_has, called_has) in [(&half, &right), (&right, &half)] {
        let (caller, called) = pair();
        let ends = ends(sides(caller, called), [caller_has, called_has]);
        assert!(ends.iter().all(Result::is_err), "{ends:?}");
    }
}

/// What a caller says, as it is written down by somebody in between who passes all on.
fn recorded(credentials: &Credentials) -> Vec<u8> {
    let ((caller, one), (other, called)) = (pair(), pair());
    let back = (other.try_clone().unwrap(), one.try_clone().unwrap());
    let pass = |mut from: TcpStream, mut to: TcpStream| {
        std::thread::spawn(move || {
            let (mut all, mut some) = (Vec::new(), [0; 4096]);
            while let Ok(n @ 1..) = from.read(&mut some) {
                all.extend_from_slice(&some[..n]);
                let _gone = to.write_all(&some[..n]);
            }
            let _gone = to.shutdown(std::net::Shutdown::Both);
            all
        })
    };
    let (said, _answered) = (pass(one, other), pass(back.0, back.1));
    assert_eq!(ends(sides(caller, called), [credentials, credentials]), [Ok(hello(0)), Ok(hello(1))]);
    said.join().unwrap()
}

/// What a caller hears who says this, and how the handshake ends.
fn answer_to(credentials: &Credentials, says: &[u8]) -> (Vec<u8>, io::Error) {
    let (mut caller, called) = pair();
    let mut side = Handshake::answer(called, hello(0)).unwrap();
    caller.write_all(says).unwrap();
    caller.shutdown(std::net::Shutdown::Write).unwrap();
    let why = loop {
        match side.advance(credentials) {
            Ok(Progress::Pending(again)) => side = again,
            Ok(Progress::Proven(..)) => panic!("a stranger is let in"),
            Err(why) => break why,
        }
    };
    let mut heard = Vec::new();
    let _reset = caller.read_to_end(&mut heard);
    (heard, why)
}

#[test]
fn what_was_recorded_once_is_worth_nothing_whole_or_in_part() {
    let credentials = credentials();
    let said = recorded(&credentials);
    assert!(said.starts_with(&WORD) && said.len() > 300, "{}", said.len());
    for length in (0..said.len()).step_by(7).chain([said.len()]) {
        let (heard, why) = answer_to(&credentials, &said[..length]);
        assert!(heard.len() <= BYTES, "{length}: {} bytes, {why}", heard.len());
    }
}

#[test]
fn what_is_changed_on_the_way_is_refused() {
    let credentials = credentials();
    for at in [3, 20, 60, 200, 400, 600] {
        let ((caller, mut one), (mut other, called)) = (pair(), pair());
        let (mut from_called, mut to_caller) = (other.try_clone().unwrap(), one.try_clone().unwrap());
        let back = std::thread::spawn(move || {
            let _ended = io::copy(&mut from_called, &mut to_caller);
            let _gone = to_caller.shutdown(std::net::Shutdown::Both);
        });
        let there = std::thread::spawn(move || {
            let (mut passed, mut byte) = (0, [0; 1]);
            while let Ok(1) = one.read(&mut byte) {
                byte[0] ^= u8::from(passed == at);
                passed += 1;
                let _gone = other.write_all(&byte);
            }
            let _gone = other.shutdown(std::net::Shutdown::Both);
            passed > at
        });
        let [_, called] = ends(sides(caller, called), [&credentials, &credentials]);
        assert!(called.is_err() || at == 600, "byte {at}: {called:?}");
        assert!(there.join().unwrap() || at == 600, "byte {at} was never sent");
        back.join().unwrap();
    }
}

#[test]
fn a_stranger_hears_the_challenge_and_no_more() {
    let credentials = credentials();
    for says in [&b""[..], b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n          ", &[0; 200], &WORD, b"minutely0123"] {
        let (heard, _) = answer_to(&credentials, says);
        assert!(heard.len() <= BYTES, "{heard:?}");
    }
    let (heard, why) = answer_to(&credentials, &[&WORD[..], &[7; 500]].concat());
    assert_eq!((heard.len() <= BYTES, why.kind()), (true, ErrorKind::PermissionDenied));
    assert_ne!(answer_to(&credentials, b"").0, answer_to(&credentials, b"").0, "a challenge is new each time");
}

#[test]
fn a_silent_caller_is_given_up() {
    let (credentials, (_caller, called)) = (credentials(), pair());
    let mut side = Handshake::answer(called, hello(0)).unwrap();
    side.began = side.began.checked_sub(TAG_TIMEOUT).unwrap();
    assert!(side.advance(&credentials).is_err_and(|e| e.kind() == ErrorKind::TimedOut));
}
