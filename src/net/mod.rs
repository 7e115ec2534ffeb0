//! Sockets, timers, the reactor and the hub.
