//! A frame: u32 length, little-endian, capped before anything is allocated; then postcard of the request id and its ask or answer.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

use crate::{Answer, Ask};

/// The longest frame, octets without the length: a reply of [`crate::MAX_REPLY`] and what is around it.
pub const MAX_FRAME: usize = crate::MAX_REPLY + (64 << 10);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a frame of {0} octets; at most {MAX_FRAME} are taken")]
    TooLong(usize),
    #[error("a frame that is no ask or answer of this version")]
    Malformed,
    #[error("the lane: {0}")]
    Io(#[from] std::io::Error),
}

/// An ask or an answer, and the id that matches them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Framed<T> {
    pub id: u64,
    pub what: T,
}

/// The frame's octets, length first. They are wiped on drop, for registrations pass here.
pub fn encode<T: Serialize>(id: u64, what: &T) -> Result<Zeroizing<Vec<u8>>, Error> {
    // Its length first, for a vector that grows would leave unwiped copies behind.
    let length = postcard::experimental::serialized_size(&(id, what)).map_err(|_| Error::Malformed)?;
    if length > MAX_FRAME {
        return Err(Error::TooLong(length));
    }
    let mut frame = Zeroizing::new(vec![0; 4 + length]);
    let (head, body) = frame.split_at_mut(4);
    head.copy_from_slice(&(length as u32).to_le_bytes());
    postcard::to_slice(&(id, what), body).map_err(|_| Error::Malformed)?;
    Ok(frame)
}

/// Reads a frame's body. Octets that are left over make it malformed.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<Framed<T>, Error> {
    match postcard::take_from_bytes(body) {
        Ok((framed, [])) => Ok(framed),
        _ => Err(Error::Malformed),
    }
}

/// The length that a frame's first four octets announce, where it is allowed.
pub(crate) fn length(head: [u8; 4]) -> Result<usize, Error> {
    let length = u32::from_le_bytes(head) as usize;
    if length > MAX_FRAME { Err(Error::TooLong(length)) } else { Ok(length) }
}

/// Reads one frame; `None` where the stream ended between two.
pub fn read_frame<T: DeserializeOwned>(stream: &mut impl Read) -> Result<Option<Framed<T>>, Error> {
    let mut head = [0; 4];
    match stream.read(&mut head[..1])? {
        0 => return Ok(None),
        _ => stream.read_exact(&mut head[1..])?,
    }
    let mut body = Zeroizing::new(vec![0; length(head)?]);
    stream.read_exact(&mut body)?;
    decode(&body).map(Some)
}

pub fn write_frame<T: Serialize>(stream: &mut impl Write, id: u64, what: &T) -> Result<(), Error> {
    Ok(stream.write_all(&encode(id, what)?)?)
}

/// One ask on a lane of its own: what the operator's command does.
pub fn ask_once(lane: &Path, ask: &Ask, patience: Duration) -> Result<Answer, Error> {
    let mut stream = UnixStream::connect(lane)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    write_frame(&mut stream, 1, ask)?;
    let ended = || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the vault ended the connection");
    let answer: Framed<Answer> = read_frame(&mut stream)?.ok_or_else(ended)?;
    Ok(answer.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let frame = encode(7, &Ask::Status).unwrap();
        let read: Framed<Ask> = read_frame(&mut &frame[..]).unwrap().unwrap();
        assert_eq!(read, Framed { id: 7, what: Ask::Status });
    }

    #[test]
    fn an_oversized_frame_is_refused_before_it_is_allocated() {
        let head = u32::MAX.to_le_bytes();
        assert!(matches!(read_frame::<Ask>(&mut &head[..]), Err(Error::TooLong(_))));
        let ask = Ask::FeedMessage("x".repeat(MAX_FRAME + 1));
        assert!(matches!(encode(1, &ask), Err(Error::TooLong(_))));
    }

    #[test]
    fn octets_left_over_unknown_asks_and_torn_frames_are_refused() {
        let mut frame = encode(7, &Ask::Status).unwrap().to_vec();
        frame.push(0);
        frame[0] += 1;
        assert!(matches!(read_frame::<Ask>(&mut &frame[..]), Err(Error::Malformed)));
        assert!(matches!(decode::<Ask>(&[1, 200, 1]), Err(Error::Malformed)));
        let torn = encode(7, &Ask::Tokens).unwrap();
        assert!(matches!(read_frame::<Ask>(&mut &torn[..5]), Err(Error::Io(_))));
        assert!(read_frame::<Ask>(&mut &[][..]).unwrap().is_none());
    }
}
