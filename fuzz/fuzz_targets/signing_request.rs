#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| countersign_server::fuzzing::signing_request(data));
