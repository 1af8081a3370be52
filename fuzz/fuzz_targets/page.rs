#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    untrusted_input::page::check(data);
});
