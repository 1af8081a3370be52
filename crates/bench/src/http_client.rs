//! As little of an HTTP/1.1 client as reads pages over one connection that is kept: a thousand of
//! them are to cost less than the service that they ask.

use std::io::{Error, ErrorKind, Result};
use std::str;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection, and what was read of it and not used yet.
pub(crate) struct Connection<S> {
    stream: S,
    read: Vec<u8>,
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
        Self { stream, read: Vec::new() }
    }

    /// What is at `path`.
    ///
    /// # Errors
    /// When it is not answered with 200, or not in a form that is known here.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let end = self.until(b"\r\n\r\n").await?;
        let head: Vec<u8> = self.read.drain(..end).collect();
        match length(&head)? {
            Length::Bytes(count) => self.take(count).await,
            Length::Chunked => self.chunks().await,
        }
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = self.until(b"\r\n").await?;
            let size: Vec<u8> = self.read.drain(..end).collect();
            let size = str::from_utf8(&size)
                .ok()
                .and_then(|text| usize::from_str_radix(text.split(';').next()?.trim(), 16).ok());
            let size = size.ok_or_else(|| wrong("a chunk without a size"))?;
            // Behind each chunk, and behind the last one without trailers, the line ends.
            let chunk = self.take(size + 2).await?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// Reads until `mark` is there; the place behind it.
    async fn until(&mut self, mark: &[u8]) -> Result<usize> {
        let mut searched = 0;
        loop {
            if let Some(place) = memmem::find(&self.read[searched..], mark) {
                return Ok(searched + place + mark.len());
            }
            searched = self.read.len().saturating_sub(mark.len());
            self.more().await?;
        }
    }

    async fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.read.len() < count {
            self.more().await?;
        }
        Ok(self.read.drain(..count).collect())
    }

    async fn more(&mut self) -> Result<()> {
        // Room for a small answer, or it would be read in many pieces.
        self.read.reserve(4096);
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// What the head says of the body.
fn length(head: &[u8]) -> Result<Length> {
    let head = str::from_utf8(head).map_err(|_| wrong("a head that is not text"))?;
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(wrong(status));
    }
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            let count = value.trim().parse().map_err(|_| wrong(value))?;
            return Ok(Length::Bytes(count));
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
