#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_protocol::fuzzing::jws(data));
