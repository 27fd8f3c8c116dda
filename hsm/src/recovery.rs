//! What is sealed without a limit, and what opens it where the token is lost: an age X25519 identity (C2SP age specification, v1).

use std::io::{self, Read, Write};

use age::{DecryptError, Decryptor, Encryptor, Identity};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::seal::{MAX_SEALED, parse, refusal};

/// What is written to it is sealed to the recipients; whole once [`Sealing::finish`] was called, and not before.
pub struct Sealing<W: Write>(age::stream::StreamWriter<W>);

impl<W: Write> Sealing<W> {
    /// # Errors
    /// As [`crate::seal::seal`]; and where nothing can be written to `out`.
    pub fn new(out: W, recipients: &[String]) -> Result<Self, Error> {
        if recipients.is_empty() {
            return Err(Error::NoRecipients);
        }
        let recipients = recipients.iter().map(|text| parse(text)).collect::<Result<Vec<_>, _>>()?;
        let sealing = Encryptor::with_recipients(recipients.iter().map(AsRef::as_ref));
        let sealing = sealing.map_err(|e| Error::Seal(e.to_string()))?;
        Ok(Self(sealing.wrap_output(out).map_err(|e| Error::Seal(e.to_string()))?))
    }

    /// # Errors
    /// What `out` says.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The keys of a recovery recipient, as `age-keygen` writes them.
pub struct Recovery(Vec<age::x25519::Identity>);

impl Recovery {
    /// Lines with `AGE-SECRET-KEY-1…`; what begins with `#` is a comment.
    ///
    /// # Errors
    /// [`Error::Identity`] where there is none, or a line is something else; nothing of it is repeated.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Result<Vec<age::x25519::Identity>, _> = lines.map(str::parse).collect();
        match keys {
            Ok(keys) if !keys.is_empty() => Ok(Self(keys)),
            _ => Err(Error::Identity),
        }
    }

    /// Reads what was sealed to one of these keys. Where it was changed or cut off, reading fails; until it has come to its end
    /// nobody knows.
    ///
    /// # Errors
    /// [`Error::NotARecipient`], [`Error::Tampered`] or [`Error::NotAgeFile`].
    pub fn reader<R: Read>(&self, sealed: R) -> Result<impl Read + use<R>, Error> {
        let decryptor = Decryptor::new(sealed).map_err(|e| refusal(&e))?;
        decryptor.decrypt(self.0.iter().map(|key| key as &dyn Identity)).map_err(|e| match e {
            DecryptError::NoMatchingKeys => Error::NotARecipient,
            other => refusal(&other),
        })
    }

    /// Opens a file of at most [`MAX_SEALED`] bytes.
    ///
    /// # Errors
    /// As [`Recovery::reader`].
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        if sealed.len() > MAX_SEALED {
            return Err(Error::SealedTooLong { limit: MAX_SEALED });
        }
        // The plaintext is shorter than the file, so that the buffer never moves and leaves a copy.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(sealed.len()));
        self.reader(sealed)?.read_to_end(&mut plaintext).map_err(|_| Error::Tampered)?;
        Ok(plaintext)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use age::secrecy::ExposeSecret as _;

    fn pair() -> (Recovery, String) {
        let key = age::x25519::Identity::generate();
        let text = format!("# created: now\n\n{}\n", key.to_string().expose_secret());
        (Recovery::parse(&text).unwrap(), key.to_public().to_string())
    }

    fn sealed(recipients: &[String], plain: &[u8]) -> Vec<u8> {
        let mut sealing = Sealing::new(Vec::new(), recipients).unwrap();
        sealing.write_all(plain).unwrap();
        sealing.finish().unwrap()
    }

    #[test]
    fn each_recipient_reads_all_of_it_and_nobody_else_anything() {
        let ((one, first), (other, second), (stranger, _)) = (pair(), pair(), pair());
        let plain = vec![7; 300_000];
        let sealed = sealed(&[first, second], &plain);
        for key in [one, other] {
            let mut read = Vec::new();
            key.reader(&sealed[..]).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == plain);
        }
        assert!(matches!(stranger.reader(&sealed[..]).err(), Some(Error::NotARecipient)));
    }

    #[test]
    fn what_is_cut_off_or_changed_anywhere_does_not_read_to_its_end() {
        let (key, recipient) = pair();
        let whole = sealed(&[recipient], &vec![7; 70_000]);
        let reads =
            |octets: &[u8]| key.reader(octets).is_ok_and(|mut reader| reader.read_to_end(&mut Vec::new()).is_ok());
        assert!(reads(&whole));
        for end in (0..whole.len()).step_by(997).chain([whole.len() - 1]) {
            assert!(!reads(&whole[..end]), "{end}");
            let mut changed = whole.clone();
            changed[end] ^= 1;
            assert!(!reads(&changed), "{end}");
        }
    }

    #[test]
    fn what_is_no_identity_is_not_repeated() {
        for text in ["", "# only this\n", "AGE-SECRET-KEY-1QQQ", "age1qqq", "AGE-PLUGIN-YUBIKEY-1QQQ"] {
            let words = Recovery::parse(text).err().unwrap().to_string();
            assert!(!words.contains("QQQ") && !words.contains("qqq"), "{words}");
        }
    }
}
