//! The IDDoc that init hands out, right or, on request, wrong.

use serde::Deserialize;

use crate::assets::Wire;

/// What an agent must notice before it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum IdDocFault {
    /// Another, valid BLS key.
    OtherKey,
    /// Another EC key.
    OtherEcKey,
    /// Another ID than the reply's.
    OtherIdentity,
    OtherName,
    /// Type 5 (wallet) over the IDDoc's payload.
    WrongType,
    /// A wallet payload beside the IDDoc's.
    TwoPayloads,
    UnknownField,
    NotHex,
}

/// What an IDDoc says of an agent.
pub(crate) struct IdDoc<'a> {
    pub(crate) id: [u8; 32],
    pub(crate) name: &'a str,
    pub(crate) bls: [u8; 192],
    pub(crate) ec: [u8; 65],
    /// Unix seconds.
    pub(crate) timestamp: u64,
}

impl IdDoc<'_> {
    /// PBAsset of type 2 with payload 17 alone, as in the published sample, and a timestamp.
    pub(crate) fn write(&self) -> Vec<u8> {
        self.asset(2).finish()
    }

    /// The same with a fault in it; `other_bls` is a valid key of somebody else.
    pub(crate) fn write_wrong(mut self, fault: IdDocFault, other_bls: [u8; 192]) -> Vec<u8> {
        match fault {
            IdDocFault::OtherKey => self.bls = other_bls,
            IdDocFault::OtherEcKey => self.ec[64] ^= 1,
            IdDocFault::OtherIdentity => self.id[31] ^= 1,
            IdDocFault::OtherName => self.name = "somebody else",
            IdDocFault::WrongType => return self.asset(5).finish(),
            IdDocFault::TwoPayloads => return self.asset(2).message(15, Wire::default().number(1, 1)).finish(),
            IdDocFault::UnknownField => return self.asset(2).bytes(99, b"of a later schema").finish(),
            IdDocFault::NotHex => {}
        }
        self.write()
    }

    fn asset(&self, asset_type: u64) -> Wire {
        let payload = Wire::default()
            .bytes(1, self.name.as_bytes())
            .bytes(4, &self.bls)
            .number(5, self.timestamp)
            .bytes(6, &self.ec);
        Wire::default().number(1, asset_type).bytes(2, &self.id).bytes(9, self.name.as_bytes()).message(17, payload)
    }
}
