#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| infino_fuzz::regex::run(data));
