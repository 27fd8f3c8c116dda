//! Qredochain assets, written field by field as protocol buffers' encoding says, in the form of the two published samples.
//!
//! Deliberately not through the agent's own asset code: the backend is the other side.

/// Protocol buffers' wire form, fields in the order they are added. As in proto3, a field that is zero or empty is left out.
#[derive(Default)]
pub(crate) struct Wire(Vec<u8>);

impl Wire {
    pub(crate) fn number(mut self, field: u32, value: u64) -> Self {
        if value != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(value);
        }
        self
    }

    pub(crate) fn bytes(self, field: u32, value: &[u8]) -> Self {
        if value.is_empty() { self } else { self.lengthy(field, value) }
    }

    pub(crate) fn message(self, field: u32, value: Wire) -> Self {
        self.lengthy(field, &value.0)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn lengthy(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A wallet asset: what a transfer or a withdrawal asks to be signed.
pub(crate) struct Movement {
    pub(crate) wallet: [u8; 32],
    pub(crate) owner: [u8; 32],
    pub(crate) trustee: [u8; 32],
    pub(crate) reference: [u8; 32],
    pub(crate) description: String,
    pub(crate) currency: u64,
    /// Two's complement, as int64 is written.
    pub(crate) amount: u64,
}

impl Movement {
    /// transfer-push with one PBWalletTransfer.
    pub(crate) fn transfer(&self, to: &[u8], asset: &[u8]) -> Vec<u8> {
        let transfer = Wire::default().bytes(1, to).number(2, self.amount).bytes(3, asset);
        self.asset(4, Wire::default().number(1, self.currency).message(3, transfer)).finish()
    }

    /// settle-push with one settlement.
    pub(crate) fn withdrawal(&self, address: &str, fee: u64) -> Vec<u8> {
        let settlement = Wire::default().number(2, self.amount).bytes(4, address.as_bytes()).number(8, fee);
        self.asset(2, Wire::default().number(1, self.currency).message(4, settlement)).finish()
    }

    /// A transfer with a field that no published schema has.
    pub(crate) fn opaque(&self, to: &[u8], asset: &[u8]) -> Vec<u8> {
        Wire(self.transfer(to, asset)).bytes(99, b"of a later schema").finish()
    }

    fn asset(&self, transfer_type: u64, wallet: Wire) -> Wire {
        Wire::default()
            .number(1, 5)
            .bytes(2, &self.wallet)
            .bytes(3, &self.owner)
            .number(5, transfer_type)
            .message(6, Wire::default().bytes(1, b"Settle").message(2, self.rule(2, "settle")))
            .message(6, Wire::default().bytes(1, b"TransferPush").message(2, self.rule(4, "push")))
            .bytes(10, &self.reference)
            .bytes(11, self.description.as_bytes())
            .message(15, wallet)
    }

    fn rule(&self, transfer_type: u64, description: &str) -> Wire {
        let participant = |name: &str, id| Wire::default().bytes(1, name.as_bytes()).bytes(2, id);
        Wire::default()
            .number(1, transfer_type)
            .bytes(2, b"t1 > 0")
            .message(3, participant("owner", &self.owner))
            .message(3, participant("s", &self.owner))
            .message(3, participant("t1", &self.trustee))
            .bytes(4, description.as_bytes())
    }
}

/// An asset of another kind than wallet and IDDoc: its type, an ID, and a payload that holds one field.
pub(crate) fn other(asset_type: u64, payload: u32, id: &[u8]) -> Vec<u8> {
    let content = Wire::default().number(1, 1);
    Wire::default().number(1, asset_type).bytes(2, id).bytes(9, b"a test").message(payload, content).finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The withdrawal that was published with the Go agent v1.0.0 (Apache-2.0).
    const SAMPLE: &str = "08051220b3bc39c21df680e9925bcc6872b06d583545c62f3cca12c6353e8a1d5dbe83dc1a20c6e194bd4e2af25d200680555196df700577be01328719085d2bcd0f61efc57b28023297010a06536574746c65128c01080212067431203e20301a290a056f776e65721220c6e194bd4e2af25d200680555196df700577be01328719085d2bcd0f61efc57b1a250a01731220c6e194bd4e2af25d200680555196df700577be01328719085d2bcd0f61efc57b1a260a02743112209d57f713d4b3ae8881ef1609d3a2c74ad3936827464a3ade0ab03fe58a86abf22206736574746c65329b010a0c5472616e7366657250757368128a01080412067431203e20301a290a056f776e65721220c6e194bd4e2af25d200680555196df700577be01328719085d2bcd0f61efc57b1a250a01731220c6e194bd4e2af25d200680555196df700577be01328719085d2bcd0f61efc57b1a260a02743112209d57f713d4b3ae8881ef1609d3a2c74ad3936827464a3ade0ab03fe58a86abf22204707573685220d827677997c9a2ae5210d5ba25f1da6fdfb3fd70e2bcb79cd5f70dacba6427115a1273746f636b20617072696c207370696465727a3808042234108032222a30786132426137394239353363433531613738314137363230633233653041443238616262373639633840b0a1c001";

    #[test]
    fn a_withdrawal_is_written_as_the_published_sample_is() {
        let field = |hex: &str| <[u8; 32]>::try_from(hex::decode(hex).unwrap()).unwrap();
        let movement = Movement {
            wallet: field("b3bc39c21df680e9925bcc6872b06d583545c62f3cca12c6353e8a1d5dbe83dc"),
            owner: field("c6e194bd4e2af25d200680555196df700577be01328719085d2bcd0f61efc57b"),
            trustee: field("9d57f713d4b3ae8881ef1609d3a2c74ad3936827464a3ade0ab03fe58a86abf2"),
            reference: field("d827677997c9a2ae5210d5ba25f1da6fdfb3fd70e2bcb79cd5f70dacba642711"),
            description: "stock april spider".into(),
            currency: 4,
            amount: 6400,
        };
        let written = movement.withdrawal("0xa2Ba79B953cC51a781A7620c23e0AD28abb769c8", 3_150_000);
        assert_eq!(hex::encode(written), SAMPLE);
    }
}
