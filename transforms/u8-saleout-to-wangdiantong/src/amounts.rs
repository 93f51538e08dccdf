//! What a trade costs, exactly: nothing here rounds, and what cannot be exact is an error.
//!
//! The vendor's rule is `paid` = Σ(`price` × `num` + `adjust_amount` − `discount` − `share_discount`) + `post_amount` +
//! `other_amount`, where `share_discount` is a line's part of a discount that was given on the whole order.

use crossdock_guest::{Decimal, NotExact};

/// Decimal places of a discount's parts: the cent.
const CENT_PLACES: u32 = 2;

/// The amounts of a line that do not depend on the other lines.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub num: Decimal,
    pub price: Decimal,
    pub adjust_amount: Decimal,
    pub discount: Decimal,
}

impl Line {
    /// What the line costs before its part of the order's discount.
    pub fn amount(&self) -> Result<Decimal, NotExact> {
        self.price.checked_mul(self.num)?.checked_add(self.adjust_amount)?.checked_sub(self.discount)
    }
}

pub fn sum(amounts: &[Decimal]) -> Result<Decimal, NotExact> {
    amounts.iter().try_fold(Decimal::ZERO, |sum, amount| sum.checked_add(*amount))
}

/// `paid`, from each line's amount, each line's part of the order's discount, postage and the rest.
pub fn paid(amounts: &[Decimal], shares: &[Decimal], post: Decimal, other: Decimal) -> Result<Decimal, NotExact> {
    sum(amounts)?.checked_sub(sum(shares)?)?.checked_add(post)?.checked_add(other)
}

/// Why a discount cannot be spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpreadError {
    /// The discount is less than nought.
    Negative,
    /// The discount has a part of a cent.
    NotInCents,
    /// The lines cannot take it: it is more than their whole cents.
    TooLarge,
    NotExact,
}

impl From<NotExact> for SpreadError {
    fn from(NotExact: NotExact) -> Self {
        SpreadError::NotExact
    }
}

/// Spreads a discount over lines in proportion to their amounts, none of which may be negative. The parts are whole
/// cents and their sum is the discount, exactly.
///
/// Each part is rounded down to the cent, and the last line takes the remainder. No part is more than its line's
/// amount, lest a line become negative: what the last line cannot take (a gift costs nothing) goes to the line before
/// it, and so on.
pub fn spread(discount: Decimal, amounts: &[Decimal]) -> Result<Vec<Decimal>, SpreadError> {
    if discount.is_negative() {
        return Err(SpreadError::Negative);
    }
    let discount = discount.units(CENT_PLACES).map_err(|NotExact| SpreadError::NotInCents)?;
    // One scale for all amounts, at least that of a cent, makes every division one of whole numbers.
    let places = amounts.iter().map(|amount| amount.get().scale()).fold(CENT_PLACES, u32::max);
    let cent = 10_i128.checked_pow(places - CENT_PLACES).ok_or(NotExact)?;
    let amounts = amounts.iter().map(|amount| amount.units(places)).collect::<Result<Vec<_>, _>>()?;
    let total = amounts.iter().try_fold(0_i128, |total, amount| total.checked_add(*amount)).ok_or(NotExact)?;

    let mut shares = Vec::with_capacity(amounts.len());
    for amount in &amounts {
        let product = discount.checked_mul(*amount).ok_or(NotExact)?;
        shares.push(if total == 0 { 0 } else { (product / total).min(amount / cent) });
    }
    let mut remainder = discount - shares.iter().sum::<i128>();
    for (share, amount) in shares.iter_mut().zip(&amounts).rev() {
        let more = remainder.min(amount / cent - *share);
        *share += more;
        remainder -= more;
    }
    if remainder != 0 {
        return Err(SpreadError::TooLarge);
    }
    Ok(shares.into_iter().map(|share| Decimal::from_units(share, CENT_PLACES)).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    fn decimals(texts: &[&str]) -> Vec<Decimal> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    #[track_caller]
    fn check(discount: &str, amounts: &[&str], expected: Result<&[&str], SpreadError>) {
        let found = spread(discount.parse().expect(discount), &decimals(amounts));
        assert_eq!(found, expected.map(decimals), "{discount} over {amounts:?}");
    }

    #[test]
    fn the_last_line_takes_the_remainder() {
        check("10", &["100", "100", "100"], Ok(&["3.33", "3.33", "3.34"]));
        check("0.05", &["10", "10", "10"], Ok(&["0.01", "0.01", "0.03"]));
        check("9.99", &["75", "25"], Ok(&["7.49", "2.50"]));
        check("0", &["75", "25"], Ok(&["0", "0"]));
        check("5.00", &["12.3456"], Ok(&["5"]));
    }

    #[test]
    fn a_line_takes_no_more_than_it_costs() {
        check("10", &["100", "100", "100", "0"], Ok(&["3.33", "3.33", "3.34", "0"]));
        check("10", &["100", "100", "100", "0.01", "0"], Ok(&["3.33", "3.33", "3.33", "0.01", "0"]));
        check("0.05", &["0.05", "0.009"], Ok(&["0.05", "0"]));
        check("300", &["100", "200"], Ok(&["100", "200"]));
    }

    #[test]
    fn refuses_what_the_lines_cannot_take_to_the_cent() {
        check("300.01", &["100", "200"], Err(SpreadError::TooLarge));
        check("0.01", &["0.005", "0.005"], Err(SpreadError::TooLarge));
        check("0.01", &["0"], Err(SpreadError::TooLarge));
        check("0.005", &["100"], Err(SpreadError::NotInCents));
        check("-0.01", &["100"], Err(SpreadError::Negative));
        check("100000000000000000000", &["1000000000000000000000000"], Err(SpreadError::NotExact));
    }

    /// The same amounts on every run, and enough of them.
    fn config() -> ProptestConfig {
        ProptestConfig {
            cases: 1_000,
            rng_seed: RngSeed::Fixed(20_261_120),
            failure_persistence: None,
            ..ProptestConfig::default()
        }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn the_parts_are_cents_within_their_lines_and_their_sum_is_the_discount(
            units in prop::collection::vec(prop_oneof![Just(0_i64), 0..1_000_i64, 0..1_000_000_000_000_i64], 1..40),
            places in 0_u32..=8,
            part in 0..=1_000_i128,
        ) {
            let amount = |units: &i64| Decimal::from_units((*units).into(), places).expect("an amount");
            let amounts: Vec<Decimal> = units.iter().map(amount).collect();
            // A discount of at most the whole cents of all lines, and often all of them.
            let cents = |amount: &Decimal| amount.get().trunc_with_scale(2).mantissa() * 100
                / 10_i128.pow(amount.get().trunc_with_scale(2).scale());
            let room: i128 = amounts.iter().map(cents).sum();
            let discount = Decimal::from_units(room * part / 1_000, CENT_PLACES).expect("a discount");

            let shares = spread(discount, &amounts).expect("room for it");

            prop_assert_eq!(sum(&shares), Ok(discount));
            let total = sum(&amounts).expect("a total");
            for (share, amount) in shares.iter().zip(&amounts) {
                prop_assert!(!share.is_negative() && share <= amount && share.units(CENT_PLACES).is_ok());
            }
            // All but the last take their proportion rounded down, unless the last is full.
            let (last, before) = shares.split_last().expect("a line");
            if cents(last) < cents(&amounts[before.len()]) {
                for (share, amount) in before.iter().zip(&amounts) {
                    let exact = discount.checked_mul(*amount).expect("a product");
                    let least = share.checked_mul(total).expect("a product");
                    let next = share.checked_add(Decimal::from_units(1, CENT_PLACES).expect("a cent"));
                    let next = next.expect("a sum").checked_mul(total).expect("a product");
                    prop_assert!(least <= exact && exact < next, "{share} of {discount} for {amount} of {total}");
                }
            }
        }

        #[test]
        fn one_cent_more_than_the_lines_can_take_is_refused(cents in prop::collection::vec(0..1_000_000_i64, 1..20)) {
            let amounts: Vec<Decimal> =
                cents.iter().map(|cents| Decimal::from_units((*cents).into(), CENT_PLACES).expect("an amount")).collect();
            let more = Decimal::from_units(i128::from(cents.iter().sum::<i64>()) + 1, CENT_PLACES).expect("a discount");
            prop_assert_eq!(spread(more, &amounts), Err(SpreadError::TooLarge));
        }

        #[test]
        fn paid_is_the_vendors_formula_to_the_last_digit(
            lines in prop::collection::vec((1..10_000_000_i64, 0..10_000_000_i64, -9_999..9_999_i64, 0..9_999_i64, 0..9_999_i64), 1..30),
            post in 0..1_000_000_i64,
            other in -1_000_000..1_000_000_i64,
        ) {
            // The formula in whole numbers: amounts in units of four places, prices times quantities in units of eight.
            let four = |units: i64| Decimal::from_units(units.into(), 4).expect("an amount");
            let mut expected = i128::from(post + other) * 10_000;
            let (mut amounts, mut shares) = (Vec::new(), Vec::new());
            for (num, price, adjust_amount, discount, share) in lines {
                expected += i128::from(price) * i128::from(num) + i128::from(adjust_amount - discount - share) * 10_000;
                let line = Line { num: four(num), price: four(price), adjust_amount: four(adjust_amount), discount: four(discount) };
                amounts.push(line.amount().expect("an amount"));
                shares.push(four(share));
            }
            let paid = paid(&amounts, &shares, four(post), four(other)).expect("a sum");
            prop_assert_eq!(paid.units(8), Ok(expected));
        }
    }
}
