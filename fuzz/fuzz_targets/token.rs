#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    untrusted::token::check(data);
});
