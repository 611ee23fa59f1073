//! A time limit for writes: hyper has none, and a peer that reads nothing would keep its connection, and its answer in memory,
//! for ever.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// A socket that fails once nothing could be written to it for `timeout`.
pub(super) struct WriteTimeout {
    socket: TcpStream,
    timeout: Duration,
    /// Set while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
}

impl WriteTimeout {
    pub(super) fn new(socket: TcpStream, timeout: Duration) -> Self {
        WriteTimeout { socket, timeout, timer: None }
    }

    /// Each write that succeeds, in part too, starts the timeout again.
    fn judge(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.timer = None;
            return written;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.timeout)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for WriteTimeout {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for WriteTimeout {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Writes `most` bytes to a peer that reads whenever a write has to wait; returns how that ends.
    async fn written(
        timeout: Duration,
        most: usize,
        mut reads: impl FnMut(&mut std::net::TcpStream),
    ) -> io::Result<()> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut socket = WriteTimeout::new(listener.accept().await.unwrap().0, timeout);
        let mut left = most;
        std::future::poll_fn(|cx| {
            while left > 0 {
                let chunk = [0; 4096];
                match Pin::new(&mut socket).poll_write(cx, &chunk[..left.min(4096)]) {
                    Poll::Ready(Ok(n)) => left -= n,
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => {
                        reads(&mut peer);
                        return Poll::Pending;
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    #[test]
    fn a_peer_that_does_not_read_is_given_up_and_a_slow_one_is_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let moment = Duration::from_millis(20);
        let most = 64 << 20;
        let ended = async { tokio::time::timeout(Duration::from_secs(60), written(moment, most, |_| {})).await };
        assert_eq!(runtime.block_on(ended).expect("it ends").unwrap_err().kind(), io::ErrorKind::TimedOut);
        let mut some = vec![0; 64 << 10];
        let ended = runtime.block_on(written(Duration::from_secs(60), most, |peer| {
            peer.set_nonblocking(true).unwrap();
            while peer.read(&mut some).is_ok() {}
        }));
        assert!(ended.is_ok(), "{ended:?}");
    }
}
