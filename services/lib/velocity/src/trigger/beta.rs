//! Two laws of a share compared: how much more probable counts are if the share follows one beta law than if it follows another.

/// A beta law of a share.
#[derive(Clone, Copy, Debug)]
pub(super) struct BetaPrior(pub(super) f64, pub(super) f64);

/// More copies than this say nothing further than their shares do.
const COPIES_MAX: f64 = 60.0;

/// The log of the likelihood ratio, in nats, of `inside` out of `inside + outside`: the mixture of both laws in which `telling` is true with
/// probability `share`, against `ordinary`. So what does not fit `telling` costs no more than the log of the rest.
pub(super) fn log_ratio(inside: u64, outside: u64, telling: BetaPrior, ordinary: BetaPrior, share: f64) -> f64 {
    let all = inside as f64 + outside as f64;
    let scale = (COPIES_MAX / all).min(1.0);
    let (all, inside) = (libm::round(all * scale), libm::round(inside as f64 * scale));
    // Beta-binomial probabilities without the binomial coefficient, which both share.
    let log_likelihood = |BetaPrior(a, b)| log_beta(a + inside, b + all - inside) - log_beta(a, b);
    let ratio = libm::exp(log_likelihood(telling) - log_likelihood(ordinary));
    libm::log(1.0 - share + share * ratio)
}

fn log_beta(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}
