// One element of `Model` for the form `SAL_OUTSTOCK`, in the vendor's own spelling and order. The order of the fields is
// kept, because fields come after those they depend on.

const number = (value) => ({ FNumber: value });

export function bill(saleOut, parameters) {
  const shop = parameters.shop(saleOut.shopId);
  const customer = saleOut.distributor ?? parameters.customerOfShop(saleOut.shopId);
  return {
    FBillTypeID: { FNUMBER: parameters.billType },
    FBillNo: saleOut.ioId,
    FDate: saleOut.ioDate,
    FSaleOrgId: number(shop.organisation),
    FStockOrgId: number(shop.organisation),
    FCustomerID: number(customer),
    FSaleDeptID: number(shop.department),
    FNote: saleOut.remark,
    F_KLF_Assistant: number(shop.profitCentre),
    F_KLF_Text: saleOut.platformOrder,
    F_KLF_Text1: saleOut.waybill,
    SubHeadEntity: {
      FSettleCurrID: number(shop.currency),
      FSettleOrgID: number(shop.organisation),
      FAllDisCount: saleOut.discount,
    },
    FEntity: saleOut.items.map((item) => row(item, saleOut.stockId, parameters.unit)),
  };
}

function row(item, stockId, unit) {
  return {
    FMaterialID: number(item.skuId),
    FUnitID: unit === undefined ? undefined : number(unit),
    FRealQty: item.quantity,
    FTaxPrice: item.price,
    FIsFree: item.price.isZero,
    FStockID: number(stockId),
    FEntrynote: '',
    F_sms_Text2: '1',
  };
}
