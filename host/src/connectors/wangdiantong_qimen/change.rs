//! Whether a pushed trade can become another one: `num` and `price` cannot change after a push, and the vendor says so only
//! once it is asked to.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use crate::connectors::text;

use super::trade::Trade;

#[derive(Deserialize)]
struct Orders {
    #[serde(default)]
    order_list: Vec<Order>,
}

#[derive(Deserialize)]
struct Order {
    oid: String,
    num: Value,
    price: Value,
}

/// What is fixed of each line, by its `oid`.
type Lines = BTreeMap<String, [Decimal; 2]>;

/// What stands in the way of pushing `after` over `before`. A line that comes or goes changes what was pushed as well.
pub fn check(before: &str, after: &str) -> Result<(), String> {
    let (standing, next) = (lines(before)?, lines(after)?);
    for (oid, [num, price]) in &standing {
        let Some([next_num, next_price]) = next.get(oid) else {
            return Err(format!("line {oid} was pushed and is now missing"));
        };
        for (name, standing, next) in [("num", num, next_num), ("price", price, next_price)] {
            if standing != next {
                return Err(format!("{name} of line {oid} was pushed as {standing} and is now {next}"));
            }
        }
    }
    match next.keys().find(|oid| !standing.contains_key(*oid)) {
        Some(oid) => Err(format!("line {oid} is new, and was not pushed with the others")),
        None => Ok(()),
    }
}

fn lines(body: &str) -> Result<Lines, String> {
    let trade = Trade::parse(body)?;
    let orders: Orders = serde_json::from_str(trade.text()).map_err(|error| format!("order_list: {error}"))?;
    let mut lines = Lines::new();
    for Order { oid, num, price } in orders.order_list {
        let decimal = |name: &str, value: &Value| {
            text::decimal(value).ok_or_else(|| format!("{name} of line {oid} is not a number"))
        };
        let fixed = [decimal("num", &num)?, decimal("price", &price)?];
        if lines.insert(oid.clone(), fixed).is_some() {
            return Err(format!("two lines are called {oid}"));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(memo: &str, lines: &[(&str, &str, &str)]) -> String {
        let line = |(oid, num, price): &(&str, &str, &str)| {
            format!(r#"{{"oid":"{oid}","num":{num},"price":{price},"remark":"{memo}"}}"#)
        };
        let lines: Vec<_> = lines.iter().map(line).collect();
        let lines = lines.join(",");
        format!(r#"{{"shop_no":"S","trade":{{"tid":"T","seller_memo":"{memo}","order_list":[{lines}]}}}}"#)
    }

    #[track_caller]
    fn check_words(before: &[(&str, &str, &str)], after: &[(&str, &str, &str)], words: &str) {
        let result = check(&trade("before", before), &trade("after", after));
        assert!(matches!(&result, Err(problem) if problem.contains(words)), "{result:?}");
    }

    #[test]
    fn whatever_else_changes_num_and_price_must_stay() {
        let before = [("T-1", "2", "50"), ("T-2", "1", "0.10")];
        // Other words, another order, and the same numbers spelled otherwise.
        let same = [("T-2", "1.0000", "\"0.1\""), ("T-1", "2.0", "5e1")];
        assert_eq!(check(&trade("before", &before), &trade("after", &same)), Ok(()));
        check_words(
            &before,
            &[("T-1", "3", "50"), ("T-2", "1", "0.10")],
            "num of line T-1 was pushed as 2 and is now 3",
        );
        check_words(&before, &[("T-1", "2", "50"), ("T-2", "1", "0.11")], "price of line T-2");
    }

    #[test]
    fn a_line_that_comes_or_goes_is_a_change_of_what_was_pushed() {
        let (one, two) = ([("T-1", "2", "50")], [("T-1", "2", "50"), ("T-2", "1", "1")]);
        check_words(&two, &one, "line T-2 was pushed and is now missing");
        check_words(&one, &two, "line T-2 is new");
        check_words(&one, &[("T-1", "2", "50"), ("T-1", "2", "50")], "two lines are called T-1");
        check_words(&one, &[("T-1", "\"two\"", "50")], "num of line T-1 is not a number");
    }
}
