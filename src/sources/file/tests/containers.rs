//! Container files of Avro.

use super::*;

/// Data that are texts: a file of these lines, in blocks of 100.
fn container(lines: &[&str]) -> Vec<u8> {
    let long = |value: usize| {
        let mut zigzag = value << 1;
        let mut bytes = Vec::new();
        while zigzag >= 0x80 {
            bytes.push(u8::try_from(zigzag & 0x7f).unwrap() | 0x80);
            zigzag >>= 7;
        }
        bytes.push(u8::try_from(zigzag).unwrap());
        bytes
    };
    let prefixed = |bytes: &[u8]| [&long(bytes.len())[..], bytes].concat();
    let sync = [7; 16];
    let schema = [prefixed(b"avro.schema"), prefixed(b"\"string\"")].concat();
    let mut file = [&b"Obj\x01"[..], &long(1), &schema, &long(0), &sync].concat();
    for block in lines.chunks(100) {
        let data: Vec<u8> = block.iter().flat_map(|line| prefixed(line.as_bytes())).collect();
        file.extend([&long(block.len())[..], &prefixed(&data), &sync].concat());
    }
    file
}

fn avro() -> SourceOptions {
    SourceOptions { payloads: PayloadKind::Avro, ..options() }
}

#[test]
fn a_run_resumes_at_its_datum() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let lines: Vec<String> = (0..3000).map(|n| "x".repeat(n % 700)).collect();
    let file = container(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&file).unwrap();
    let folder = Folder::new(&[("empty", "")]);
    fs::write(folder.0.path().join("a.avro"), &file).unwrap();
    fs::write(folder.0.path().join("b.avro.gz"), gzip.finish().unwrap()).unwrap();
    let source = open(&format!("{}/*", folder.0.path().display()), &avro()).unwrap();
    let all = source.discover().unwrap();
    assert_eq!(drain(&mut *source.open(&all[2], wake()).unwrap(), || 5).unwrap(), []);
    for found in &all[..2] {
        let until = rng.usize(1..3001);
        let mut reader = source.open(found, wake()).unwrap();
        let mut read = Vec::new();
        while read.len() < until {
            let most = (until - read.len()).min(rng.usize(1..300));
            reader.read(most, &mut |record| read.push((record.offset, record.payload.unwrap().to_vec()))).unwrap();
        }
        let (last, next) = (reader.last().unwrap(), reader.next());
        let resumed = Discovered { start: next, ..found.clone() };
        read.extend(drain(&mut *source.open(&resumed, wake()).unwrap(), || rng.usize(1..300)).unwrap());
        assert_eq!(read.len(), 3001, "the schema, and the data; seed {seed}");
        assert_eq!(read[0], (0, b"\"string\"".to_vec()));
        assert!(read.iter().zip(0..).all(|((offset, _), at)| *offset == at));
        assert!(read[1..].iter().zip(&lines).all(|((_, datum), line)| datum.ends_with(line.as_bytes())));
        assert_eq!(source.record_at(&resumed, NextOffset(0)).unwrap().unwrap(), b"\"string\"");
        let check = |last: LastRecord| {
            let probed = source.probe(&[(found.name.clone(), Some(last))]);
            probed.map_or(LastRecordCheck::Gone, |mut probes| probes.remove(0).unwrap().last)
        };
        assert_eq!(check(last), LastRecordCheck::Holds(last), "seed {seed}");
        for byte in [1, 5, 1 << 40] {
            let other = LastRecord { byte: last.byte.map(|before| before + byte), ..last };
            assert!(!matches!(check(other), LastRecordCheck::Holds(found) if found.is(&last)), "{byte}, seed {seed}");
        }
    }
}

#[test]
fn files_that_are_not_as_asked_for_are_refused() {
    let folder = Folder::new(&[("a.jsonl", "{}\n")]);
    let file = container(&["x"]);
    fs::write(folder.0.path().join("a.avro"), &file).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&file).unwrap();
    fs::write(folder.0.path().join("b.avro.gz"), gzip.finish().unwrap()).unwrap();
    let at = |name: &str, options: &SourceOptions| open(&format!("{}/{name}", folder.0.path().display()), options);
    let halt = at("a.avro", &options()).err().unwrap();
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("--format avro"), "{}", halt.why);
    let halt = at("a.jsonl", &avro()).err().unwrap();
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("no container"), "{}", halt.why);
    // What a compressed file holds is known when it is read.
    let source = at("b.avro.gz", &options()).unwrap();
    let halt = source.open(&source.discover().unwrap()[0], wake()).err().unwrap();
    assert!(halt.kind == HaltKind::Data && halt.why.contains("--format avro"), "{}", halt.why);
}
