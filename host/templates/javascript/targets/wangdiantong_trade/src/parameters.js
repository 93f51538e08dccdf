// What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

/** @param {import('crossdock-guest').Fields} fields */
export function readParameters(fields) {
  return {
    shopNo: fields.text('shop_no'),
    buyerNick: fields.text('buyer_nick'),
    // Stands in until the source's own fields say where the goods go.
    receiver: {
      name: fields.object('receiver').text('name'),
      mobile: fields.object('receiver').text('mobile'),
      address: fields.object('receiver').text('address'),
    },
  };
}
