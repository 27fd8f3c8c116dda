#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| signing_agent_fuzz::ssh_signature(data));
