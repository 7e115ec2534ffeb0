//! Memory for something of known size, taken only as its bytes arrive: an announced length costs nothing.

/// Appends bytes; the capacity doubles as it must, but not past `total`.
pub(crate) fn extend(buffer: &mut Vec<u8>, bytes: &[u8], total: usize) {
    let wanted = buffer.len() + bytes.len();
    if wanted > buffer.capacity() {
        let doubled = buffer.capacity().saturating_mul(2).min(total);
        buffer.reserve_exact(doubled.max(wanted) - buffer.len());
    }
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_follows_the_bytes_up_to_the_total() {
        let mut buffer = Vec::new();
        for received in 1..=1000 {
            extend(&mut buffer, &[7], 1000);
            assert!(buffer.capacity() <= (2 * received).min(1000), "{} at {received}", buffer.capacity());
        }
        extend(&mut buffer, &[7; 500], 1000);
        assert_eq!((buffer.len(), buffer.capacity()), (1500, 1500));
    }
}
