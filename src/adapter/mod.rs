//! Who gets a packet: rooms and targets. No I/O.
