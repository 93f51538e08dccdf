// A sale-out as Jushuitan serves it, reduced to the fields that the bill needs. Over Qimen money comes as a string and
// natively as a number; identifiers come as either.

/** @param {import('crossdock-guest').Fields} fields */
export function readSaleOut(fields) {
  return {
    ioId: fields.filledText('io_id'),
    shopId: fields.filledText('shop_id'),
    // When the goods left, in the vendor's local time.
    ioDate: fields.dateTime('io_date'),
    // The warehouse company.
    stockId: fields.filledText('wms_co_id'),
    // The distributor; empty for a shop's own sale.
    distributor: fields.optionalText('drp_co_id_from')?.trim() ? fields.text('drp_co_id_from') : undefined,
    remark: fields.optionalText('remark') ?? '',
    // The platform's order number.
    platformOrder: fields.optionalText('so_id') ?? '',
    waybill: fields.optionalText('l_id') ?? '',
    discount: fields.optionalDecimal('free_amount'),
    items: fields.list('items').map((item) => ({
      skuId: item.filledText('sku_id'),
      quantity: item.decimal('qty'),
      price: item.decimal('sale_price'),
    })),
  };
}
