use super::*;
use flate2::Compression;
use flate2::read::DeflateEncoder;
use std::io::Cursor;

const SCHEMA: &str =
    r#"{"type":"record","name":"T","fields":[{"name":"s","type":"string"},{"name":"n","type":"long"}]}"#;
const SYNC: [u8; 16] = *b"0123456789abcdef";

fn long(value: i64) -> Vec<u8> {
    let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let parts: Vec<u64> = (0..10).map(|at| zigzag >> (7 * at)).take_while(|rest| *rest > 0).collect();
    let byte = |part: &u64| u8::try_from(part & 0x7f).unwrap() | if part >> 7 > 0 { 0x80 } else { 0 };
    if parts.is_empty() { vec![0] } else { parts.iter().map(byte).collect() }
}

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&long(i64::try_from(bytes.len()).unwrap())[..], bytes].concat()
}

fn header(codec: &str, schema: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| [prefixed(key.as_bytes()), prefixed(value.as_bytes())].concat();
    let mut bytes = [MAGIC, &long(1), &entry("avro.schema", schema)].concat();
    if !codec.is_empty() {
        // The other form of a block of entries: their bytes are said.
        let codec = entry("avro.codec", codec);
        bytes.extend([long(-1), long(i64::try_from(codec.len()).unwrap()), codec].concat());
    }
    bytes.extend([&long(0)[..], &SYNC].concat());
    bytes
}

fn datum(n: i64) -> Vec<u8> {
    [prefixed(format!("S{n}").as_bytes()), long(n)].concat()
}

fn packed(codec: &str, data: &[u8]) -> Vec<u8> {
    let read = |mut reader: Box<dyn Read + '_>| {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        all
    };
    match codec {
        "deflate" => read(Box::new(DeflateEncoder::new(data, Compression::default()))),
        "zstandard" => zstd::stream::encode_all(data, 1).unwrap(),
        "xz" => read(Box::new(liblzma::read::XzEncoder::new(data, 1))),
        "snappy" => {
            let packed = snap::raw::Encoder::new().compress_vec(data).unwrap();
            [packed, crc32fast::hash(data).to_be_bytes().to_vec()].concat()
        }
        _ => data.to_vec(),
    }
}

fn block(codec: &str, numbers: std::ops::Range<i64>) -> Vec<u8> {
    let data: Vec<u8> = numbers.clone().flat_map(datum).collect();
    [long(numbers.end - numbers.start), prefixed(&packed(codec, &data)), SYNC.to_vec()].concat()
}

/// The records of a file, read by pieces of this size.
fn records(file: &[u8], piece: usize) -> io::Result<Vec<Vec<u8>>> {
    let (mut text, mut all, mut room) = (ContainerText::new(file), Vec::new(), vec![0; piece]);
    loop {
        match text.read(&mut room)? {
            0 => break,
            read => all.extend(&room[..read]),
        }
    }
    let (mut records, mut rest) = (Vec::new(), &all[..]);
    while let Some((length, after)) = rest.split_first_chunk::<PREFIX>() {
        let (record, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        records.push(record.to_vec());
        rest = after;
    }
    assert!(rest.is_empty());
    Ok(records)
}

fn file(codec: &str) -> Vec<u8> {
    [header(codec, SCHEMA), block(codec, 0..3), block(codec, 3..3), block(codec, 3..2003)].concat()
}

#[test]
fn the_schema_and_then_the_data_of_every_codec() {
    let want: Vec<_> = [SCHEMA.as_bytes().to_vec()].into_iter().chain((0..2003).map(datum)).collect();
    for codec in ["", "null", "deflate", "snappy", "zstandard", "xz"] {
        for piece in [1, 7, 1 << 20] {
            assert_eq!(records(&file(codec), piece).unwrap(), want, "{codec:?} by {piece}");
        }
    }
    let none = records(&header("deflate", SCHEMA), 9).unwrap();
    assert_eq!(none, [SCHEMA.as_bytes()]);
}

#[test]
fn what_is_cut_off_is_an_error_and_a_block_is_its_smallest_part() {
    for codec in ["null", "deflate", "snappy"] {
        let whole = file(codec);
        let begin = header(codec, SCHEMA).len();
        let ends =
            [begin, begin + block(codec, 0..3).len(), begin + block(codec, 0..3).len() + block(codec, 3..3).len()];
        for length in (1..ends[2] + 40).chain([whole.len() - 1]) {
            let read = records(&whole[..length], 64);
            assert_eq!(read.is_ok(), ends.contains(&length), "{codec}: {length} of {}", whole.len());
        }
    }
}

#[test]
fn what_is_damaged_is_told() {
    let told = |file: &[u8]| records(file, 64).unwrap_err().to_string();
    let with = |from: &[u8], at: usize, byte: u8| {
        let mut file = from.to_vec();
        file[at] ^= byte;
        file
    };
    let (plain, snappy) = (file("null"), file("snappy"));
    let begin = header("null", SCHEMA).len();
    let sync = begin + block("null", 0..3).len() - 1;
    assert!(told(&with(&plain, sync, 1)).contains("sign behind a block"));
    // Its number of data: one less, then one more.
    assert!(told(&with(&plain, begin, 2)).contains("behind its data"), "{}", told(&with(&plain, begin, 2)));
    assert!(told(&with(&plain, begin, 14)).contains("a datum has"), "{}", told(&with(&plain, begin, 14)));
    let sum = header("snappy", SCHEMA).len() + block("snappy", 0..3).len() - 17;
    assert!(told(&with(&snappy, sum, 1)).contains("checksum"), "{}", told(&with(&snappy, sum, 1)));
    assert!(told(&header("bzip2", SCHEMA)).contains("avro.codec"));
    assert!(told(&header("null", "{")).contains("its schema cannot be used"));
    let large = [header("null", SCHEMA), long(1), long(i64::MAX)].concat();
    assert!(told(&large).contains("are read at most"));
    let bomb = vec![0; MOST_BLOCK + 1];
    for codec in ["deflate", "zstandard", "xz", "snappy"] {
        let packed = packed(codec, &bomb);
        assert!(
            told(&[header(codec, SCHEMA), long(1), prefixed(&packed), SYNC.to_vec()].concat()).contains("at most"),
            "{codec}"
        );
    }
}

#[test]
fn data_of_no_bytes_take_no_memory() {
    let mut text = ContainerText::new(Cursor::new(
        [header("null", "\"null\""), long(1 << 60), prefixed(b""), SYNC.to_vec()].concat(),
    ));
    let mut room = vec![0; 1 << 20];
    for _ in 0..100 {
        assert!(text.read(&mut room).unwrap() > 0);
        assert!(text.ready.capacity() <= 4 * PIECE);
    }
}

/// Whatever one byte becomes: records or an error, never a panic or an endless read.
#[test]
fn any_changed_byte_is_read_or_told() {
    let whole = [header("deflate", SCHEMA), block("deflate", 0..3)].concat();
    for at in 0..whole.len() {
        for change in [1, 0x80, 0xff] {
            let mut file = whole.clone();
            file[at] ^= change;
            if let Ok(records) = records(&file, 4096) {
                assert!(records.len() <= 4, "byte {at}: {} records", records.len());
            }
        }
    }
}
