//! How large a document may become before it meets a limit, judged from what the cases took. Only an estimate: it says
//! from how many cases, and says nothing where they all have the same size.

/// A straight line through points, by least squares, in whole numbers: exact, and the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// The slope is `rise / run`, the height at nought `base / run`. `run` is above nought.
    rise: i128,
    base: i128,
    run: i128,
}

impl Fit {
    /// `None` where all points stand at the same place, or where more does not cost more.
    pub fn through(points: &[(u64, u64)]) -> Option<Self> {
        let n = points.len() as i128;
        let sum = |of: fn(i128, i128) -> i128| -> i128 {
            points.iter().map(|(x, y)| of(i128::from(*x), i128::from(*y))).sum()
        };
        let (x, y, xx, xy) = (sum(|x, _| x), sum(|_, y| y), sum(|x, _| x * x), sum(|x, y| x * y));
        let fit = Self { rise: n * xy - x * y, base: y * xx - x * xy, run: n * xx - x * x };
        (fit.run > 0 && fit.rise > 0).then_some(fit)
    }

    /// The last place whose height is not above `limit`.
    pub fn reaches(&self, limit: u64) -> u64 {
        let place = (i128::from(limit) * self.run - self.base).div_euclid(self.rise);
        u64::try_from(place).unwrap_or(0)
    }

    /// What one step costs, and what there is without any, in whole units.
    pub fn parts(&self) -> (u64, u64) {
        let whole = |value: i128| u64::try_from(value / self.run).unwrap_or(0);
        (whole(self.rise), whole(self.base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_is_found_exactly() {
        let fit = Fit::through(&[(1, 1_300), (2, 1_600), (10, 4_000)]).expect("a line");
        assert_eq!(fit.parts(), (300, 1_000));
        assert_eq!((fit.reaches(4_000), fit.reaches(4_299), fit.reaches(4_300)), (10, 10, 11));
        assert_eq!(fit.reaches(10), 0, "a limit below what an empty document takes");
    }

    #[test]
    fn points_off_the_line_are_averaged() {
        let fit = Fit::through(&[(0, 90), (0, 110), (10, 190), (10, 210)]).expect("a line");
        assert_eq!((fit.parts(), fit.reaches(1_000)), ((10, 100), 90));
    }

    #[test]
    fn nothing_is_foretold_from_one_size_or_from_work_that_does_not_grow() {
        assert_eq!(Fit::through(&[]), None);
        assert_eq!(Fit::through(&[(3, 100), (3, 200)]), None);
        assert_eq!(Fit::through(&[(1, 100), (2, 100)]), None);
        assert_eq!(Fit::through(&[(1, 200), (2, 100)]), None);
    }
}
