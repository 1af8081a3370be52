//! As little of an HTTP/1.1 client as reads pages over connections that are kept: a thousand of
//! them are to cost less than the service that they ask.

use std::fmt::Arguments;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::str;

use httparse::{EMPTY_HEADER, Response, Status};

/// Where requests are written and answers read, for all connections of a thread: memory for each of them
/// would be found in no cache when its turn comes.
pub(crate) struct Scratch {
    request: Vec<u8>,
    /// All of it is room.
    answer: Vec<u8>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { request: Vec::new(), answer: vec![0; 4096] }
    }
}

/// Connects to `address`; what is written is sent at once.
///
/// # Errors
/// When nobody listens there.
pub(crate) fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection, which asks one thing after the other.
pub(crate) struct Connection<S> {
    stream: S,
    /// What has come of an answer that is not whole yet.
    begun: Vec<u8>,
}

impl<S: Read + Write> Connection<S> {
    /// Over a stream that nothing was sent on yet, and that sends at once what is written.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, begun: Vec::new() }
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Asks for what is at `path`.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub(crate) fn ask(&mut self, path: Arguments<'_>, scratch: &mut Scratch) -> Result<()> {
        let request = &mut scratch.request;
        request.clear();
        write!(request, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        // There is always room for it: all that was sent before has been answered.
        self.stream.write_all(request)
    }

    /// The answer's body; `None` when the stream does not wait and has not brought all of it yet.
    ///
    /// # Errors
    /// When it is not answered with 200, or not in a form that is known here.
    pub(crate) fn answer<'s>(&mut self, scratch: &'s mut Scratch) -> Result<Option<&'s [u8]>> {
        let answer = &mut scratch.answer;
        let mut read = self.begun.len();
        answer[..read].copy_from_slice(&self.begun);
        loop {
            match self.stream.read(&mut answer[read..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.begun.extend_from_slice(&answer[self.begun.len()..read]);
                    return Ok(None);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if let Some(body) = body(&answer[..read])? {
                self.begun.clear();
                return Ok(Some(&answer[body]));
            }
            if read == answer.len() {
                answer.resize(read * 2, 0);
            }
        }
    }
}

/// Where the body is in an answer; `None` when that is not whole yet.
fn body(answer: &[u8]) -> Result<Option<Range<usize>>> {
    let mut fields = [EMPTY_HEADER; 32];
    let mut response = Response::new(&mut fields);
    let Status::Complete(begin) =
        response.parse(answer).map_err(|error| wrong(&error.to_string()))?
    else {
        return Ok(None);
    };
    let Response { code, headers, .. } = response;
    if code != Some(200) {
        return Err(wrong(&code.map_or("nothing".into(), |code| code.to_string())));
    }
    let length = headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.ok_or_else(|| wrong("a body without a length"))?;
    let length: Option<usize> =
        str::from_utf8(length.value).ok().and_then(|text| text.trim().parse().ok());
    let end = begin + length.ok_or_else(|| wrong("a length that is no number"))?;
    Ok((answer.len() >= end).then_some(begin..end))
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("answered with {what}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Result, Write};

    use super::{Connection, ErrorKind, Scratch};

    /// Brings few bytes at a time, and between them says each time that there is nothing yet.
    struct Slow {
        answers: Cursor<Vec<u8>>,
        is_there: bool,
    }

    impl Read for Slow {
        fn read(&mut self, room: &mut [u8]) -> Result<usize> {
            self.is_there = !self.is_there;
            if !self.is_there {
                return Err(ErrorKind::WouldBlock.into());
            }
            let few = room.len().min(7);
            self.answers.read(&mut room[..few])
        }
    }

    impl Write for Slow {
        fn write(&mut self, request: &[u8]) -> Result<usize> {
            Ok(request.len())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn connection(answers: &str) -> Connection<Slow> {
        Connection::new(Slow { answers: Cursor::new(answers.into()), is_there: false })
    }

    fn get(connection: &mut Connection<Slow>) -> Result<String> {
        let mut scratch = Scratch::new();
        connection.ask(format_args!("/"), &mut scratch).unwrap();
        loop {
            if let Some(body) = connection.answer(&mut scratch)? {
                return Ok(String::from_utf8_lossy(body).into_owned());
            }
            // As it is when another connection has had its turn.
            scratch.answer.fill(0);
        }
    }

    #[test]
    fn what_comes_in_pieces_is_put_together() {
        let long = "x".repeat(9000);
        let mut connection =
            connection(&format!("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\nx: y\r\n\r\n{long}"));
        assert_eq!(get(&mut connection).unwrap(), long);
        let gone = get(&mut connection).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (answer, why) in [
            ("HTTP/1.1 503 Away\r\n\r\n", "503"),
            ("HTTP/1.1 200 OK\r\n\r\n", "without a length"),
            ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "no number"),
        ] {
            let refused = get(&mut connection(answer)).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
        }
    }
}
