// What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

/** @param {import('crossdock-guest').Fields} fields */
export function readParameters(fields) {
  return {
    // The unit of every line, as the unit table knows it.
    unit: fields.text('unit'),
    materialTable: fields.text('material_table'),
    stockTable: fields.text('stock_table'),
    unitTable: fields.text('unit_table'),
  };
}
