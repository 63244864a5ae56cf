//! An open file handed from one process to another, with a few bytes.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::{io::Interest, net::UnixStream};

/// Hands `file` to the other end.
pub(super) async fn send(stream: &UnixStream, bytes: &[u8], file: impl AsFd) -> io::Result<()> {
    let files = [file.as_fd()];
    let send = || {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut room);
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
        let bytes = [IoSlice::new(bytes)];
        Ok(sendmsg(
            stream,
            &bytes,
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?)
    };
    let sent = stream.async_io(Interest::WRITABLE, send).await?;
    whole(sent, bytes.len())
}

/// Takes what the other end hands over, with as many bytes as it has.
pub(super) async fn receive(stream: &UnixStream, bytes: &mut [u8]) -> io::Result<OwnedFd> {
    let expected = bytes.len();
    let receive = || {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut room);
        let mut bytes = [IoSliceMut::new(bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(stream, &mut bytes, &mut ancillary, flags)?.bytes;
        let files = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        Ok((received, files))
    };
    let (received, file) = stream.async_io(Interest::READABLE, receive).await?;
    whole(received, expected)?;
    file.ok_or_else(|| io::Error::other("no file came with it"))
}

fn whole(count: usize, expected: usize) -> io::Result<()> {
    match count == expected {
        true => Ok(()),
        false => Err(io::Error::other(format!("{count} of {expected} bytes"))),
    }
}
