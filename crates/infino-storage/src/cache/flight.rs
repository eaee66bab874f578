//! Single flight: of several who miss a block at once, one reads it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::sieve::Key;

/// Blocks that are being read.
#[derive(Debug, Default)]
pub(super) struct Flights {
    open: Mutex<HashMap<Key, watch::Receiver<Option<Bytes>>>>,
}

/// Who reads a block.
pub(super) enum Seat<'a> {
    /// The caller does, and tells the others.
    Pilot(Pilot<'a>),
    /// Somebody else does.
    Passenger(watch::Receiver<Option<Bytes>>),
}

/// The duty to read a block. Dropping it lets those who wait look for themselves.
pub(super) struct Pilot<'a> {
    flights: &'a Flights,
    key: Key,
    sender: watch::Sender<Option<Bytes>>,
}

impl Flights {
    pub(super) fn board(&self, key: Key) -> Seat<'_> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = open.get(&key) {
            return Seat::Passenger(receiver.clone());
        }
        let (sender, receiver) = watch::channel(None);
        open.insert(key, receiver);
        Seat::Pilot(Pilot { flights: self, key, sender })
    }
}

impl Pilot<'_> {
    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// Hands the block to those who wait for it.
    pub(super) fn land(self, block: Bytes) {
        self.sender.send_replace(Some(block));
    }
}

impl Drop for Pilot<'_> {
    fn drop(&mut self) {
        self.flights.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// The block, when it has landed; `None` if whoever read it gave up.
pub(super) async fn landed(mut flight: watch::Receiver<Option<Bytes>>) -> Option<Bytes> {
    flight.wait_for(Option::is_some).await.ok()?.clone()
}
