use tocsin_velocity::forecast::Course;

use super::sample::Sample;

/// A value that counts for more or less than others.
#[derive(Clone, Copy, Debug)]
pub struct Weighted {
    pub value: f64,
    pub weight: f64,
}

/// Pulls every weight towards zero: 50 cascades are few.
const RIDGE: f64 = 0.3;
/// Errors smaller than this (a difference of logarithms) count by their square, larger ones by their size.
const SMALL: f64 = 0.1;
/// Rounds of reweighting; the weights settle within thirty.
const ROUNDS: usize = 100;

type Terms = [f64; Course::TERMS];

/// The weights of the median: least absolute deviations (smoothed near zero) of the logarithm of what came, by iteratively reweighted least
/// squares with a ridge. What is chance rather than error weighs less.
pub fn weights(samples: &[Sample]) -> Terms {
    let rows: Vec<(Terms, f64, f64)> = samples
        .iter()
        .map(|sample| {
            let came = sample.came as f64 + 0.5;
            (
                sample.course.terms(),
                came.ln() - sample.course.pace(),
                came / (came + 1.0),
            )
        })
        .collect();
    let mut weights = [0.0; Course::TERMS];
    for _ in 0..ROUNDS {
        let mut matrix = [[0.0; Course::TERMS]; Course::TERMS];
        let mut right = [0.0; Course::TERMS];
        for (terms, target, certain) in &rows {
            let error = target - dot(terms, &weights);
            let weight = certain / (error * error + SMALL * SMALL).sqrt();
            for (row, term) in terms.iter().enumerate() {
                right[row] += weight * term * target;
                for (column, other) in terms.iter().enumerate() {
                    matrix[row][column] += weight * term * other;
                }
            }
        }
        for (place, row) in matrix.iter_mut().enumerate() {
            // Twice: the smoothed deviation has half the curvature that its reweighted square has.
            row[place] += 2.0 * RIDGE;
        }
        weights = solve(matrix, right);
    }
    weights
}

/// The value below which this part of the weight lies.
pub fn quantile(values: &mut [Weighted], probability: f64) -> f64 {
    values.sort_unstable_by(|one, other| one.value.total_cmp(&other.value));
    let all: f64 = values.iter().map(|value| value.weight).sum();
    let mut below = 0.0;
    for value in values.iter() {
        below += value.weight;
        if below >= probability * all {
            return value.value;
        }
    }
    0.0
}

fn dot(one: &Terms, other: &Terms) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// Gauss's elimination with pivots. The ridge makes the matrix regular.
fn solve(mut matrix: [Terms; Course::TERMS], mut right: Terms) -> Terms {
    for place in 0..Course::TERMS {
        let pivot = (place..Course::TERMS)
            .max_by(|one, other| matrix[*one][place].abs().total_cmp(&matrix[*other][place].abs()))
            .expect("the range is not empty");
        matrix.swap(place, pivot);
        right.swap(place, pivot);
        for row in place + 1..Course::TERMS {
            let factor = matrix[row][place] / matrix[place][place];
            let above = matrix[place];
            for (value, above) in matrix[row].iter_mut().zip(above) {
                *value -= factor * above;
            }
            right[row] -= factor * right[place];
        }
    }
    let mut solution = [0.0; Course::TERMS];
    for place in (0..Course::TERMS).rev() {
        let known: f64 = (place + 1..Course::TERMS)
            .map(|other| matrix[place][other] * solution[other])
            .sum();
        solution[place] = (right[place] - known) / matrix[place][place];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_of_equations_is_solved() {
        let mut matrix = [[0.0; Course::TERMS]; Course::TERMS];
        for (row, values) in matrix.iter_mut().enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                // Zeros on the diagonal: it needs pivots.
                *value = if row == column {
                    0.0
                } else {
                    (1 + row * 3 + column) as f64
                };
            }
        }
        let wanted = [1.0, -2.0, 3.0, 0.5, 0.0, 7.0];
        let right = matrix.map(|row| dot(&row, &wanted));
        let solution = solve(matrix, right);
        let off = solution.iter().zip(wanted).map(|(one, other)| (one - other).abs());
        assert!(off.sum::<f64>() < 1e-9, "{solution:?}");
    }

    #[test]
    fn a_quantile_counts_weights() {
        let mut values = [3.0, 1.0, 2.0].map(|value| Weighted { value, weight: value });
        assert_eq!(quantile(&mut values, 0.1), 1.0);
        assert_eq!(quantile(&mut values, 0.49), 2.0);
        assert_eq!(quantile(&mut values, 0.95), 3.0);
    }
}
