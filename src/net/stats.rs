//! What the reactor counts. Plain numbers: only its thread writes them.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters since the start.
        #[derive(Debug, Default, Clone)]
        pub struct Stats { $($(#[$doc])* pub $name: u64,)* }

        impl Stats {
            /// Each counter with its name.
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Connections accepted by our listeners.
    connections_accepted,
    /// Connections that other servers accepted and gave to us.
    connections_adopted,
    /// Engine.IO sessions opened.
    sessions_opened,
    /// Engine.IO sessions that ended.
    sessions_closed,
    /// Sessions that went from polling to websocket.
    upgrades,
    /// Events and acknowledgements received.
    packets_in,
    /// Packets put into outboxes.
    packets_out,
    /// Bytes read from sockets of ours.
    bytes_in,
    /// Bytes the kernel took from us.
    bytes_out,
    /// Writes to sockets of ours.
    writes,
    /// Volatile packets dropped because the transport was not ready.
    volatile_dropped,
    /// Packets for sockets that were gone.
    late_dropped,
    /// Packets dropped by the policy of an outbox that was over its limit.
    policy_dropped,
    /// Events that a newer one of their subject replaced before they left.
    conflated,
    /// Packets that waited in the outboxes of sessions that ended.
    unsent,
    /// Times that an outbox came to its high-water mark.
    high_water_reached,
    /// Sessions closed because their outbox was over its limit.
    outbox_overflows,
    /// Sessions closed for a breach of the protocol.
    protocol_errors,
    /// Requests refused with an error of the handshake.
    requests_refused,
    /// Events whose arguments did not fit the handler.
    bad_payloads,
}
