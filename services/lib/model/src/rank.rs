/// The nearest-rank quantile of values that ascend: the smallest that at least so many per cent of them do not exceed; `None` of none. Of 0 per cent it is
/// the least, and above 100 the greatest.
///
/// The first of the nine definitions in Hyndman and Fan, Sample quantiles in statistical packages, 1996: an answer is always one of the values.
pub fn nearest_rank<T>(ascending: &[T], per_cent: usize) -> Option<&T> {
    let rank = (ascending.len() * per_cent.min(100)).div_ceil(100);
    ascending.get(rank.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_smallest_value_that_so_many_do_not_exceed() {
        assert_eq!(nearest_rank::<u8>(&[], 50), None);
        assert_eq!(nearest_rank(&[7], 1), Some(&7));
        for count in 1..60_usize {
            let values: Vec<usize> = (0..count).collect();
            for per_cent in 0..=120 {
                let enough = |value: &&usize| (**value + 1) * 100 >= per_cent.min(100) * count;
                assert_eq!(
                    nearest_rank(&values, per_cent),
                    values.iter().find(enough),
                    "{per_cent} of {count}"
                );
            }
        }
    }
}
