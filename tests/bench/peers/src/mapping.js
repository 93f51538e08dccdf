(parametersText) => {
  const parameters = JSON.parse(parametersText);
  const text = (value) => (typeof value === "string" ? value : typeof value === "number" ? String(value) : "");
  const amount = (value) => (typeof value === "string" ? Number(value) : value);
  const number = (value) => ({ FNumber: value });
  return (body) => {
    const saleout = JSON.parse(body);
    if (!parameters.shipped_statuses.includes(saleout.status)) throw new Error("not shipped");
    const shopId = text(saleout.shop_id);
    const shop = parameters.shops[shopId] ?? parameters.default;
    const customer = text(saleout.drp_co_id_from) || (parameters.shop_customers[shopId] ?? shopId);
    const subHead = { FSettleCurrID: number(shop.currency), FSettleOrgID: number(shop.organisation) };
    if (saleout.free_amount != null) subHead.FAllDisCount = amount(saleout.free_amount);
    return JSON.stringify({
      FBillTypeID: { FNUMBER: parameters.bill_type },
      FBillNo: text(saleout.io_id),
      FDate: saleout.io_date,
      FSaleOrgId: number(shop.organisation),
      FStockOrgId: number(shop.organisation),
      FCustomerID: number(customer),
      FSaleDeptID: number(shop.department),
      FNote: text(saleout.remark),
      F_KLF_Assistant: number(shop.profit_centre),
      F_KLF_Text: text(saleout.so_id),
      F_KLF_Text1: text(saleout.l_id),
      SubHeadEntity: subHead,
      FEntity: saleout.items.map((item) => {
        const price = amount(item.sale_price);
        return {
          FMaterialID: number(text(item.sku_id)),
          FRealQty: amount(item.qty),
          FTaxPrice: price,
          FIsFree: price === 0,
          FStockID: number(text(saleout.wms_co_id)),
          FEntrynote: "",
          F_sms_Text2: "1",
        };
      }),
    });
  };
};
