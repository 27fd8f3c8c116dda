use super::*;
use std::collections::BTreeMap;

const ARCHES: [TargetArch; 2] = [TargetArch::x86_64, TargetArch::aarch64];
const ALL: [Filter; 5] = [Filter::Api, Filter::ApiTls, Filter::Courier, Filter::Vault, Filter::VaultNetworkHsm];

fn texts(filter: Filter, arch: TargetArch) -> &'static [&'static str] {
    if arch == TargetArch::x86_64 { of!("x86_64", filter) } else { of!("aarch64", filter) }
}

/// Every rule of every file, with the names of its filter and file.
fn each_rule(mut see: impl FnMut(TargetArch, Filter, &str, &Value)) {
    for arch in ARCHES {
        for filter in ALL {
            let text = texts(filter, arch).last().unwrap();
            let file: BTreeMap<String, Value> = serde_json::from_str(text).unwrap();
            for (name, content) in file {
                for rule in content["filter"].as_array().unwrap() {
                    see(arch, filter, &name, rule);
                }
            }
        }
    }
}

#[test]
fn every_filter_compiles_for_both_architectures() {
    for arch in ARCHES {
        for filter in ALL {
            let programs = filter.programs(arch, 4711).unwrap_or_else(|e| panic!("{arch:?} {filter:?}: {e}"));
            // The kernel takes 4096 instructions (BPF_MAXINSNS).
            assert!(programs.iter().all(|program| (10..4096).contains(&program.len())), "{arch:?} {filter:?}");
        }
    }
}

#[test]
fn every_rule_says_why() {
    let mut seen = 0;
    each_rule(|arch, filter, name, rule| {
        let comment = rule["comment"].as_str().unwrap_or_default();
        assert!(comment.trim_start_matches("untraced:").trim().len() >= 4, "{arch:?} {filter:?} {name}: {rule}");
        seen += 1;
    });
    assert!(seen > 200, "{seen} rules");
}

#[test]
fn no_rule_stands_twice() {
    let mut seen = Vec::new();
    each_rule(|arch, filter, name, rule| {
        let this = format!("{arch:?} {filter:?} {name} {} {}", rule["syscall"], rule["args"]);
        assert!(!seen.contains(&this), "{this}");
        seen.push(this);
    });
}

/// What one architecture has under another name than the other (syscalls(2): the newer has no call that another can do).
const OTHER_NAMES: [(&str, &str); 5] = [
    ("epoll_wait", "epoll_pwait"),
    ("access", "faccessat"),
    ("unlink", "unlinkat"),
    ("rename", "renameat"),
    ("readlink", "readlinkat"),
];
const ONLY_X86: [&str; 2] = ["poll", "select"];

#[test]
fn both_architectures_say_the_same() {
    let mut rules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    each_rule(|arch, filter, name, rule| {
        let call = rule["syscall"].as_str().unwrap();
        let new = OTHER_NAMES.iter().find(|(old, _)| *old == call).map_or(call, |(_, new)| new);
        if !ONLY_X86.contains(&call) {
            let these = rules.entry(format!("{filter:?} {name} {arch:?}")).or_default();
            these.push(format!("{new} {}", rule["args"]));
            these.sort();
            these.dedup();
        }
    });
    for (place, old) in rules.iter().filter(|(place, _)| place.ends_with("x86_64")) {
        assert_eq!(Some(old), rules.get(&place.replace("x86_64", "aarch64")), "{place}");
    }
}

/// The rules of `allow` for a call.
fn allowed(filter: Filter, call: &str) -> Vec<Value> {
    let mut filters = merged(texts(filter, TargetArch::x86_64), 4711).unwrap();
    let rules = rules(&mut filters[ALLOW]).unwrap().clone();
    rules.into_iter().filter(|rule| rule["syscall"] == call).collect()
}

#[test]
fn what_may_never_be_allowed_is_in_no_file() {
    const NEVER: [&str; 36] = [
        "execve",
        "execveat",
        "fork",
        "vfork",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "kill",
        "tkill",
        "pidfd_open",
        "pidfd_getfd",
        "pidfd_send_signal",
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "unshare",
        "setns",
        "io_uring_setup",
        "io_uring_enter",
        "bpf",
        "keyctl",
        "add_key",
        "request_key",
        "userfaultfd",
        "perf_event_open",
        "memfd_create",
        "pkey_mprotect",
        "init_module",
        "finit_module",
        "kexec_load",
        "setuid",
        "capset",
        "personality",
        "seccomp",
        "open_by_handle_at",
    ];
    each_rule(|_, filter, name, rule| {
        let call = rule["syscall"].as_str().unwrap();
        assert!(!NEVER.contains(&call), "{filter:?} {name}: {rule}");
        if ["mmap", "mprotect"].contains(&call) {
            assert_eq!(
                rule["args"][0],
                serde_json::json!({"index": 2, "type": "dword", "op": {"masked_eq": 4}, "val": 0})
            );
        }
    });
    for filter in ALL {
        assert!(allowed(filter, "tgkill").iter().all(|rule| rule["args"][0]["val"] == 4711), "{filter:?}");
        assert!(allowed(filter, "prctl").iter().all(|rule| rule["args"][0]["val"] == 15), "{filter:?}");
    }
    assert_eq!(allowed(Filter::Api, "socket"), Vec::<Value>::new());
    assert_eq!(allowed(Filter::Api, "connect"), Vec::<Value>::new());
    assert_eq!(allowed(Filter::ApiTls, "socket"), Vec::<Value>::new());
    assert_eq!((allowed(Filter::Api, "openat").len(), allowed(Filter::ApiTls, "openat").len()), (0, 1));
    assert_eq!(allowed(Filter::Courier, "socket").len(), 4);
    assert!(allowed(Filter::VaultNetworkHsm, "socket").iter().all(|rule| !is_whole(rule)));
    assert!(allowed(Filter::VaultNetworkHsm, "sendto").iter().all(is_whole));
}

#[test]
fn a_filter_that_is_empty_or_kills_nobody_is_refused() {
    let file = |mismatch: &str, filter: &str| {
        format!(r#"{{"allow": {{"mismatch_action": "{mismatch}", "match_action": "allow", "filter": [{filter}]}}}}"#)
    };
    let (read, refused) = (r#"{"syscall": "read"}"#, |text: String| merged(&[&text], 1).is_err());
    assert!(!refused(file("kill_process", read)));
    assert!(refused(file("kill_process", "")));
    assert!(refused(file("allow", read)) && refused(file("log", read)) && refused(file("kill_thread", read)));
    assert!(refused("{}".into()) && refused(String::new()));
    let args = r#"{"syscall": "read", "args": [{"index": 0, "type": "dword", "op": "eq", "val": 1}]}"#;
    assert!(refused(file("kill_process", &format!("{read}, {args}"))));
}
