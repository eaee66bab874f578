#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| infino_fuzz::analyzer::run(data));
