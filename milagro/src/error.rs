/// Why octets were refused or an operation was not done. Holds no content of what was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{what}: expected {expected} octets, got {found}; pass the raw octets, not hex or base64")]
    Length { what: &'static str, expected: usize, found: usize },
    #[error("{0}: unknown prefix; a signature starts with 02 or 03, any other G1 point with 04")]
    Prefix(&'static str),
    #[error("{0}: a coordinate is not below the field's prime; the octets are damaged or of another curve")]
    Coordinate(&'static str),
    #[error("{0}: the point is not on the curve; the octets are damaged or of another curve")]
    OffCurve(&'static str),
    #[error("{0}: the point is outside the prime-order subgroup; do not trust its sender")]
    OutsideSubgroup(&'static str),
    #[error("{0}: the point at infinity stands for no key and no signature; do not trust its sender")]
    Infinity(&'static str),
    #[error("{0}: the scalar is zero or not below the group's order; the octets are damaged or of another curve")]
    Scalar(&'static str),
    #[error("the entropy given leads to zero; draw it afresh, and distrust its source if this happens twice")]
    Entropy,
    #[error("nothing to aggregate; give at least one")]
    Empty,
    #[error("the signature is not this key's over this message")]
    Signature,
    #[error(
        "the pass does not prove this identity's secret at this time; compare token, PIN and the second it was made"
    )]
    Pass,
    #[error("x-api-zkp: {0}")]
    Header(&'static str),
    #[error("the time does not fit the 4 octets that a pass has for it; check the clock")]
    Time,
    #[error("token and PIN add up to no client secret; register again")]
    Token,
}

/// The array in `octets`, or a length error in the name of `what`.
pub(crate) fn exactly<'a, const N: usize>(octets: &'a [u8], what: &'static str) -> Result<&'a [u8; N], Error> {
    octets.try_into().map_err(|_| Error::Length { what, expected: N, found: octets.len() })
}
