//! Ours beside blst's own `min_sig`, over the same messages: the map to G1 tries x until one fits, so one message alone
//! would say little.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use blst::min_sig;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use milagro::mpin::{MasterSecret, one_pass};
use milagro::{SecretKey, Signature};

const DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

fn sign(c: &mut Criterion) {
    let messages: Vec<[u8; 300]> = (0..64).map(|n| [n; 300]).collect();
    let ours = SecretKey::from_entropy(&[1; 64]).unwrap();
    let theirs = min_sig::SecretKey::key_gen(&[1; 32], &[]).unwrap();
    let mut group = c.benchmark_group("sign 64 messages");
    group.throughput(Throughput::Elements(64));
    group.bench_function("milagro", |b| {
        b.iter(|| {
            messages.iter().for_each(|m| {
                black_box(ours.sign(black_box(m)).to_bytes());
            })
        });
    });
    group.bench_function("blst min_sig", |b| {
        b.iter(|| {
            messages.iter().for_each(|m| {
                black_box(theirs.sign(black_box(m), DST, &[]).to_bytes());
            })
        });
    });
    group.finish();
}

fn others(c: &mut Criterion) {
    let key = SecretKey::from_entropy(&[1; 64]).unwrap();
    let (public, signature) = (key.public_key(), key.sign(b"message"));
    let master = MasterSecret::from_entropy(&[2; 64]).unwrap();
    let token = master.client_secret(b"someone").take_pin(b"someone", 1234);
    let pass = || one_pass(b"someone", &token, 1234, 1_700_000_000, &[3; 32]);
    let (server, made) = (master.server_secret(), pass().unwrap());
    c.bench_function("one_pass", |b| b.iter(&pass));
    c.bench_function("one_pass verify", |b| b.iter(|| server.verify(black_box(&made))));
    c.bench_function("verify", |b| b.iter(|| public.verify(black_box(b"message"), &signature)));
    let octets = signature.to_bytes();
    c.bench_function("signature from_bytes", |b| b.iter(|| Signature::from_bytes(black_box(&octets))));
}

criterion_group!(benches, sign, others);
criterion_main!(benches);
