//! A hash for names of files.

/// Returns a hash that is the same in every build and process, for names of files. It is FNV-1a, which is not safe against chosen
/// input.
///
/// ```
/// assert_eq!(microagent_core::driver::stable_hash(b"a".iter()), 0xaf63_dc4c_8601_ec8c);
/// ```
pub fn stable_hash<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u64 {
    let begin = 0xcbf2_9ce4_8422_2325;
    bytes.into_iter().fold(begin, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
