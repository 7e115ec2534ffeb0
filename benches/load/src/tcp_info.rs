//! `TCP_INFO` of a socket: how many segments with data it has received. The one place with unsafe code.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd};

/// The segments with data that a socket has received.
///
/// On loopback the write of a server is one segment up to 64 KiB, if nothing waited in its socket.
pub(crate) fn data_segments_in(socket: &impl AsFd) -> io::Result<u32> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let Ok(mut length) = libc::socklen_t::try_from(size_of::<libc::tcp_info>()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // SAFETY: the descriptor is borrowed for the call; `info` is valid for writes of `length` bytes, and the
    // kernel writes no more than that; `length` is a live socklen_t.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `tcp_info` is integers only, for which the zeroes that an older kernel leaves are values too.
    Ok(unsafe { info.assume_init() }.tcpi_data_segs_in)
}
