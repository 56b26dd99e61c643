use thiserror::Error;

/// The generator gave no bytes; the caller must stop, never go on with less.
#[derive(Debug, Error)]
#[error("the random generator of the FIPS module failed")]
pub struct RngError;

/// A source of random bytes, handed in so that tests can repeat themselves.
pub trait Rng: Send {
    /// Fills `buf` completely or fails.
    fn fill(&mut self, buf: &mut [u8]) -> Result<(), RngError>;
}

/// The approved generator of the FIPS module (SP 800-90A).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&mut self, buf: &mut [u8]) -> Result<(), RngError> {
        aws_lc_rs::rand::fill(buf).map_err(|_| RngError)
    }
}

/// `N` random bytes.
pub fn random_array<const N: usize>(rng: &mut dyn Rng) -> Result<[u8; N], RngError> {
    let mut bytes = [0; N];
    rng.fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let first: [u8; 32] = random_array(&mut SystemRng).unwrap();
        let second: [u8; 32] = random_array(&mut SystemRng).unwrap();
        assert_ne!(first, second);
    }
}
