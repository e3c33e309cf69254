//! Where the datagrams of clients arrive: one buffer for each thread, so that an association holds none while it waits.

use std::cell::RefCell;

use super::MAX_DATAGRAM;

thread_local! {
    static ARRIVED: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_DATAGRAM].into());
}

/// Lets `receive` use the buffer of this thread, which has room for the largest datagram.
pub(crate) fn with_arrival_buffer<T>(receive: impl FnOnce(&mut [u8]) -> T) -> T {
    ARRIVED.with_borrow_mut(|bytes| receive(bytes))
}
