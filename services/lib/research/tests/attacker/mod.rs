//! Whoever takes published numbers apart: everything that follows for each number from bounds of sums and differences of numbers, until nothing more does.

/// That a sum of numbers, each with a sign, lies between two bounds.
#[derive(Clone, Debug)]
pub struct Fact {
    terms: Vec<(usize, i64)>,
    low: i64,
    high: i64,
}

impl Fact {
    /// The sum of these numbers is at least `low` and at most `high`.
    pub fn bounds(numbers: Vec<usize>, low: u64, high: u64) -> Fact {
        Fact {
            terms: numbers.into_iter().map(|number| (number, 1)).collect(),
            low: low as i64,
            high: high as i64,
        }
    }

    /// The sums of both are equal.
    pub fn equal(one: Vec<usize>, other: Vec<usize>) -> Fact {
        let plus = one.into_iter().map(|number| (number, 1));
        let minus = other.into_iter().map(|number| (number, -1));
        Fact {
            terms: plus.chain(minus).collect(),
            low: 0,
            high: 0,
        }
    }

    /// What is left of one fact when another is taken from it: the numbers that both have cancel each other out.
    fn less(&self, other: &Fact) -> Option<Fact> {
        let shares = |(number, _): &&(usize, i64)| other.terms.iter().any(|(of, _)| of == number);
        self.terms.iter().find(shares)?;
        let mut terms = self.terms.clone();
        for (number, sign) in &other.terms {
            match terms.iter_mut().find(|(of, _)| of == number) {
                Some((_, own)) => *own -= sign,
                None => terms.push((*number, -sign)),
            }
        }
        terms.retain(|(_, sign)| *sign != 0);
        Some(Fact {
            terms,
            low: self.low - other.high,
            high: self.high - other.low,
        })
    }
}

/// Between what each number lies, by all facts and all differences of two of them that have numbers in common.
pub fn narrowed(numbers: usize, facts: &[Fact]) -> Vec<(u64, u64)> {
    let mut all = facts.to_vec();
    let sums: Vec<&Fact> = facts.iter().filter(|fact| fact.terms.len() > 1).collect();
    for one in &sums {
        for other in &sums {
            if !std::ptr::eq(*one, *other) {
                all.extend(one.less(other));
            }
        }
    }
    let mut known = vec![(0_i64, i64::from(u32::MAX)); numbers];
    loop {
        let mut is_changed = false;
        for fact in &all {
            // Between what the term of a number lies.
            let span = |(number, sign): (usize, i64)| {
                let (low, high) = known[number];
                if sign > 0 {
                    (sign * low, sign * high)
                } else {
                    (sign * high, sign * low)
                }
            };
            let spans: Vec<(i64, i64)> = fact.terms.iter().map(|term| span(*term)).collect();
            let lows: i64 = spans.iter().map(|(low, _)| low).sum();
            let highs: i64 = spans.iter().map(|(_, high)| high).sum();
            for ((number, sign), (low, high)) in fact.terms.iter().zip(&spans) {
                // What is left for this term when the others are as large, or as small, as they can be.
                let (low, high) = (
                    (fact.low - (highs - high)).max(*low),
                    (fact.high - (lows - low)).min(*high),
                );
                let (least, most) = if *sign > 0 {
                    (
                        low.div_euclid(*sign) + i64::from(low.rem_euclid(*sign) > 0),
                        high.div_euclid(*sign),
                    )
                } else {
                    let (low, high, by) = (-high, -low, -sign);
                    (
                        low.div_euclid(by) + i64::from(low.rem_euclid(by) > 0),
                        high.div_euclid(by),
                    )
                };
                let narrower = (known[*number].0.max(least), known[*number].1.min(most));
                if narrower != known[*number] {
                    known[*number] = narrower;
                    is_changed = true;
                }
            }
        }
        if !is_changed {
            return known.into_iter().map(|(low, high)| (low as u64, high as u64)).collect();
        }
    }
}
