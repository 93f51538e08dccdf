"""From the source document to one trade for `wdt.trade.push` of WangDianTong (旺店通), with the shop it is pushed to, in the
vendor's own spelling. Amounts keep four decimal places, as the vendor does: what needs more rejects, nothing is rounded."""

from typing import Any

from crossdock_guest import Decimal, Rejection, within_places

from parameters import Parameters
from source import LINES, Line, Source

# Decimal places that the vendor keeps of an amount, a price or a quantity.
AMOUNT_PLACES = 4
# `trade_status` and a line's `status`: paid, to ship.
TO_SHIP = 30
# `pay_status`.
PAID = 2
# `delivery_term`: paid first, shipped afterwards.
PAY_FIRST = 1
# A line's `refund_status`.
NO_REFUND = 0


def bill(source: Source, parameters: Parameters) -> dict[str, Any]:
    if not source.lines:
        raise Rejection("lines_empty", "a document has at least one line", LINES)
    time = f"{source.date} 00:00:00"
    trade = {
        "tid": source.number,
        "trade_status": TO_SHIP,
        "pay_status": PAID,
        "delivery_term": PAY_FIRST,
        "trade_time": time,
        "pay_time": time,
        "buyer_nick": parameters.buyer_nick,
        "receiver_name": parameters.receiver_name,
        "receiver_mobile": parameters.receiver_mobile,
        # Without a region the vendor parses the address, which then starts with province, city and district.
        "receiver_address": parameters.receiver_address,
        "warehouse_no": source.warehouse,
        "post_amount": 0,
        "cod_amount": 0,
        "ext_cod_fee": 0,
        "other_amount": 0,
        "paid": paid(source),
        "order_list": [order(index, line, source.number) for index, line in enumerate(source.lines)],
    }
    # The connector gathers the trades of one shop into a request.
    return {"shop_no": parameters.shop_no, "trade": trade}


def order(index: int, line: Line, tid: str) -> dict[str, Any]:
    field = f"{LINES}/{index}"
    return {
        "oid": f"{tid}-{index + 1}",
        "num": within_places(line.quantity, AMOUNT_PLACES, field),
        "price": within_places(line.price, AMOUNT_PLACES, field),
        "status": TO_SHIP,
        "refund_status": NO_REFUND,
        "goods_id": line.code,
        "spec_id": line.code,
        "goods_no": line.code,
        "spec_no": line.code,
        "adjust_amount": 0,
        "discount": 0,
        "share_discount": 0,
    }


def paid(source: Source) -> Decimal:
    """What the lines cost together."""
    total = sum((line.quantity * line.price for line in source.lines), Decimal(0))
    return within_places(total, AMOUNT_PLACES, LINES)
