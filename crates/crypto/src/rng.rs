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

/// Random bytes drawn at once and handed out in turn: a draw has a price, whatever its size. For
/// names of things, not for secrets, since bytes to come lie in memory.
#[derive(Debug, Default)]
pub struct Drawn {
    bytes: Vec<u8>,
    used: usize,
}

impl Drawn {
    /// Draws `count` bytes from `rng`; what is left of earlier ones is forgotten.
    pub fn refill(&mut self, rng: &mut dyn Rng, count: usize) -> Result<(), RngError> {
        self.bytes.resize(count, 0);
        self.used = count;
        rng.fill(&mut self.bytes)?;
        self.used = 0;
        Ok(())
    }

    /// How many are left.
    pub const fn left(&self) -> usize {
        self.bytes.len() - self.used
    }
}

impl Rng for Drawn {
    /// Fails where fewer are left.
    fn fill(&mut self, buf: &mut [u8]) -> Result<(), RngError> {
        let taken = self.bytes.get(self.used..self.used + buf.len()).ok_or(RngError)?;
        buf.copy_from_slice(taken);
        self.used += buf.len();
        Ok(())
    }
}

/// Reads `N` random bytes from `rng`; an error if `rng` can't deliver them.
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

    #[test]
    fn drawn_bytes_are_handed_out_once() {
        let mut drawn = Drawn::default();
        assert!(random_array::<1>(&mut drawn).is_err());
        drawn.refill(&mut SystemRng, 40).unwrap();
        let (first, second) =
            (random_array::<16>(&mut drawn).unwrap(), random_array::<16>(&mut drawn).unwrap());
        assert_ne!(first, second);
        assert_eq!(drawn.left(), 8);
        assert!(random_array::<9>(&mut drawn).is_err());
        assert!(random_array::<8>(&mut drawn).is_ok());
    }
}
