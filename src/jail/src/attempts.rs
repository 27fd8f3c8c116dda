//! What a captured room would try. The tests have the real room try it in its real jail, and again without one, where it must
//! succeed. Not in a release build.
#![allow(unsafe_code, reason = "raw system calls, in debug builds alone")]

use std::ffi::CString;
use std::ptr;

/// What the test made for the room to lay hands on.
struct Victim {
    /// A process of the same user.
    pid: i64,
    /// A place in its memory that can be read.
    address: usize,
    /// A file that exists, outside of what the room needs.
    file: CString,
    /// A path beside it that does not exist.
    missing: CString,
    /// A Unix socket that somebody listens on.
    socket: Vec<u8>,
}

/// `NAME PID ADDRESS DIR`, numbers decimal: attempts it, tells the outcome on standard error, and ends this process.
pub fn run(what: &str) -> ! {
    let words: Vec<&str> = what.splitn(4, ' ').collect();
    let [name, pid, address, dir] = words[..] else { end(&format!("attempt: not understood: {what}")) };
    let path = |file: &str| CString::new(format!("{dir}/{file}")).unwrap_or_default();
    let victim = Victim {
        pid: pid.parse().unwrap_or(-1),
        address: address.parse().unwrap_or(0),
        file: path("file"),
        missing: path("missing"),
        socket: path("socket").into_bytes(),
    };
    match attempt(name, &victim) {
        None => end(&format!("attempt {name}: unknown")),
        Some(result) if result >= 0 => end(&format!("attempt {name}: succeeded")),
        Some(_) => end(&format!("attempt {name}: refused: {}", std::io::Error::last_os_error())),
    }
}

fn end(words: &str) -> ! {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{words}");
    crate::end(0)
}

macro_rules! call {
    ($number:ident $(, $arg:expr)*) => {
        // SAFETY: each pointer is null where the kernel takes that, or of memory that outlives the call and is as long as it is
        // said to be; a call that would change this process beyond use is the last thing that it does.
        unsafe { libc::syscall(libc::$number $(, $arg as libc::c_long)*) }
    };
}

fn attempt(name: &str, victim: &Victim) -> Option<i64> {
    Some(match name.split_once('-').map_or(name, |(kind, _)| kind) {
        "process" => process(name, victim)?,
        "socket" => sockets(name, victim)?,
        "file" => files(name, victim)?,
        "memory" => memory(name)?,
        "kernel" => kernel(name, victim)?,
        _ => return None,
    })
}

fn process(name: &str, victim: &Victim) -> Option<i64> {
    let (pid, mut word) = (victim.pid, 0u64);
    let local = libc::iovec { iov_base: (&raw mut word).cast(), iov_len: 8 };
    let echo = |name: &str| CString::new(format!("attempt {name}: succeeded")).unwrap_or_default();
    let (program, said) = (c"/bin/sh", echo(name));
    let script = c"echo \"$0\" >&2";
    let arguments = [program.as_ptr(), c"-c".as_ptr(), script.as_ptr(), said.as_ptr(), ptr::null()];
    let nothing = [ptr::null::<libc::c_char>()];
    Some(match name {
        "process-execve" => call!(SYS_execve, program.as_ptr(), arguments.as_ptr(), nothing.as_ptr()),
        "process-execveat" => {
            call!(SYS_execveat, libc::AT_FDCWD, program.as_ptr(), arguments.as_ptr(), nothing.as_ptr(), 0)
        }
        "process-fork" => leave(call!(SYS_clone, libc::SIGCHLD, 0, 0, 0, 0)),
        "process-clone3" => {
            let mut arguments = [0u64; 8];
            arguments[4] = libc::SIGCHLD as u64;
            leave(call!(SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)))
        }
        "process-ptrace" => call!(SYS_ptrace, libc::PTRACE_SEIZE, pid, 0, 0),
        "process-read-memory" => {
            let remote = libc::iovec { iov_base: victim.address as *mut _, iov_len: 8 };
            call!(SYS_process_vm_readv, pid, &raw const local, 1, &raw const remote, 1, 0)
        }
        "process-open-memory" => open(&CString::new(format!("/proc/{pid}/mem")).unwrap_or_default(), libc::O_RDWR),
        "process-kill" => call!(SYS_kill, pid, libc::SIGURG),
        "process-tgkill" => call!(SYS_tgkill, pid, pid, libc::SIGURG),
        "process-abort-another" => call!(SYS_tgkill, pid, pid, libc::SIGABRT),
        "process-take-files" => {
            let fd = call!(SYS_pidfd_open, pid, 0);
            if fd < 0 { fd } else { call!(SYS_pidfd_getfd, fd, 0, 0) }
        }
        "process-limits" => {
            let mut limits = [0u64; 2];
            call!(SYS_prlimit64, pid, libc::RLIMIT_NOFILE, 0, limits.as_mut_ptr())
        }
        _ => return None,
    })
}

/// The child of a fork has nothing to tell.
fn leave(pid: i64) -> i64 {
    if pid == 0 {
        crate::end(0);
    }
    pid
}

fn sockets(name: &str, victim: &Victim) -> Option<i64> {
    let socket = |family: i32, kind: i32, protocol: i32| call!(SYS_socket, family, kind, protocol);
    let (inet, stream) = (libc::AF_INET, libc::SOCK_STREAM);
    let bound = |fd: i64| {
        let any = libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
            sin_zero: [0; 8],
        };
        if fd < 0 { fd } else { call!(SYS_bind, fd, &raw const any, size_of_val(&any)) }
    };
    Some(match name {
        "socket-inet-stream" => socket(inet, stream, libc::IPPROTO_TCP),
        "socket-other-stream" => socket(inet, stream, 0),
        "socket-inet-datagram" => socket(inet, libc::SOCK_DGRAM, 0),
        "socket-inet6-stream" => socket(libc::AF_INET6, stream, libc::IPPROTO_TCP),
        "socket-raw" => socket(inet, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        "socket-unix" => socket(libc::AF_UNIX, stream, 0),
        "socket-pair" => {
            let mut pair = [0i32; 2];
            call!(SYS_socketpair, libc::AF_UNIX, stream, 0, pair.as_mut_ptr())
        }
        "socket-netlink" => socket(libc::AF_NETLINK, libc::SOCK_RAW, 0),
        "socket-packet" => socket(libc::AF_PACKET, libc::SOCK_RAW, 0),
        "socket-lane" => {
            let fd = socket(libc::AF_UNIX, stream, 0);
            // SAFETY: all zeros is a sockaddr_un.
            let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
            address.sun_family = libc::AF_UNIX as u16;
            for (there, octet) in address.sun_path.iter_mut().zip(&victim.socket) {
                *there = *octet as libc::c_char;
            }
            if fd < 0 { fd } else { call!(SYS_connect, fd, &raw const address, size_of_val(&address)) }
        }
        "socket-bind" => bound(socket(inet, stream, libc::IPPROTO_TCP)),
        "socket-listen" => {
            let fd = socket(inet, stream, libc::IPPROTO_TCP);
            if fd < 0 { fd } else { call!(SYS_listen, fd, 1) }
        }
        _ => return None,
    })
}

fn open(path: &CString, flags: i32) -> i64 {
    call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags | libc::O_CLOEXEC, 0o600)
}

fn files(name: &str, victim: &Victim) -> Option<i64> {
    let (at, file, missing) = (libc::AT_FDCWD, &victim.file, &victim.missing);
    let (from, to) = (file.as_ptr(), missing.as_ptr());
    Some(match name {
        "file-read" => open(file, libc::O_RDONLY),
        "file-write" => open(file, libc::O_WRONLY),
        "file-create" => open(missing, libc::O_WRONLY | libc::O_CREAT),
        "file-directory" => open(&CString::new("/").unwrap_or_default(), libc::O_RDONLY | libc::O_DIRECTORY),
        "file-remove" => call!(SYS_unlinkat, at, from, 0),
        "file-rename" => call!(SYS_renameat2, at, from, at, to, 0),
        #[cfg(target_arch = "x86_64")]
        "file-unlink" => call!(SYS_unlink, from),
        #[cfg(target_arch = "x86_64")]
        "file-move" => call!(SYS_rename, from, to),
        "file-link" => call!(SYS_linkat, at, from, at, to, 0),
        "file-symlink" => call!(SYS_symlinkat, from, at, to),
        "file-mknod" => call!(SYS_mknodat, at, to, libc::S_IFIFO | 0o600, 0),
        "file-mkdir" => call!(SYS_mkdirat, at, to, 0o700),
        "file-chmod" => call!(SYS_fchmodat, at, from, 0o777),
        "file-chown" => call!(SYS_fchownat, at, from, 0, 0, 0),
        "file-truncate" => call!(SYS_truncate, from, 0),
        "file-attribute" => call!(SYS_setxattr, from, c"user.a".as_ptr(), from, 1, 0),
        "file-handle" => {
            let mut handle = [0u32; 36];
            handle[0] = 128;
            let mut mount = 0i32;
            call!(SYS_name_to_handle_at, at, from, handle.as_mut_ptr(), &raw mut mount, 0)
        }
        "file-watch" => call!(SYS_inotify_init1, 0),
        _ => return None,
    })
}

fn memory(name: &str) -> Option<i64> {
    let (read, write, exec) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    let map = |protection: i32| call!(SYS_mmap, 0, 4096, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
    Some(match name {
        "memory-map-write-exec" => map(read | write | exec),
        "memory-map-exec" => map(read | exec),
        "memory-protect-exec" => call!(SYS_mprotect, map(read | write), 4096, read | exec),
        "memory-protect-exec-by-key" => call!(SYS_pkey_mprotect, map(read | write), 4096, read | exec, -1),
        "memory-file" => call!(SYS_memfd_create, c"a".as_ptr(), 0),
        "memory-faults" => call!(SYS_userfaultfd, libc::O_CLOEXEC),
        "memory-shared" => call!(SYS_shmget, libc::IPC_PRIVATE, 4096, 0o600),
        "memory-dumpable" => call!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0),
        _ => return None,
    })
}

fn kernel(name: &str, victim: &Victim) -> Option<i64> {
    let (root, zeros) = (c"/", [0u64; 32]);
    Some(match name {
        "kernel-mount" => call!(SYS_mount, 0, root.as_ptr(), 0, libc::MS_PRIVATE, 0),
        "kernel-fsopen" => call!(SYS_fsopen, c"tmpfs".as_ptr(), 0),
        "kernel-chroot" => call!(SYS_chroot, root.as_ptr()),
        "kernel-unshare" => call!(SYS_unshare, libc::CLONE_NEWUTS),
        "kernel-setns" => {
            let fd = call!(SYS_pidfd_open, victim.pid, 0);
            if fd < 0 { fd } else { call!(SYS_setns, fd, libc::CLONE_NEWUTS) }
        }
        "kernel-io-uring" => call!(SYS_io_uring_setup, 1, zeros.as_ptr()),
        "kernel-bpf" => {
            // BPF_MAP_CREATE of an array: type 2, keys of 4 octets, values of 4, one of them.
            let map = [(4u64 << 32) | 2, (1u64 << 32) | 4, 0, 0, 0, 0, 0, 0, 0];
            call!(SYS_bpf, 0, map.as_ptr(), size_of_val(&map))
        }
        "kernel-keys" => call!(SYS_keyctl, 0, -3, 1),
        "kernel-perf" => {
            // A software counter (PERF_TYPE_SOFTWARE, its size 64) of this process.
            let mut event = [0u64; 16];
            event[0] = (64 << 32) | 1;
            call!(SYS_perf_event_open, event.as_ptr(), 0, -1, -1, 0)
        }
        "kernel-user" => call!(SYS_setresuid, 65534, 65534, 65534),
        "kernel-capabilities" => {
            let header = [0x2008_0522u32, 0];
            call!(SYS_capset, header.as_ptr(), zeros.as_ptr())
        }
        "kernel-personality" => call!(SYS_personality, 0x0004_0000),
        "kernel-filter" => {
            // BPF_RET | BPF_K, SECCOMP_RET_ALLOW: a filter of its own.
            let allow = [libc::sock_filter { code: 6, jt: 0, jf: 0, k: 0x7fff_0000 }];
            let program = libc::sock_fprog { len: 1, filter: allow.as_ptr().cast_mut() };
            call!(SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
        }
        "kernel-terminal" => call!(SYS_ioctl, 2, libc::FIONREAD, zeros.as_ptr()),
        "kernel-owner" => call!(SYS_fcntl, 2, libc::F_SETOWN, victim.pid),
        "kernel-nice" => call!(SYS_setpriority, 0, 0, 5),
        #[cfg(target_arch = "x86_64")]
        "kernel-other-architecture" => {
            let result: i64;
            // SAFETY: getpid of the 32-bit table, which takes nothing and changes rax alone.
            unsafe { std::arch::asm!("int 0x80", inlateout("rax") 20i64 => result) };
            result
        }
        _ => return None,
    })
}
