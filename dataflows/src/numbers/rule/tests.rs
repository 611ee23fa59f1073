use super::*;

fn rule(change: impl Fn(&mut NumberOptions)) -> NumberRule {
    let mut options = NumberOptions::default();
    change(&mut options);
    NumberRule::new(&options)
}

fn with_decimals(decimals: u8) -> NumberRule {
    rule(|options| (options.decimals, options.weight_decimals) = (decimals, decimals))
}

fn rejecting(decimals: u8) -> NumberRule {
    let on_precision = OnPrecision::Reject;
    NumberRule::new(&NumberOptions { decimals, weight_decimals: decimals, on_precision, ..NumberOptions::default() })
}

fn scaled_by(factor: &str, decimals: u8) -> NumberRule {
    rule(|options| (options.value_scale, options.decimals) = (factor.parse().unwrap(), decimals))
}

/// The exact text of a value, and `~` behind it where it was rounded.
fn value(rule: &NumberRule, text: &str) -> Result<String, DecimalError> {
    let read = rule.value(text.as_bytes())?;
    let text = read.number.with_decimals(rule.scales().value).to_string();
    Ok(if read.rounded { text + "~" } else { text })
}

fn weight(rule: &NumberRule, text: &str) -> Result<String, DecimalError> {
    let read = rule.weight(text.as_bytes())?;
    let text = read.number.with_decimals(rule.scales().weight).to_string();
    Ok(if read.rounded { text + "~" } else { text })
}

fn seeded() -> (u64, fastrand::Rng) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    (seed, fastrand::Rng::with_seed(seed))
}

/// Digits x 10^power as one of the ways to write it.
fn written(digits: u128, power: i32, rng: &mut fastrand::Rng) -> String {
    let text = digits.to_string();
    match rng.u32(..3) {
        0 => format!("{text}{}{power}", ["e", "E"][rng.usize(..2)]),
        1 => {
            // One digit before the point.
            let exponent = power + i32::try_from(text.len()).unwrap() - 1;
            let (first, rest) = text.split_at(1);
            format!("{first}.{rest}{}e{exponent:+}", "0".repeat(rng.usize(1..4)))
        }
        _ if power >= 0 => text + &"0".repeat(usize::try_from(power).unwrap()),
        _ => {
            let after = usize::try_from(-power).unwrap();
            let padded = format!("{text:0>width$}", width = after + 1);
            let (whole, part) = padded.split_at(padded.len() - after);
            format!("{whole}.{part}")
        }
    }
}

/// Against the fraction itself: a result is at most half a unit away, and even where it is just that.
#[test]
fn a_number_is_the_nearest_one_and_says_whether_it_is_another() {
    let (seed, mut rng) = seeded();
    for _ in 0..100_000 {
        let (decimals, digits) = (rng.u8(..=28), rng.u128(1..10_u128.pow(25)) >> rng.u32(..83));
        let (factor, factor_power) = (rng.u32(1..1_000_000_000) >> rng.u32(..30), rng.i32(-9..9));
        let (digits, factor) = (digits.max(1), factor.max(1));
        let power = rng.i32(-45..12);
        let negative = rng.bool();
        let text = format!("{}{}", if negative { "-" } else { "" }, written(digits, power, &mut rng));
        let rule = scaled_by(&format!("{factor}e{factor_power}"), decimals);
        let read = rule.value(text.as_bytes());
        // The scaled value is numerator · 10^by.
        let (numerator, by) = (digits * u128::from(factor), power + factor_power + i32::from(decimals));
        let what = format!("{text} times {factor}e{factor_power} at {decimals}: {read:?}, seed {seed}");
        if let Ok(by) = u32::try_from(by) {
            let exact = 10_u128.checked_pow(by).and_then(|by| numerator.checked_mul(by)).filter(|n| *n <= LIMIT);
            let want = exact.map(|n| i128::try_from(n).unwrap() * if negative { -1 } else { 1 });
            let want = want.map(|n| ReadNumber { number: Decimal(n), rounded: false }).ok_or(DecimalError::Range);
            assert_eq!(read, want, "{what}");
            continue;
        }
        let unit = 10_u128.checked_pow(by.unsigned_abs()).filter(|unit| *unit < u128::MAX / 4);
        let Some(unit) = unit else {
            assert_eq!(read, Err(DecimalError::Precision), "{what}"); // at most 10^34 / 10^38
            continue;
        };
        let (below, rest) = (numerator / unit, numerator % unit);
        match read {
            Ok(read) => {
                assert!(read.number.0 == 0 || (read.number.0 < 0) == negative, "{what}");
                assert_eq!(read.rounded, rest != 0, "{what}");
                let up = read.number.0.unsigned_abs() - below;
                assert!(if up == 0 { 2 * rest <= unit } else { up == 1 && 2 * rest >= unit }, "{what}");
                assert!(2 * rest != unit || read.number.0 % 2 == 0, "{what}");
                assert!(!read.rounded || read.number.0.unsigned_abs() >= 100_000, "{what}");
            }
            Err(DecimalError::Range) => assert!(below >= LIMIT, "{what}"),
            Err(DecimalError::Precision) => assert!(rest != 0 && below < 100_000, "{what}"),
            Err(DecimalError::NotANumber) => panic!("{what}"),
        }
    }
}

/// Tails of any length, at every scale and sign.
#[test]
fn ties_go_to_the_even_neighbour_at_every_scale() {
    let (seed, mut rng) = seeded();
    for decimals in (0..=28_u8).cycle().take(20_000) {
        let below = rng.u128(100_000..LIMIT) >> rng.u32(..80);
        let zeros = "0".repeat(rng.usize(..60));
        let tails = [
            (format!("5{zeros}"), below + below % 2, zeros.len() < 99),
            (format!("5{zeros}1"), below + 1, true),
            (format!("4{}", "9".repeat(zeros.len() + 1)), below, true),
            (format!("0{zeros}1"), below, true),
            (zeros.clone(), below, false),
        ];
        let (tail, want, rounded) = &tails[rng.usize(..tails.len())];
        let places = usize::from(decimals);
        let digits = format!("{below:0>width$}", width = places + 1);
        let (whole, part) = digits.split_at(digits.len() - places);
        let sign = if rng.bool() { "-" } else { "" };
        let text = match format!("{part}{tail}").as_str() {
            "" => format!("{sign}{whole}"),
            part => format!("{sign}{whole}.{part}"),
        };
        let number = Decimal(i128::try_from(*want).unwrap() * if sign.is_empty() { 1 } else { -1 });
        let want = ReadNumber { number, rounded: *rounded };
        let (rule, bytes) = (with_decimals(decimals), text.as_bytes());
        let value = rule.value(bytes);
        match value {
            Err(error) => {
                assert!(error == DecimalError::Precision && *rounded && below < 100_000, "{text} seed {seed}")
            }
            Ok(read) => assert_eq!(read, want, "{text} at {decimals}, seed {seed}"),
        }
        let kept = rule_of_signs(WeightSign::Keep, decimals).weight(bytes);
        assert_eq!(kept, Ok(want), "weight {text} at {decimals}, seed {seed}");
        let exact = rejecting(decimals).value(bytes);
        assert_eq!(exact.is_ok(), !rounded, "{text} at {decimals}, seed {seed}");
        assert_eq!(rejecting(decimals).weight(bytes).is_ok(), !rounded, "{text} at {decimals}, seed {seed}");
    }
}

fn rule_of_signs(weight_sign: WeightSign, decimals: u8) -> NumberRule {
    NumberRule::new(&NumberOptions { weight_sign, weight_decimals: decimals, ..NumberOptions::default() })
}

/// The plain path is a shortcut: it says what the whole rule says, or nothing.
#[test]
fn the_plain_path_says_what_the_rule_says() {
    let (seed, mut rng) = seeded();
    let mut plain = [0; 2];
    for _ in 0..100_000 {
        let (digits, negative) = (rng.u64(..10_u64.pow(18)) >> rng.u32(..60), rng.bool());
        let fraction = rng.usize(..=18);
        let padded = format!("{digits:0>width$}", width = fraction + 1);
        let (whole, part) = padded.split_at(padded.len() - fraction);
        let sign = if negative { "-" } else { "" };
        let text = if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") };
        let rule = NumberRule::new(&NumberOptions {
            decimals: if rng.bool() { 18 } else { rng.u8(..=28) },
            weight_decimals: rng.u8(..=28),
            value_scale: ["1", "1", "0.01", "2500", "1e-28", "1e28", "9.87654321"][rng.usize(..7)].parse().unwrap(),
            on_precision: [OnPrecision::Round, OnPrecision::Reject][rng.usize(..2)],
            weight_sign: [WeightSign::Abs, WeightSign::Keep, WeightSign::Reject][rng.usize(..3)],
        });
        let same = |fast: Option<Decimal>, slow: Result<ReadNumber, DecimalError>| {
            let Some(number) = fast else { return 0 };
            assert_eq!(slow, Ok(ReadNumber { number, rounded: false }), "{text} {rule:?} seed {seed}");
            1
        };
        plain[0] += same(rule.plain_value(negative, digits, fraction), rule.value(text.as_bytes()));
        plain[1] += same(rule.plain_weight(negative, digits, fraction), rule.weight(text.as_bytes()));
    }
    assert!(plain.iter().all(|n| *n > 20_000), "{plain:?}");
    let default = NumberRule::new(&NumberOptions::default());
    assert_eq!(default.plain_value(true, 41_237, 2), Some(Decimal(-412_370_000_000_000_000_000)));
    assert_eq!(with_decimals(24).plain_value(false, 125, 1), Some(Decimal(125 * 10_i128.pow(23))), "beyond 64 bits");
    assert_eq!(default.plain_value(false, 1, 19), None);
}

#[test]
fn numbers_of_real_feeds_are_taken() {
    let default = with_decimals(18);
    for (text, want) in [
        ("2871.4000000000001", "2871.4000000000001"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("0.0027810000000000001", "0.002781~"),
        ("0.000023178082191780822", "0.000023178082191781~"),
        ("7.4500000000000001e-06", "0.00000745~"),
        ("7.45E-6", "0.00000745"),
        ("3.000000000000000000000000000000", "3"),
        ("0.1000000000000000055511151231257827021181583404541015625", "0.100000000000000006~"),
        ("-0.0", "0"),
        ("0e99", "0"),
        ("0e-99", "0"),
    ] {
        assert_eq!(value(&default, text).as_deref(), Ok(want), "{text}");
    }
    assert_eq!(value(&with_decimals(24), "0.000007449999620248564").as_deref(), Ok("0.000007449999620248564"));
    assert_eq!(value(&with_decimals(0), "4321987650123456789012").as_deref(), Ok("4321987650123456789012"));
    assert_eq!(value(&with_decimals(7), "2712345678901.5").as_deref(), Ok("2712345678901.5"));
    assert_eq!(value(&scaled_by("0.01", 18), "274365").as_deref(), Ok("2743.65"));
    assert_eq!(value(&scaled_by("1e-4", 18), "\u{31}2.5e1").as_deref(), Ok("0.0125"));
    assert_eq!(value(&scaled_by("1000", 18), "1.5").as_deref(), Ok("1500"));
    assert_eq!(value(&scaled_by("1000", 18), "100000001").as_deref(), Err(&DecimalError::Range));
    assert_eq!(value(&scaled_by("0.3", 0), "1234567").as_deref(), Ok("370370~"));
    for text in ["", "-", "01", "1.", "1,5", "0x1", "NaN", " 1"] {
        assert_eq!(value(&default, text), Err(DecimalError::NotANumber), "{text}");
        assert_eq!(weight(&default, text), Err(DecimalError::NotANumber), "{text}");
    }
}

#[test]
fn a_value_keeps_six_significant_digits_or_is_rejected() {
    let default = with_decimals(18);
    assert_eq!(value(&default, "0.0000000000001234567").as_deref(), Ok("0.000000000000123457~"));
    assert_eq!(value(&default, "0.00000000000009999949").as_deref(), Err(&DecimalError::Precision));
    assert_eq!(value(&default, "0.00000000000001234567").as_deref(), Err(&DecimalError::Precision));
    assert_eq!(value(&default, "1e-400").as_deref(), Err(&DecimalError::Precision), "no price becomes 0");
    assert_eq!(value(&default, "0.000000000000000001").as_deref(), Ok("0.000000000000000001"), "exact is exact");
    assert_eq!(value(&with_decimals(0), "113.5").as_deref(), Err(&DecimalError::Precision));
    assert_eq!(value(&with_decimals(0), "113500.5").as_deref(), Ok("113500~"));
    // A weight is never alone: it may round to 0.
    assert_eq!(weight(&default, "1e-400").as_deref(), Ok("0~"));
    assert_eq!(weight(&default, "0.0000000000000000015").as_deref(), Ok("0.000000000000000002~"));
    assert_eq!(weight(&rejecting(18), "1e-19"), Err(DecimalError::Precision));
}

#[test]
fn the_range_ends_where_the_scaled_integer_does() {
    for decimals in 0..=28_u8 {
        let rule = with_decimals(decimals);
        let most = most(decimals).to_string();
        assert_eq!(value(&rule, &most).as_ref(), Ok(&most));
        assert_eq!(value(&rule, &format!("-{most}")), Ok(format!("-{most}")));
        let point = if decimals == 0 { "." } else { &*format!(".{}", "0".repeat(usize::from(decimals))) };
        assert_eq!(value(&rule, &format!("{most}{point}5")), Ok(format!("{most}~")), "a tie to the even end");
        assert_eq!(value(&rule, &format!("{most}{point}51")), Err(DecimalError::Range));
        assert_eq!(value(&rule, &format!("{most}1")), Err(DecimalError::Range));
        assert_eq!(weight(&rule, &format!("1e{}", 30 - i32::from(decimals))), Err(DecimalError::Range));
        assert_eq!(value(&rule, "-1e999999999999999999999"), Err(DecimalError::Range));
    }
}

#[test]
fn a_weight_below_0_is_what_the_option_says() {
    let text = |sign| weight(&rule_of_signs(sign, 18), "-0.5");
    assert_eq!(text(WeightSign::Abs).as_deref(), Ok("0.5"));
    assert_eq!(text(WeightSign::Keep).as_deref(), Ok("-0.5"));
    assert_eq!(text(WeightSign::Reject), Err(DecimalError::Range));
    assert_eq!(weight(&rule_of_signs(WeightSign::Reject, 18), "-0.0").as_deref(), Ok("0"));
    assert!(is_no_weight("") && is_no_weight("-") && !is_no_weight("0") && !is_no_weight("- ") && !is_no_weight("--"));
}

/// Each hint is tried: it must be true.
#[test]
fn hints_name_the_option_that_helps() {
    let default = with_decimals(18);
    for (text, want) in [
        ("4321987650123456789012", Some("--decimals 7")),
        ("113500000000", Some("--decimals 17")),
        ("0.00000000000000001234567", Some("--decimals 22")),
        ("1e-400", None),
        ("1e30", None),
        ("x", None),
    ] {
        let hint = default.value_hint(text.as_bytes());
        assert_eq!(hint.as_deref(), want.map(|want| format!("{want} would take it")).as_deref(), "{text}");
        if let Some(decimals) = want.and_then(|want| want.strip_prefix("--decimals ")?.parse().ok()) {
            assert!(value(&default, text).is_err() && value(&with_decimals(decimals), text).is_ok(), "{text}");
        }
    }
    let long = b"0.10000000000000000555111512312578";
    assert_eq!(rejecting(18).value_hint(long).as_deref(), Some("--on-precision round would take it"));
    assert_eq!(rejecting(18).value_hint(b"0.1000000000000000005").as_deref(), Some("--decimals 19 would take it"));
    let (reject, weight_hint) = (rule_of_signs(WeightSign::Reject, 18), "--weight-sign abs or keep would take it");
    assert_eq!(reject.weight_hint(b"-2").as_deref(), Some(weight_hint));
    assert_eq!(default.weight_hint(b"512345678901").as_deref(), Some("--weight-decimals 17 would take it"));
}

#[test]
fn what_is_expected_is_said_as_the_options_are() {
    let default = with_decimals(18);
    let expected = |rule: &NumberRule| [DecimalError::Range, DecimalError::Precision].map(|e| rule.expected_value(e));
    assert_eq!(
        expected(&default),
        [
            "a number of at most 100000000000 in magnitude",
            "a number that keeps six significant digits within 18 fractional digits"
        ]
    );
    assert_eq!(
        expected(&rejecting(24)),
        ["a number of at most 100000 in magnitude", "a number of at most 24 fractional digits"]
    );
    let paise = scaled_by("0.01", 28);
    assert_eq!(paise.expected_value(DecimalError::Range), "a number of at most 10 in magnitude, times 0.01");
    let none = "or none (null, an empty text, \"-\", or no field)";
    let weight = |rule: &NumberRule| rule.expected_weight();
    assert_eq!(weight(&default), format!("a number of at most 100000000000 in magnitude, {none}"));
    let reject = rejecting(2);
    let most = "1".to_owned() + &"0".repeat(27);
    assert_eq!(
        weight(&reject),
        format!("a number of at most {most} in magnitude of at most 2 fractional digits, {none}")
    );
}
