//! Chance that replays: a number that depends on nothing but its arguments.

/// A number in 0..1 (splitmix64), so that a seed replays a run.
#[expect(clippy::cast_precision_loss, reason = "53 random bits are what an f64 can hold")]
pub fn draw(seed: u64, stream: u64, count: u64) -> f64 {
    let mut bits = seed
        .wrapping_add(stream.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(count.wrapping_mul(0xD1B5_4A32_D192_ED03));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
