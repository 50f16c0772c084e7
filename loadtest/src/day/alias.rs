use crate::scenario::draw::Draw;

/// A choice among weighted places in constant time: an alias table (Walker 1977, built as in Vose 1991).
///
/// A place is kept in 8 bytes, for popular contents come by the million: the odds of staying in a drawn place are rounded to 2^-32.
#[derive(Clone, Debug)]
pub(crate) struct Alias(Vec<(u32, u32)>);

impl Alias {
    /// By weights: at least one, none negative, not all zero.
    pub(crate) fn new(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let places = weights.len();
        let mut odds: Vec<f64> = weights.iter().map(|weight| weight * places as f64 / total).collect();
        let mut table = vec![(u32::MAX, 0_u32); places];
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..places).partition(|place| odds[*place] < 1.0);
        while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
            table[poor] = ((odds[poor] * 4_294_967_296.0) as u32, rich as u32);
            odds[rich] -= 1.0 - odds[poor];
            if odds[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        // What is left stands at one but for rounding: it keeps its whole place.
        for place in small.into_iter().chain(large) {
            table[place] = (u32::MAX, place as u32);
        }
        Alias(table)
    }

    /// Zipf's law: the weight of place k (from 0) is (k + 1) to the power of minus `exponent`.
    pub(crate) fn zipf(places: u32, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=places.max(1))
            .map(|rank| libm::pow(f64::from(rank), -exponent))
            .collect();
        Alias::new(&weights)
    }

    /// The place drawn.
    pub(crate) fn draw(&self, draw: &mut Draw) -> usize {
        let bits = draw.next();
        let place = (((bits >> 32) * self.0.len() as u64) >> 32) as usize;
        let (odds, alias) = self.0[place];
        if (bits as u32) < odds { place } else { alias as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_drawn_by_their_weights() {
        let weights = [5.0, 0.0, 1.0, 3.0, 1.0];
        let alias = Alias::new(&weights);
        let mut draw = Draw::of(3, "alias", 0);
        let mut counts = [0_u32; 5];
        for _ in 0..100_000 {
            counts[alias.draw(&mut draw)] += 1;
        }
        for (count, weight) in counts.into_iter().zip(weights) {
            assert!((f64::from(count) - weight * 10_000.0).abs() < 500.0, "{counts:?}");
        }
        assert_eq!(Alias::new(&[2.0]).draw(&mut draw), 0);
    }

    #[test]
    fn zipf_halves_from_the_first_to_the_second() {
        let alias = Alias::zipf(1_000, 1.0);
        let mut draw = Draw::of(4, "alias", 0);
        let drawn: Vec<usize> = (0..100_000).map(|_| alias.draw(&mut draw)).collect();
        let count = |place| drawn.iter().filter(|drawn| **drawn == place).count() as f64;
        assert!((count(0) / count(1) - 2.0).abs() < 0.15);
        assert!((count(0) / 100_000.0 - 1.0 / 7.4855).abs() < 0.01);
    }
}
