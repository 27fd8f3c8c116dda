//! A PKCS#11 function and its return code, by the names of the specification (PKCS #11 3.1, section 5.1).

use std::fmt;

use cryptoki::context::Function;
use cryptoki::error::{Rv, RvError};

/// A call that failed. It displays as `C_Sign: CKR_DEVICE_ERROR (0x30)`.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub(crate) function: Function,
    pub(crate) code: RvError,
}

/// What a C_Login that failed says about the PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PinVerdict {
    Refused,
    /// The token never looked at it.
    NotJudged,
    /// It may have been looked at, and counted as wrong.
    Unknown,
}

impl Call {
    /// The function's name, e.g. `C_Login`.
    #[must_use]
    pub fn function(&self) -> String {
        format!("C_{:?}", self.function)
    }

    /// The return code's name, e.g. `CKR_PIN_INCORRECT`; a vendor's own codes are all `CKR_VENDOR_DEFINED`.
    #[must_use]
    pub fn code(&self) -> String {
        match self.code {
            RvError::VendorDefined(_) => "CKR_VENDOR_DEFINED".into(),
            RvError::UnknownErrorCode(_) => "unknown return code".into(),
            named => screaming(&format!("{named:?}")),
        }
    }

    fn number(&self) -> u64 {
        match self.code {
            RvError::VendorDefined(n) | RvError::UnknownErrorCode(n) => n,
            named => CODES.iter().copied().find(|n| Rv::from(*n) == Rv::Error(named)).unwrap_or(0),
        }
    }

    /// The handle is unknown to the token: it may be found again under another number.
    pub(crate) fn is_stale_handle(&self) -> bool {
        matches!(self.code, RvError::ObjectHandleInvalid | RvError::KeyHandleInvalid)
    }

    /// What modules return when token, session or login are gone. The specification has the precise codes; modules
    /// also say it with general ones, and networked ones with codes of their own.
    pub(crate) fn is_loss(&self) -> bool {
        use RvError as E;
        // A token that is full is not gone.
        if matches!((self.function, self.code), (Function::CreateObject, E::DeviceMemory)) {
            return false;
        }
        self.is_stale_handle()
            || matches!(
                self.code,
                E::CryptokiNotInitialized
                    | E::DeviceError
                    | E::DeviceMemory
                    | E::DeviceRemoved
                    | E::FunctionFailed
                    | E::GeneralError
                    | E::OperationActive
                    | E::OperationNotInitialized
                    | E::SessionClosed
                    | E::SessionCount
                    | E::SessionHandleInvalid
                    | E::SlotIdInvalid
                    | E::TokenNotPresent
                    | E::TokenNotRecognized
                    | E::UserNotLoggedIn
                    | E::VendorDefined(_)
                    | E::UnknownErrorCode(_)
            )
    }

    /// For C_Login (PKCS #11 3.1, section 5.6.8, and 5.1.1 to 5.1.3 for the codes of any function). Modules have more
    /// codes for a refused PIN than the specification, CKR_GENERAL_ERROR and their own among them: what does not say
    /// that no PIN was judged leaves it open.
    pub(crate) fn pin_verdict(&self) -> PinVerdict {
        use RvError as E;
        match self.code {
            E::PinIncorrect | E::PinInvalid | E::PinLenRange | E::PinExpired | E::PinLocked | E::PinTooWeak => {
                PinVerdict::Refused
            }
            // Session, token or module were gone. 5.1.2 lets CKR_DEVICE_REMOVED and CKR_SESSION_CLOSED also mean
            // "during the call", but then there is nothing left to try the PIN on in a loop.
            E::CryptokiNotInitialized
            | E::DeviceRemoved
            | E::SessionClosed
            | E::SessionHandleInvalid
            | E::SlotIdInvalid
            | E::TokenNotPresent
            | E::TokenNotRecognized
            // The call did not come as far as the PIN.
            | E::FunctionNotSupported
            | E::HostMemory
            | E::OperationActive
            | E::UserAlreadyLoggedIn
            | E::UserAnotherAlreadyLoggedIn
            | E::UserPinNotInitialized
            | E::UserTooManyTypes
            | E::UserTypeInvalid => PinVerdict::NotJudged,
            _ => PinVerdict::Unknown,
        }
    }

    /// The module or the token cannot do this at all.
    pub(crate) fn is_not_offered(&self) -> bool {
        use RvError as E;
        matches!(
            self.code,
            E::MechanismInvalid | E::FunctionNotSupported | E::CurveNotSupported | E::DomainParamsInvalid
        )
    }

    /// The token takes no object like this, or from nobody like us.
    pub(crate) fn is_refused_object(&self) -> bool {
        use RvError as E;
        matches!(
            self.code,
            E::ActionProhibited
                | E::AttributeReadOnly
                | E::AttributeTypeInvalid
                | E::AttributeValueInvalid
                | E::SessionReadOnly
                | E::TemplateIncomplete
                | E::TemplateInconsistent
                | E::TokenWriteProtected
        )
    }

    /// The mechanism that this crate uses the function with.
    pub(crate) fn mechanism(&self) -> &'static str {
        match self.function {
            Function::GenerateKeyPair => "CKM_EC_KEY_PAIR_GEN",
            Function::Sign | Function::SignInit => "CKM_ECDSA",
            Function::DeriveKey => "CKM_ECDH1_DERIVE",
            _ => "this function",
        }
    }

    pub(crate) fn advice(&self) -> &'static str {
        use RvError as E;
        match self.code {
            _ if matches!(self.function, Function::Login) && self.pin_verdict() == PinVerdict::Unknown => {
                "the token or the connection to it is gone, or it refused the PIN without saying so and may have counted the try: check the device, its service and its log, and the PIN; if no login is tried any more, type `signing-agent init --try-pin-again`"
            }
            E::TokenWriteProtected | E::SessionReadOnly => {
                "the token may not be written to; `init` must create keys in it"
            }
            E::UserPinNotInitialized => "the token has no user PIN yet: initialise it with the vendor's tool",
            E::SessionCount => "the token has no session left: close other clients or lower the number of workers",
            E::KeyFunctionNotPermitted => {
                "the key exists but may not be used for this: it was not made by `signing-agent init`"
            }
            E::UserNotLoggedIn => "the login was lost and could not be made again",
            E::DeviceMemory if matches!(self.function, Function::CreateObject) => {
                "the token has no room left: remove objects that nobody needs with the vendor's tool"
            }
            E::HostMemory | E::DeviceMemory => "out of memory",
            _ if matches!(self.function, Function::Initialize) => {
                "the module does not start: check its own configuration (SoftHSM: SOFTHSM2_CONF and the token directory's owner)"
            }
            _ if self.is_loss() => {
                "the token or the connection to it is gone: check the device, its service and its log"
            }
            _ => "see the module's log",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (0x{:X})", self.function(), self.code(), self.number())
    }
}

/// `PinIncorrect` → `CKR_PIN_INCORRECT`.
fn screaming(camel: &str) -> String {
    let mut name = String::from("CKR");
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Every return code that cryptoki has a name for.
#[rustfmt::skip]
const CODES: [u64; 88] = [
    0x1, 0x2, 0x3, 0x5, 0x6, 0x7, 0x8, 0x9, 0xa, 0x10, 0x11, 0x12, 0x13, 0x1b, 0x20, 0x21, 0x30, 0x31, 0x32, 0x40, 0x41,
    0x50, 0x51, 0x54, 0x60, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x70, 0x71, 0x82, 0x90, 0x91, 0xa0,
    0xa1, 0xa2, 0xa3, 0xa4, 0xb0, 0xb1, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xc0, 0xc1, 0xd0, 0xd1, 0xe0, 0xe1, 0xe2,
    0xf0, 0xf1, 0xf2, 0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x110, 0x112, 0x113, 0x114, 0x115, 0x120, 0x121, 0x130,
    0x140, 0x150, 0x160, 0x170, 0x180, 0x190, 0x191, 0x1a0, 0x1a1, 0x1b5, 0x1b9, 0x200,
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn codes_have_the_names_and_numbers_of_the_specification() {
        for (code, text) in [
            (RvError::PinIncorrect, "C_Login: CKR_PIN_INCORRECT (0xA0)"),
            (RvError::PinLocked, "C_Login: CKR_PIN_LOCKED (0xA4)"),
            (RvError::RandomNoRng, "C_Login: CKR_RANDOM_NO_RNG (0x121)"),
            (RvError::VendorDefined(0x8000_0042), "C_Login: CKR_VENDOR_DEFINED (0x80000042)"),
        ] {
            assert_eq!(Call { function: Function::Login, code }.to_string(), text);
        }
    }

    #[test]
    fn every_number_in_the_table_is_a_known_code() {
        for code in CODES {
            assert!(!matches!(Rv::from(code), Rv::Ok | Rv::Error(RvError::UnknownErrorCode(_))), "{code:#x}");
        }
    }
}
