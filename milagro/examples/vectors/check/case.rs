use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// One case. A valid one has every field; an invalid one has what it takes to be refused.
pub struct Case<'a> {
    pub fields: &'a Map<String, Value>,
    pub complete: bool,
}

pub enum Fault {
    /// The case says nothing that could be checked: it failed, whatever its list.
    Malformed(String),
    /// What a recipient would refuse.
    Refused(String),
}

impl From<milagro::Error> for Fault {
    fn from(error: milagro::Error) -> Self {
        Fault::Refused(error.to_string())
    }
}

pub fn refused<T>(result: Result<T, impl Display>, what: &str) -> Result<T, Fault> {
    result.map_err(|error| Fault::Refused(format!("{what}: {error}")))
}

pub fn same<T: AsRef<[u8]> + ?Sized>(computed: &T, expected: impl AsRef<[u8]>, what: &str) -> Result<(), Fault> {
    if computed.as_ref() == expected.as_ref() {
        Ok(())
    } else {
        Err(Fault::Refused(format!("{what} differs from the one computed")))
    }
}

impl<'a> Case<'a> {
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    fn field<T>(&self, name: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>, Fault> {
        match self.fields.get(name) {
            None if self.complete => Err(Fault::Malformed(format!("no field {name}"))),
            None => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(Fault::Malformed(format!("field {name} has the wrong type"))),
            },
        }
    }

    pub fn text(&self, name: &str) -> Result<Option<&'a str>, Fault> {
        self.field(name, Value::as_str)
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let number = self.field(name, |value| value.is_number().then_some(value))?;
        let whole = number.map(|value| value.as_u64().ok_or_else(|| format!("{value} is no whole number from 0 up")));
        whole.transpose().map_err(Fault::Refused)
    }

    pub fn hex(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.text(name)?.map(|text| refused(hex::decode(text), name)).transpose()
    }

    pub fn base64(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.text(name)?.map(|text| refused(STANDARD.decode(text), name)).transpose()
    }

    pub fn hex_list(&self, name: &str) -> Result<Option<Vec<Vec<u8>>>, Fault> {
        let Some(list) = self.field(name, Value::as_array)? else { return Ok(None) };
        let one = |value: &Value| match value.as_str() {
            Some(text) => refused(hex::decode(text), name),
            None => Err(Fault::Malformed(format!("{name} is not a list of strings"))),
        };
        list.iter().map(one).collect::<Result<_, _>>().map(Some)
    }

    pub fn nested(&self, name: &str) -> Result<Option<Case<'a>>, Fault> {
        let fields = self.field(name, Value::as_object)?;
        Ok(fields.map(|fields| Case { fields, complete: self.complete }))
    }
}
