//! Whether two sets of times differ: Mann-Whitney's U and Cliff's delta.

/// How two samples differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Comparison {
    /// Pairs in which the value of the first sample is the greater one; a tie counts one half.
    pub(crate) u: f64,
    /// Two-sided probability of a U at least as far from the middle, were both samples of one kind
    /// (normal approximation, corrected for ties and continuity).
    pub(crate) p: f64,
    /// Cliff's delta: P(first > second) - P(first < second), from -1 to 1; 0 where neither is slower.
    pub(crate) delta: f64,
}

/// Compares two samples by ranks (Mann and Whitney 1947); the unit does not matter. `None` when one
/// of them is empty.
pub(crate) fn compare(first: &[u64], second: &[u64]) -> Option<Comparison> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let mut all: Vec<(u64, bool)> = first
        .iter()
        .map(|value| (*value, true))
        .chain(second.iter().map(|value| (*value, false)))
        .collect();
    all.sort_unstable();
    let mut rank_sum = 0.0;
    let mut ties = 0.0;
    let mut below = 0.0;
    for equal in all.chunk_by(|left, right| left.0 == right.0) {
        let size = float(equal.len() as u64);
        // All that are equal share the mean of the ranks they take up.
        let rank = below + f64::midpoint(size, 1.0);
        rank_sum += rank * float(equal.iter().filter(|(_, is_first)| *is_first).count() as u64);
        ties += size.powi(3) - size;
        below += size;
    }
    let (n, m) = (float(first.len() as u64), float(second.len() as u64));
    let u = rank_sum - n * (n + 1.0) / 2.0;
    let total = n + m;
    let spread = (n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)))).max(0.0).sqrt();
    let distance = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    let p = if spread > 0.0 { two_sided(distance / spread) } else { 1.0 };
    Some(Comparison { u, p, delta: 2.0 * u / (n * m) - 1.0 })
}

/// The value below which this part (0 to 1) of the sample lies: the nearest rank. `None` when empty.
pub(crate) fn quantile(sample: &[u64], part: f64) -> Option<u64> {
    let mut sorted = sample.to_vec();
    sorted.sort_unstable();
    let place = part.clamp(0.0, 1.0) * float(sorted.len() as u64);
    let below = sorted.iter().zip(1_u64..).find(|(_, rank)| float(*rank) >= place);
    below.map(|(value, _)| *value)
}

/// Two-sided tail of the standard normal distribution beyond `z`, which is not negative.
fn two_sided(z: f64) -> f64 {
    complementary_error(z / std::f64::consts::SQRT_2)
}

/// erfc(x) for x >= 0: a power series where it converges fast, a continued fraction beyond
/// (Abramowitz and Stegun 7.1.6 and 7.1.14).
fn complementary_error(x: f64) -> f64 {
    let scale = (-x * x).exp() / std::f64::consts::PI.sqrt();
    if x < 2.5 {
        let mut term = 2.0 * x;
        let mut sum = term;
        let mut odd = 3.0;
        while term > sum * 1e-17 {
            term *= 2.0 * x * x / odd;
            sum += term;
            odd += 2.0;
        }
        1.0 - scale * sum
    } else {
        let fraction = (1..=60).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
        scale / fraction
    }
}

/// A count as a number to calculate with.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts, microseconds and bytes stay far below 2^53, where every integer is exact"
)]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64, within: f64) {
        assert!((left - right).abs() <= within, "{left} is not {right}");
    }

    #[test]
    fn the_error_function_has_its_published_values() {
        for (x, value) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (2.0, 0.004_677_734_981_047_266),
            (2.5, 4.069_520_174_449_589e-4),
            (3.0, 2.209_049_699_858_544e-5),
            (5.0, 1.537_459_794_428_035e-12),
        ] {
            near(complementary_error(x), value, value * 1e-9);
        }
        near(two_sided(1.959_963_984_540_054), 0.05, 1e-12);
    }

    #[test]
    fn samples_apart_are_told_apart() {
        let low: Vec<u64> = (0..50).collect();
        let high: Vec<u64> = (100..150).collect();
        let found = compare(&low, &high).unwrap();
        near(found.u, 0.0, 0.0);
        near(found.delta, -1.0, 0.0);
        assert!(found.p < 1e-15, "{found:?}");
        let turned = compare(&high, &low).unwrap();
        near(turned.u, 2_500.0, 0.0);
        near(turned.delta, 1.0, 0.0);
        near(turned.p, found.p, 0.0);
    }

    #[test]
    fn equal_samples_are_not() {
        let sample: Vec<u64> = (0..100).collect();
        let found = compare(&sample, &sample).unwrap();
        near(found.delta, 0.0, 1e-12);
        near(found.p, 1.0, 1e-12);
        let constant = compare(&[7; 20], &[7; 30]).unwrap();
        near(constant.delta, 0.0, 1e-12);
        near(constant.p, 1.0, 0.0);
    }

    #[test]
    fn a_worked_example_with_ties() {
        // Ranks of the first: 1, 2.5, 4, 5.5, so U = 13 - 10 = 3. Two ties of two: variance
        // 4 * 4 / 12 * (9 - 12 / 56) = 11.714286, z = (|3 - 8| - 0.5) / 3.422614 = 1.314785.
        let found = compare(&[1, 2, 3, 5], &[2, 5, 8, 9]).unwrap();
        near(found.u, 3.0, 1e-12);
        near(found.delta, -0.625, 1e-12);
        near(found.p, 0.188_582_305_519_038_56, 1e-9);
    }

    fn by_pairs(first: &[u64], second: &[u64]) -> f64 {
        first
            .iter()
            .flat_map(|a| {
                second.iter().map(move |b| match a.cmp(b) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                })
            })
            .sum()
    }

    #[test]
    fn ranks_and_pairs_agree() {
        // A multiplicative generator is random enough to make ties and gaps.
        let mut state = 12_345_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for round in 1..40 {
            let first: Vec<u64> = (0..round).map(|_| next(15)).collect();
            let second: Vec<u64> = (0..=next(30)).map(|_| next(18)).collect();
            let found = compare(&first, &second).unwrap();
            near(found.u, by_pairs(&first, &second), 1e-9);
            assert!((0.0..=1.0).contains(&found.p), "{found:?}");
        }
    }

    #[test]
    fn the_false_alarms_are_as_many_as_they_should_be() {
        let mut state = 99_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 40
        };
        let alarms = (0..400)
            .filter(|_| {
                let first: Vec<u64> = (0..60).map(|_| next()).collect();
                let second: Vec<u64> = (0..60).map(|_| next()).collect();
                compare(&first, &second).unwrap().p < 0.05
            })
            .count();
        assert!((6..=36).contains(&alarms), "{alarms} of 400 below 0.05");
    }

    #[test]
    fn quantiles_take_the_nearest_rank() {
        let sample: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(quantile(&sample, 0.5), Some(50));
        assert_eq!(quantile(&sample, 0.95), Some(95));
        assert_eq!(quantile(&sample, 1.0), Some(100));
        assert_eq!(quantile(&sample, 0.0), Some(1));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(compare(&[], &[1]), None);
    }
}
