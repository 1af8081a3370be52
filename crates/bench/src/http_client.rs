//! As little of an HTTP/1.1 client as reads pages over one connection that is kept: a thousand of
//! them are to cost less than the service that they ask.

use std::io::{Error, ErrorKind, Result, Write as _};
use std::str;

use httparse::{EMPTY_HEADER, Header, Response};
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection. What it sends and reads stays in the same memory from one answer to the next.
pub(crate) struct Connection<S> {
    stream: S,
    request: Vec<u8>,
    /// What was read, and not used yet but for the answer that was given out last.
    read: Vec<u8>,
    /// How much of it that answer takes.
    used: usize,
    /// The body of an answer that came in chunks.
    body: Vec<u8>,
}

/// How long a body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    Bytes(usize),
    Chunked,
}

impl Connection<TcpStream> {
    /// To `address`; what is written is sent at once.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::new(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Over a stream that nothing was sent on yet.
    pub(crate) fn new(stream: S) -> Self {
        // Room for a small answer, or it would be read in many pieces.
        let read = Vec::with_capacity(4096);
        Self { stream, request: Vec::new(), read, used: 0, body: Vec::new() }
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// When it is not answered with 200, or not in a form that is known here.
    pub(crate) async fn get(&mut self, path: &str) -> Result<&[u8]> {
        self.read.drain(..self.used);
        self.used = 0;
        self.request.clear();
        write!(self.request, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        self.stream.write_all(&self.request).await?;
        let end = self.until(b"\r\n\r\n").await?;
        let length = length(&self.read[..end])?;
        self.used = end;
        match length {
            Length::Bytes(count) => self.take(count).await,
            Length::Chunked => self.chunks().await,
        }
    }

    async fn chunks(&mut self) -> Result<&[u8]> {
        self.body.clear();
        loop {
            let (begin, end) = (self.used, self.until(b"\r\n").await?);
            let size = str::from_utf8(&self.read[begin..end])
                .ok()
                .and_then(|text| usize::from_str_radix(text.split(';').next()?.trim(), 16).ok());
            let size = size.ok_or_else(|| wrong("a chunk without a size"))?;
            self.used = end;
            // Behind each chunk, and behind the last one without trailers, the line ends.
            self.take(size + 2).await?;
            if size == 0 {
                return Ok(&self.body);
            }
            self.body.extend_from_slice(&self.read[end..end + size]);
        }
    }

    /// Reads until `mark` is there; the place behind it.
    async fn until(&mut self, mark: &[u8]) -> Result<usize> {
        let mut searched = self.used;
        loop {
            if let Some(place) = memmem::find(&self.read[searched..], mark) {
                return Ok(searched + place + mark.len());
            }
            searched = self.read.len().saturating_sub(mark.len()).max(self.used);
            self.more().await?;
        }
    }

    /// The next so many bytes.
    async fn take(&mut self, count: usize) -> Result<&[u8]> {
        let begin = self.used;
        self.used += count;
        while self.read.len() < self.used {
            self.more().await?;
        }
        Ok(&self.read[begin..self.used])
    }

    async fn more(&mut self) -> Result<()> {
        self.read.reserve(1024);
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// What the head says of the body.
fn length(head: &[u8]) -> Result<Length> {
    let mut fields = [EMPTY_HEADER; 32];
    let mut response = Response::new(&mut fields);
    response.parse(head).map_err(|error| wrong(&error.to_string()))?;
    let Response { code, headers, .. } = response;
    if code != Some(200) {
        return Err(wrong(&code.map_or("nothing".into(), |code| code.to_string())));
    }
    for Header { name, value } in headers {
        if name.eq_ignore_ascii_case("content-length") {
            let count = str::from_utf8(value).ok().and_then(|value| value.trim().parse().ok());
            return count.map(Length::Bytes).ok_or_else(|| wrong("a length that is no number"));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Length::Chunked);
        }
    }
    Err(wrong("a body without a length"))
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("answered with {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_one_answer_after_the_other() {
        let (client, mut server) = tokio::io::duplex(40);
        let answers = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello\
            HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwiki\r\n5;x=y\r\npedia\r\n0\r\n\r\n\
            HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 503 Away\r\n\r\n";
        tokio::spawn(async move {
            let (mut requests, mut out) = tokio::io::split(&mut server);
            let mut sink = tokio::io::sink();
            let _ = tokio::join!(
                out.write_all(answers.as_bytes()),
                tokio::io::copy(&mut requests, &mut sink)
            );
        });
        let mut connection = Connection::new(client);
        assert_eq!(connection.get("/1").await.unwrap(), b"hello");
        assert_eq!(connection.get("/2").await.unwrap(), b"wikipedia");
        assert_eq!(connection.get("/3").await.unwrap(), b"");
        let refused = connection.get("/4").await.unwrap_err();
        assert!(refused.to_string().contains("503"), "{refused}");
    }
}
