// What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

/** @param {import('crossdock-guest').Fields} fields */
export function readParameters(fields) {
  const shops = byName(fields.optionalObject('shops'), (all, shopId) => readShop(all.object(shopId)));
  const customers = byName(fields.optionalObject('shop_customers'), (all, shopId) => all.text(shopId));
  const standard = readShop(fields.object('default'));
  return {
    billType: fields.optionalText('bill_type') ?? 'XSCKD01_SYS',
    // Statuses that mean that the goods have left.
    shippedStatuses: fields.optionalTexts('shipped_statuses') ?? ['Confirmed'],
    // Without it the target takes the material's own unit.
    unit: fields.optionalText('unit'),
    shop: (shopId) => shops.get(shopId) ?? standard,
    // A shop that is not named is a customer under its own id.
    customerOfShop: (shopId) => customers.get(shopId) ?? shopId,
  };
}

// What a shop's bills are booked to, as numbers of base data.
function readShop(fields) {
  return {
    organisation: fields.text('organisation'),
    department: fields.text('department'),
    currency: fields.text('currency'),
    profitCentre: fields.text('profit_centre'),
  };
}

function byName(fields, read) {
  return new Map((fields?.names() ?? []).map((name) => [name, read(fields, name)]));
}
