#![no_main]

#[path = "../../tests/fuzz/records.rs"]
mod records;
#[path = "../../tests/fuzz/right.rs"]
mod right;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| records::records(bytes));
