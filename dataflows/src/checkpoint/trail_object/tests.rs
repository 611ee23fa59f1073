use super::*;
use crate::acc::LogPosition;
use crate::decimal::Decimal;
use crate::decode::DecodedEvent;
use differential_dataflow::difference::Semigroup;

type Model = BTreeMap<(WindowStart, String), Vec<WindowVersion>>;

fn versions(bytes: &[u8]) -> Model {
    let mut found = Model::new();
    let object = TrailObject::open(bytes).unwrap();
    object.read(|window, symbol, version| found.entry((window, symbol.to_owned())).or_default().push(version)).unwrap();
    assert_eq!(object.verify(), Ok(object.entries()));
    found
}

fn cut(rng: &mut fastrand::Rng, seq: u64) -> CutRecord {
    let held_by = rng.bool().then(|| WatermarkHolder { partition: rng.usize(..40), by_floor: rng.bool() });
    let w = rng.bool().then(|| EventTime(rng.i64(-1 << 60..1 << 60)));
    CutRecord { seq, at: CutRecord::stamp(EventTime(rng.i64(-1 << 60..1 << 60))), w, held_by }
}

/// Deltas of so many cuts, and what is in them.
fn deltas(rng: &mut fastrand::Rng, seqs: &[u64]) -> (Vec<Vec<u8>>, Model) {
    let (mut model, mut sums) = (Model::new(), BTreeMap::<(WindowStart, String), Market>::new());
    let mut delta = |seq: u64| {
        for _ in 0..rng.usize(0..60) {
            let key = (WindowStart(rng.i64(-3..4) * 60), format!("é{}", rng.u32(0..50)));
            let event = DecodedEvent {
                symbol: key.1.as_str().into(),
                value: Decimal(rng.i128(-1 << 90..1 << 90)),
                weight: rng.bool().then(|| Decimal(rng.i128(0..1 << 80))),
                time: EventTime(0),
                weight_beyond: false,
                id: None,
                rounded: false,
            };
            let one = Market::of(&event, LogPosition { identity: 1, offset: rng.i64(0..1 << 40) });
            sums.entry(key.clone()).and_modify(|sum| sum.plus_equals(&one)).or_insert(one);
        }
        let entries: Vec<_> = sums
            .iter()
            .filter(|_| rng.bool())
            .map(|((window, symbol), sum)| (*window, symbol.as_str(), *sum))
            .collect();
        for (window, symbol, sum) in &entries {
            let numbers = sum.numbers();
            let volume = numbers.market.unwrap().volume;
            let version = WindowVersion { seq, count: numbers.count, sum: numbers.sum, volume };
            let known = model.entry((*window, (*symbol).to_owned())).or_default();
            if known.last().is_none_or(|last| !last.equals(&version)) {
                known.push(version);
            }
        }
        Object::encode(&entries)
    };
    (seqs.iter().map(|seq| delta(*seq)).collect(), model)
}

/// Against a plain map: whatever is merged with what.
#[test]
fn what_deltas_have_is_in_the_trail_however_it_is_merged() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let seqs: Vec<u64> = (0..12).map(|n| 1 + n * 3 + rng.u64(0..3)).collect();
    let (deltas, model) = deltas(&mut rng, &seqs);
    let cuts: Vec<CutRecord> = seqs.iter().map(|seq| cut(&mut rng, *seq)).collect();
    let mut object: Option<Vec<u8>> = None;
    let mut from = 0;
    while from < seqs.len() {
        let to = (from + rng.usize(1..6)).min(seqs.len());
        let merge = TrailMerge { deltas: seqs[from..to].to_vec(), cuts: cuts[from..to].to_vec() };
        let inputs = deltas[from..to].iter().chain(object.iter().filter(|_| rng.bool()));
        let inputs: Vec<&[u8]> = inputs.map(Vec::as_slice).collect();
        let joined = inputs.len() > to - from;
        let (bytes, entries) = merge.merge(&inputs).unwrap();
        assert_eq!(TrailObject::open(&bytes).unwrap().entries(), entries, "seed {seed}");
        let both = match object.filter(|_| !joined) {
            Some(before) => TrailMerge::default().merge(&[&bytes, &before]).unwrap().0,
            None => bytes,
        };
        object = Some(both);
        from = to;
    }
    let object = object.unwrap();
    assert_eq!(versions(&object), model, "seed {seed}");
    let opened = TrailObject::open(&object).unwrap();
    assert_eq!(opened.cuts(), cuts, "seed {seed}");
    for ((window, symbol), known) in &model {
        assert_eq!(opened.of(*window, symbol).unwrap(), *known, "seed {seed}");
    }
    assert_eq!(opened.of(WindowStart(7), "é1"), Ok(Vec::new()));
}

#[test]
fn what_is_cut_short_or_changed_is_no_object_of_the_trail() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (deltas, _) = deltas(&mut rng, &[3, 4]);
    let merge = TrailMerge { deltas: vec![3, 4], cuts: vec![cut(&mut rng, 3), cut(&mut rng, 4)] };
    let (whole, _) = merge.merge(&[&deltas[0], &deltas[1]]).unwrap();
    for length in 0..whole.len() {
        let opened = TrailObject::open(&whole[..length]);
        assert!(opened.and_then(|object| object.verify()).is_err(), "{length}");
    }
    for _ in 0..20_000 {
        let mut changed = whole.clone();
        let at = rng.usize(..changed.len());
        changed[at] ^= 1 << rng.u8(..8);
        // (It may be another one that is whole: objects carry their hash elsewhere.)
        let _verdict = TrailObject::open(&changed).map(|object| object.verify().is_ok());
    }
    let twice = TrailMerge { deltas: vec![4], cuts: Vec::new() };
    assert!(twice.merge(&[]).is_err(), "an input is lacking");
}

/// A thousand series that each change in each of sixteen cuts.
#[test]
fn a_version_takes_few_bytes() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut sums: Vec<(String, i64, i128)> =
        (0..1000).map(|n| (format!("SYM{n:04}"), 0, i128::from(rng.i64(20_000_000_000..900_000_000_000)))).collect();
    let mut totals = vec![(0_i64, 0_i128); sums.len()];
    let seqs: Vec<u64> = (100..116).collect();
    let deltas: Vec<Vec<u8>> = seqs
        .iter()
        .map(|_| {
            for ((_, _, price), (count, sum)) in sums.iter_mut().zip(&mut totals) {
                *price += i128::from(rng.i64(-30_000_000..30_000_000));
                (*count, *sum) = (*count + 1, *sum + *price);
            }
            let entry = |((name, ..), total): (&(String, i64, i128), &(i64, i128))| {
                (WindowStart(1_767_600_000_000_000_000), name.clone(), (total.0, crate::wide::Int128::new(total.1)))
            };
            let entries: Vec<_> = sums.iter().zip(&totals).map(entry).collect();
            let entries: Vec<_> = entries.iter().map(|(window, name, acc)| (*window, name.as_str(), *acc)).collect();
            Object::encode(&entries)
        })
        .collect();
    let inputs: Vec<&[u8]> = deltas.iter().map(Vec::as_slice).collect();
    let (bytes, entries) = TrailMerge { deltas: seqs, cuts: Vec::new() }.merge(&inputs).unwrap();
    assert_eq!(entries, 16_000);
    assert!(bytes.len() < 16_000 * 9, "{} bytes", bytes.len());
}
