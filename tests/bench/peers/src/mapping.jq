def text: if type == "string" then . elif type == "number" then tostring else "" end;
def amount: if type == "string" then tonumber else . end;
def number: { FNumber: . };
. as $s
| if any($parameters.shipped_statuses[]; . == $s.status) then . else error("not shipped") end
| ($s.shop_id | text) as $shop_id
| ($parameters.shops[$shop_id] // $parameters.default) as $shop
| ($s.drp_co_id_from | text) as $distributor
| ($s.wms_co_id | text | number) as $stock
| {
    FBillTypeID: { FNUMBER: $parameters.bill_type },
    FBillNo: ($s.io_id | text),
    FDate: $s.io_date,
    FSaleOrgId: ($shop.organisation | number),
    FStockOrgId: ($shop.organisation | number),
    FCustomerID: ((if $distributor == "" then ($parameters.shop_customers[$shop_id] // $shop_id) else $distributor end) | number),
    FSaleDeptID: ($shop.department | number),
    FNote: ($s.remark | text),
    F_KLF_Assistant: ($shop.profit_centre | number),
    F_KLF_Text: ($s.so_id | text),
    F_KLF_Text1: ($s.l_id | text),
    SubHeadEntity: (
      { FSettleCurrID: ($shop.currency | number), FSettleOrgID: ($shop.organisation | number) }
      + (if $s.free_amount == null then {} else { FAllDisCount: ($s.free_amount | amount) } end)
    ),
    FEntity: [
      $s.items[]
      | (.sale_price | amount) as $price
      | {
          FMaterialID: (.sku_id | text | number),
          FRealQty: (.qty | amount),
          FTaxPrice: $price,
          FIsFree: ($price == 0),
          FStockID: $stock,
          FEntrynote: "",
          F_sms_Text2: "1"
        }
    ]
  }
