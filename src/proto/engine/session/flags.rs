//! What a session has pending, a bit each: it keeps an idle session small and free of heap.

/// A set of bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags(u32);

impl Flags {
    // Control packets to hand out.
    pub(super) const OPEN: Self = Self(1);
    pub(super) const PING: Self = Self(1 << 1);
    pub(super) const PONG: Self = Self(1 << 2);
    pub(super) const PROBE: Self = Self(1 << 3);
    pub(super) const PROBE_PONG: Self = Self(1 << 4);
    pub(super) const UPGRADE: Self = Self(1 << 5);
    pub(super) const NOOP: Self = Self(1 << 6);
    pub(super) const CLOSE_POLLING: Self = Self(1 << 7);
    pub(super) const CLOSE_WEBSOCKET: Self = Self(1 << 8);
    // Events to hand out.
    pub(super) const PROBE_WANTED: Self = Self(1 << 9);
    pub(super) const PROBE_OPENED: Self = Self(1 << 10);
    pub(super) const UPGRADED: Self = Self(1 << 11);
    pub(super) const PROBE_FAILED: Self = Self(1 << 12);
    pub(super) const CLOSED: Self = Self(1 << 13);
    /// Everything above: what the polls hand out.
    pub(super) const NEWS: Self = Self((1 << 14) - 1);
    // Requests under way.
    pub(super) const GET: Self = Self(1 << 14);
    pub(super) const POST: Self = Self(1 << 15);
    /// The peer closed the session by a packet.
    pub(super) const GOODBYE: Self = Self(1 << 16);

    pub(super) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    pub(super) fn set(&mut self, flag: Self) {
        self.0 |= flag.0;
    }

    pub(super) fn clear(&mut self, flag: Self) {
        self.0 &= !flag.0;
    }

    /// Whether `flag` was set; it is not any more.
    pub(super) fn take(&mut self, flag: Self) -> bool {
        let had = self.has(flag);
        self.clear(flag);
        had
    }
}
