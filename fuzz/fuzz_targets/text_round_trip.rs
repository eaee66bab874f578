#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| infino_fuzz::text_round_trip::run(data));
