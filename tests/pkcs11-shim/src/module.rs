//! The module: the real one's function list with the functions that the agent uses replaced by ours.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use cryptoki_sys::{
    CK_ATTRIBUTE, CK_BBOOL, CK_BYTE, CK_FLAGS, CK_FUNCTION_LIST, CK_MECHANISM, CK_NOTIFY, CK_OBJECT_HANDLE, CK_RV,
    CK_SESSION_HANDLE, CK_SESSION_INFO, CK_SLOT_ID, CK_SLOT_INFO, CK_TOKEN_INFO, CK_ULONG, CK_USER_TYPE, CK_UTF8CHAR,
    CKA_VALUE, CKR_DEVICE_REMOVED, CKR_FUNCTION_NOT_SUPPORTED, CKR_GENERAL_ERROR, CKR_OK,
};

use crate::control::ENV_MODULE;
use crate::rules::{Fault, before, spoils};

struct Module {
    real: CK_FUNCTION_LIST,
    ours: CK_FUNCTION_LIST,
}

static MODULE: OnceLock<Option<Module>> = OnceLock::new();
/// Secrets that C_DeriveKey was to get wrong: session and object.
static WRONG: OnceLock<Mutex<HashSet<CK_OBJECT_HANDLE>>> = OnceLock::new();

/// The module's one entry (PKCS #11 3.1, section 5.5.4).
///
/// # Safety
/// `list` points to room for a pointer, as the specification asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    let Some(module) = MODULE.get_or_init(load) else { return CKR_GENERAL_ERROR };
    // SAFETY: the caller's promise; callers only read through the pointer, and the static stays.
    unsafe { *list = (&raw const module.ours).cast_mut() };
    CKR_OK
}

fn load() -> Option<Module> {
    type GetFunctionList = unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV;
    let path = std::env::var_os(ENV_MODULE)?;
    let mut list = std::ptr::null_mut();
    // SAFETY: a PKCS#11 module, by the caller's word; it is never unloaded, so that its functions stay.
    let real = unsafe {
        let library = Box::leak(Box::new(libloading::Library::new(path).ok()?));
        let entry = library.get::<GetFunctionList>(b"C_GetFunctionList").ok()?;
        if entry(&mut list) != CKR_OK || list.is_null() {
            return None;
        }
        *list
    };
    Some(Module { real, ours: hooked(real) })
}

/// Each function: `before`, then the real one with the same arguments, then `after` where there is one.
macro_rules! hooks {
    ($($name:ident($($arg:ident: $type:ty),*) $(, after $after:expr)?;)*) => {
        fn hooked(mut list: CK_FUNCTION_LIST) -> CK_FUNCTION_LIST {
            $(list.$name = Some(hook::$name);)*
            list
        }

        #[allow(non_snake_case)]
        mod hook {
            use super::*;
            $(
                // SAFETY of calling it: that of the real function, whose arguments these are.
                pub(super) unsafe extern "C" fn $name($($arg: $type),*) -> CK_RV {
                    if let Err(code) = before(stringify!($name)) {
                        return code;
                    }
                    let Some(real) = MODULE.get().and_then(|module| module.as_ref()?.real.$name) else {
                        return CKR_FUNCTION_NOT_SUPPORTED;
                    };
                    // SAFETY: the caller's arguments, unchanged.
                    let code = unsafe { real($($arg),*) };
                    let _arguments = ($($arg,)*);
                    if code != CKR_OK {
                        return code;
                    }
                    // SAFETY: the real function was content with the pointers.
                    $(unsafe { $after(_arguments) };)?
                    lost(stringify!($name))
                }
            )*
        }
    };
}

hooks! {
    C_Initialize(args: *mut std::ffi::c_void);
    C_Finalize(reserved: *mut std::ffi::c_void);
    C_GetSlotList(present: CK_BBOOL, list: *mut CK_SLOT_ID, count: *mut CK_ULONG);
    C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO);
    C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO);
    C_OpenSession(
        slot: CK_SLOT_ID, flags: CK_FLAGS, application: *mut std::ffi::c_void, notify: CK_NOTIFY,
        session: *mut CK_SESSION_HANDLE
    );
    C_CloseSession(session: CK_SESSION_HANDLE);
    C_GetSessionInfo(session: CK_SESSION_HANDLE, info: *mut CK_SESSION_INFO);
    C_Login(session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, length: CK_ULONG);
    C_Logout(session: CK_SESSION_HANDLE);
    C_CreateObject(
        session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut CK_OBJECT_HANDLE
    );
    C_DestroyObject(session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE), after forget;
    C_GetAttributeValue(
        session: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG
    ), after spoil_value;
    C_FindObjectsInit(session: CK_SESSION_HANDLE, template: *mut CK_ATTRIBUTE, count: CK_ULONG);
    C_FindObjects(
        session: CK_SESSION_HANDLE, objects: *mut CK_OBJECT_HANDLE, max: CK_ULONG, count: *mut CK_ULONG
    ), after spoil_find;
    C_FindObjectsFinal(session: CK_SESSION_HANDLE);
    C_SignInit(session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, key: CK_OBJECT_HANDLE);
    C_Sign(
        session: CK_SESSION_HANDLE, data: *mut CK_BYTE, length: CK_ULONG, signature: *mut CK_BYTE,
        signature_length: *mut CK_ULONG
    ), after spoil_signature;
    C_GenerateKeyPair(
        session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, public_template: *mut CK_ATTRIBUTE,
        public_count: CK_ULONG, private_template: *mut CK_ATTRIBUTE, private_count: CK_ULONG,
        public: *mut CK_OBJECT_HANDLE, private: *mut CK_OBJECT_HANDLE
    );
    C_DeriveKey(
        session: CK_SESSION_HANDLE, mechanism: *mut CK_MECHANISM, base: CK_OBJECT_HANDLE,
        template: *mut CK_ATTRIBUTE, count: CK_ULONG, object: *mut CK_OBJECT_HANDLE
    ), after spoil_secret;
    C_GenerateRandom(session: CK_SESSION_HANDLE, out: *mut CK_BYTE, length: CK_ULONG), after spoil_random;
}

// SAFETY of all that follow: they come after the real function, which took the same pointers and filled what they lead to.

unsafe fn spoil_signature(
    (_, _, _, signature, _): (CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG, *mut CK_BYTE, *mut CK_ULONG),
) {
    // Without a buffer only the length was asked for.
    if !signature.is_null() && spoils("C_Sign", Fault::Corrupt) {
        // SAFETY: a signature has a byte.
        unsafe { *signature ^= 1 };
    }
}

unsafe fn spoil_random((_, out, length): (CK_SESSION_HANDLE, *mut CK_BYTE, CK_ULONG)) {
    if spoils("C_GenerateRandom", Fault::Zero) {
        // SAFETY: the length is the caller's buffer's.
        unsafe { out.write_bytes(0, usize::try_from(length).unwrap_or(0)) };
    }
}

unsafe fn spoil_find((_, _, _, count): (CK_SESSION_HANDLE, *mut CK_OBJECT_HANDLE, CK_ULONG, *mut CK_ULONG)) {
    if spoils("C_FindObjects", Fault::Empty) {
        // SAFETY: the real function wrote there.
        unsafe { *count = 0 };
    }
}

unsafe fn spoil_secret(
    (_, _, _, _, _, object): (
        CK_SESSION_HANDLE,
        *mut CK_MECHANISM,
        CK_OBJECT_HANDLE,
        *mut CK_ATTRIBUTE,
        CK_ULONG,
        *mut CK_OBJECT_HANDLE,
    ),
) {
    if spoils("C_DeriveKey", Fault::Corrupt) {
        // SAFETY: the real function wrote there.
        wrong(|set| set.insert(unsafe { *object }));
    }
}

unsafe fn spoil_value(
    (_, object, template, count): (CK_SESSION_HANDLE, CK_OBJECT_HANDLE, *mut CK_ATTRIBUTE, CK_ULONG),
) {
    if !wrong(|set| set.contains(&object)) {
        return;
    }
    for n in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the template has so many attributes.
        let attribute = unsafe { *template.add(n) };
        if attribute.type_ == CKA_VALUE && !attribute.pValue.is_null() && attribute.ulValueLen > 0 {
            // SAFETY: the real function filled so many bytes.
            unsafe { *attribute.pValue.cast::<CK_BYTE>() ^= 1 };
        }
    }
}

unsafe fn forget((_, object): (CK_SESSION_HANDLE, CK_OBJECT_HANDLE)) {
    wrong(|set| set.remove(&object));
}

fn lost(function: &str) -> CK_RV {
    if function == "C_CreateObject" && spoils(function, Fault::Lose) { CKR_DEVICE_REMOVED } else { CKR_OK }
}

fn wrong<T>(work: impl FnOnce(&mut HashSet<CK_OBJECT_HANDLE>) -> T) -> T {
    work(&mut WRONG.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner))
}
