//! The two curves outside the token: points, low-S, verification. Public values only.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;

use crate::config::Curve;

/// An uncompressed point, SEC 1 section 2.3.3: `04 ‖ x ‖ y`.
pub(crate) type Point = [u8; 65];

impl Curve {
    /// `CKA_EC_PARAMS`: the curve's object identifier in DER.
    pub(crate) fn params(self) -> &'static [u8] {
        match self {
            // 1.2.840.10045.3.1.7 (RFC 5480, section 2.1.1.1)
            Self::P256 => &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            // 1.3.132.0.10 (SEC 2, appendix A.2.1)
            Self::Secp256k1 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a],
        }
    }

    /// Is it an uncompressed point of this curve, and not infinity?
    pub(crate) fn has(self, point: &Point) -> bool {
        match self {
            Self::P256 => point[0] == 4 && p256::PublicKey::from_sec1_bytes(point).is_ok(),
            Self::Secp256k1 => point[0] == 4 && k256::PublicKey::from_sec1_bytes(point).is_ok(),
        }
    }

    /// r ‖ s with s in the lower half of the order, or nothing if it does not verify. Modules do not normalise.
    pub(crate) fn low_s_verified(self, public: &Point, digest: &[u8; 32], signature: &[u8]) -> Option<[u8; 64]> {
        match self {
            Self::P256 => {
                let signature = p256::ecdsa::Signature::from_slice(signature).ok()?;
                let signature = signature.normalize_s().unwrap_or(signature);
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(public).ok()?;
                key.verify_prehash(digest, &signature).ok()?;
                Some(signature.to_bytes().into())
            }
            Self::Secp256k1 => {
                let signature = k256::ecdsa::Signature::from_slice(signature).ok()?;
                let signature = signature.normalize_s().unwrap_or(signature);
                let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(public).ok()?;
                key.verify_prehash(digest, &signature).ok()?;
                Some(signature.to_bytes().into())
            }
        }
    }
}

/// `CKA_EC_POINT`: a DER OCTET STRING around the point (PKCS #11 3.1, section 6.3.3); some modules leave it bare.
pub(crate) fn point_of_attribute(value: &[u8]) -> Option<Point> {
    match value {
        [0x04, 0x41, point @ ..] if point.len() == 65 => point.try_into().ok(),
        bare => bare.try_into().ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn generator() -> Point {
        use p256::elliptic_curve::sec1::ToEncodedPoint as _;
        p256::AffinePoint::GENERATOR.to_encoded_point(false).as_bytes().try_into().unwrap()
    }

    #[test]
    fn points_off_the_curve_or_of_another_form_are_refused() {
        let good = generator();
        assert!(Curve::P256.has(&good));
        assert!(!Curve::Secp256k1.has(&good), "a point of the other curve");
        let mut bad = good;
        bad[64] ^= 1;
        assert!(!Curve::P256.has(&bad));
        for first in [0, 2, 3, 5, 6, 7] {
            bad = good;
            bad[0] = first;
            assert!(!Curve::P256.has(&bad), "prefix {first}");
        }
        assert!(!Curve::P256.has(&[0; 65]));
        let mut large = [0xff; 65];
        large[0] = 4;
        assert!(!Curve::P256.has(&large), "coordinates beyond p");
    }

    #[test]
    fn the_point_is_read_with_and_without_its_wrapping() {
        let point = generator();
        let wrapped = [&[0x04, 0x41][..], &point].concat();
        assert_eq!(point_of_attribute(&wrapped), Some(point));
        assert_eq!(point_of_attribute(&point), Some(point));
        assert_eq!(point_of_attribute(&wrapped[..66]), None);
        assert_eq!(point_of_attribute(&[]), None);
    }

    #[test]
    fn a_signature_comes_out_low_s_or_not_at_all() {
        use p256::ecdsa::signature::hazmat::PrehashSigner as _;
        for n in 1..=32_u8 {
            let (digest, secret) = ([n; 32], [n; 32]);
            let key = p256::ecdsa::SigningKey::from_slice(&secret).unwrap();
            let public: Point = key.verifying_key().to_encoded_point(false).as_bytes().try_into().unwrap();
            let signature: p256::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
            let (r, s) = signature.split_scalars();
            let negated = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
            let low = Curve::P256.low_s_verified(&public, &digest, &signature.to_bytes()).unwrap();
            assert_eq!(Curve::P256.low_s_verified(&public, &digest, &negated.to_bytes()), Some(low));
            assert_eq!(Curve::P256.low_s_verified(&public, &[0; 32], &low), None, "another digest");
            if n > 1 {
                assert_eq!(Curve::P256.low_s_verified(&generator(), &digest, &low), None, "another key");
            }
            assert_eq!(Curve::P256.low_s_verified(&public, &digest, &low[..63]), None);

            let key = k256::ecdsa::SigningKey::from_slice(&secret).unwrap();
            let public: Point = key.verifying_key().to_encoded_point(false).as_bytes().try_into().unwrap();
            let signature: k256::ecdsa::Signature = key.sign_prehash(&digest).unwrap();
            let (r, s) = signature.split_scalars();
            let negated = k256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
            assert_eq!(
                Curve::Secp256k1.low_s_verified(&public, &digest, &negated.to_bytes()),
                Some(signature.to_bytes().into())
            );
            assert_eq!(Curve::Secp256k1.low_s_verified(&public, &[0; 32], &signature.to_bytes()), None);
        }
    }
}
