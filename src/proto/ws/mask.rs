//! The masking of client frames (RFC 6455, 5.3).

/// XORs `data` with the mask; `offset` is how many bytes of the frame's payload came before `data`.
///
/// Masking and unmasking are the same.
pub fn apply(mask: [u8; 4], offset: usize, data: &mut [u8]) {
    let mut mask = mask;
    mask.rotate_left(offset % 4);
    let word = u32::from_ne_bytes(mask);
    let wide = u64::from(word) << 32 | u64::from(word);
    // Eight bytes at a time; the compiler widens this loop to vector registers.
    let (words, tail) = data.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(wide.to_ne_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(mask: [u8; 4], offset: usize, data: &mut [u8]) {
        for (index, byte) in data.iter_mut().enumerate() {
            *byte ^= mask[(index + offset) % 4];
        }
    }

    #[test]
    fn every_length_and_offset_agrees_with_the_definition() {
        let mask = [0x12, 0x34, 0xab, 0xff];
        for length in 0..70_u8 {
            for offset in 0..9 {
                let mut fast: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37)).collect();
                let mut slow = fast.clone();
                apply(mask, offset, &mut fast);
                naive(mask, offset, &mut slow);
                assert_eq!(fast, slow, "length {length}, offset {offset}");
            }
        }
    }

    #[test]
    fn masking_twice_gives_the_data_back() {
        let mut data = *b"the quick brown fox";
        apply([1, 2, 3, 4], 0, &mut data);
        apply([1, 2, 3, 4], 0, &mut data);
        assert_eq!(&data, b"the quick brown fox");
    }
}
