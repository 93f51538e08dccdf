// What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

/** @param {import('crossdock-guest').Fields} fields */
export function readParameters(fields) {
  return {
    billType: fields.text('bill_type'),
    organisation: fields.text('organisation'),
    customer: fields.text('customer'),
    currency: fields.text('currency'),
    unit: fields.text('unit'),
  };
}
