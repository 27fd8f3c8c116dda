//! The calls: each asks the rules first, then the C library.

use std::ffi::{CStr, c_int, c_void};

use libc::{off_t, off64_t, size_t, ssize_t};

use crate::rules::{Fault, fault};

/// The next definition of a function after this library's (dlsym(3)).
fn real(name: &CStr) -> *mut c_void {
    // SAFETY: a look-up by a name that ends with NUL.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

fn fails(errno: c_int) -> c_int {
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() = errno };
    -1
}

macro_rules! hooks {
    ($($kind:literal $name:ident($fd:ident: c_int $(, $arg:ident: $type:ty)*) -> $result:ty $(, half $half:ident)?;)*) => { $(
        /// # Safety
        /// That of the C library's function, whose arguments these are.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($fd: c_int $(, $arg: $type)*) -> $result {
            type Real = unsafe extern "C" fn(c_int $(, $type)*) -> $result;
            const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a name"),
            };
            match fault($kind, $fd) {
                Some(Fault::Error(errno)) => return <$result>::from(fails(errno) as i8),
                Some(Fault::Short) => { $(let $half = ($half / 2).max(1); return call::<Real>(NAME, |real| unsafe { real($fd $(, $arg)*) });)? }
                None => {}
            }
            let pointer = real(NAME);
            if pointer.is_null() {
                return <$result>::from(fails(libc::ENOSYS) as i8);
            }
            // SAFETY: the C library's function of this name, which has this type.
            let real = unsafe { std::mem::transmute::<*mut c_void, Real>(pointer) };
            // SAFETY: the caller's promise.
            unsafe { real($fd $(, $arg)*) }
        }
    )* };
}
