//! Which trades may share a request.

use std::collections::HashMap;

use super::trade::Trade;

/// More trades of one `buyer_nick` in one push are refused.
const ONE_NICK_LIMIT: usize = 30;

/// The trades of one request: places in the list that was split.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    pub members: Vec<usize>,
}

/// Splits by shop, size and buyer. Each trade goes to the first request of its shop that has room for it, so trades of
/// one shop keep their order as far as one buyer's surplus allows.
pub fn split(trades: &[Trade<'_>], size: usize) -> Vec<Batch> {
    struct Open<'a> {
        shop_no: &'a str,
        nicks: HashMap<&'a str, usize>,
        batch: Batch,
    }
    let mut open: Vec<Open<'_>> = Vec::new();
    for (place, trade) in trades.iter().enumerate() {
        let nick = trade.buyer_nick.as_str();
        let has_room = |one: &Open<'_>| {
            one.shop_no == trade.shop_no
                && one.batch.members.len() < size
                && one.nicks.get(nick).is_none_or(|count| *count < ONE_NICK_LIMIT)
        };
        let at = open.iter().position(has_room).unwrap_or_else(|| {
            open.push(Open { shop_no: &trade.shop_no, nicks: HashMap::new(), batch: Batch { members: Vec::new() } });
            open.len() - 1
        });
        *open[at].nicks.entry(nick).or_default() += 1;
        open[at].batch.members.push(place);
    }
    open.into_iter().map(|one| one.batch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(trades: &[(&str, &str)], size: usize, expected: &[usize]) {
        let bodies: Vec<_> = trades
            .iter()
            .enumerate()
            .map(|(n, (shop, nick))| {
                format!(r#"{{"shop_no":"{shop}","trade":{{"tid":"T{n}","buyer_nick":"{nick}"}}}}"#)
            })
            .collect();
        let trades: Vec<_> = bodies.iter().map(|body| Trade::parse(body).unwrap()).collect();
        let batches = split(&trades, size);
        assert_eq!(batches.iter().map(|batch| batch.members.len()).collect::<Vec<_>>(), expected);
        let mut all: Vec<_> = batches.iter().flat_map(|batch| batch.members.clone()).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..trades.len()), "each trade travels once");
        for batch in &batches {
            assert!(batch.members.iter().all(|at| trades[*at].shop_no == trades[batch.members[0]].shop_no));
        }
    }

    #[test]
    fn a_request_holds_one_shop_so_many_trades_and_thirty_of_one_buyer() {
        let nicks: Vec<String> = (0..101).map(|n| format!("n{n}")).collect();
        let many: Vec<_> = nicks.iter().map(|nick| ("S", nick.as_str())).collect();
        check(&many, 50, &[50, 50, 1]);
        check(&[("S", "x"); 30], 50, &[30]);
        check(&[("S", "x"); 31], 50, &[30, 1]);
        check(&[("S", "x"), ("U", "x"), ("S", "y")], 50, &[2, 1]);
        check(&[("S", "x"), ("S", "y")], 1, &[1, 1]);
        check(&[], 50, &[]);
        // One buyer's surplus waits for the next request; the others fill this one up.
        let mixed = [vec![("S", "x"); 35], vec![("S", "y"); 20]].concat();
        check(&mixed, 50, &[50, 5]);
    }
}
