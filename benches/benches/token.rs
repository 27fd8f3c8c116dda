//! The token's ECDSA and ECDH, and seal and open under it; each beside the same work in software.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use criterion::Criterion;
use hsm::{Config, Curve, PinSource, Role, TokenSelector, seal};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use signing_agent_tests::Token;
use std::hint::black_box;
use std::process::Command;

/// What is sealed: a BLS key's octets.
const SECRET: [u8; 48] = [7; 48];

fn main() {
    // SoftHSM reads its configuration from the environment, so the benches run in a child that has it.
    match std::env::var_os("SIGNING_AGENT_BENCH_TOKEN") {
        Some(dir) => measure(std::path::Path::new(&dir)),
        None => {
            let dir = tempfile::tempdir().unwrap();
            let token = Token::make(&dir.path().join("token"));
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(std::env::args_os().skip(1)).env("SIGNING_AGENT_BENCH_TOKEN", dir.path());
            let status = child.env("SOFTHSM2_CONF", &token.conf).status().unwrap();
            assert!(status.success(), "{status}");
        }
    }
}

fn measure(dir: &std::path::Path) {
    let made = Token::make(&dir.join("token"));
    let token = hsm::Token::open(Config {
        module: hsm::Module::load(&made.module).unwrap(),
        token: TokenSelector::Label(made.label),
        pin: PinSource::File(made.pin_file),
        identity_curve: Curve::P256,
        generations: Default::default(),
        refused_pin_marker: dir.join("refused"),
        workers: 2,
        watch: Default::default(),
    });
    let token = token.unwrap();
    token.ensure_keys().unwrap();
    let mut criterion = Criterion::default().configure_from_args();

    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let mut group = criterion.benchmark_group("ECDSA P-256");
    group.bench_function("token, verified", |b| b.iter(|| token.sign(Role::Audit, black_box(&[9; 32])).unwrap()));
    group.bench_function("software (p256)", |b| {
        b.iter(|| -> Signature { key.sign_prehash(black_box(&[9; 32])).unwrap() });
    });
    group.finish();

    let secret = p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let public = secret.public_key();
    let point: [u8; 65] = public.to_encoded_point(false).as_bytes().try_into().unwrap();
    let mut group = criterion.benchmark_group("ECDH P-256");
    group.bench_function("token", |b| b.iter(|| token.ecdh(black_box(&point)).unwrap()));
    group.bench_function("software (p256)", |b| {
        b.iter(|| p256::ecdh::diffie_hellman(secret.to_nonzero_scalar(), black_box(public.as_affine())));
    });
    group.finish();

    let own = [token.recipient().unwrap()];
    let recovery = age::x25519::Identity::generate();
    let recipient = recovery.to_public();
    let sealed = seal::seal(&SECRET, &own).unwrap();
    let software = age::encrypt(&recipient, &SECRET).unwrap();
    let mut group = criterion.benchmark_group("age, 48 octets");
    group.bench_function("seal to the token", |b| b.iter(|| seal::seal(black_box(&SECRET), &own).unwrap()));
    group.bench_function("seal to X25519", |b| b.iter(|| age::encrypt(&recipient, black_box(&SECRET)).unwrap()));
    group.bench_function("open by the token", |b| b.iter(|| seal::open(&token, black_box(&sealed)).unwrap()));
    group.bench_function("open by X25519", |b| b.iter(|| age::decrypt(&recovery, black_box(&software)).unwrap()));
    group.finish();
    criterion.final_summary();
}
