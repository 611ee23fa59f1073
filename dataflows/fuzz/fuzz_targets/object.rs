#![no_main]

#[path = "../../tests/fuzz/checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    checks::object(bytes);
    checks::ids(bytes);
    checks::index(bytes);
});
