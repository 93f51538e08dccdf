// What differs between users: `parameters.schema.json` describes it, `parameters.example.json` is one user's.

/** @param {import('crossdock-guest').Fields} fields */
export function readParameters(fields) {
  return {
    organisation: fields.text('organisation'),
  };
}
