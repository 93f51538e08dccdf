// Why a document cannot be mapped as it stands.

/**
 * Thrown, it parks the document for a person. Programs group by its code, people read its message, and its field is a
 * JSON Pointer (RFC 6901) into the source document. The codes that this package gives by itself are those of the Rust
 * crate: `malformed_json`, `field_missing`, `field_null`, `field_blank`, `field_type`, `field_invalid`, `not_a_number`,
 * `number_not_exact`, `too_many_places`, `parameters_invalid`, `body_unwritable` and the three of `reference`.
 */
export class Rejection extends Error {
  /**
   * @param {string} code in `snake_case`, at most 64 bytes, stable between versions
   * @param {string} message a sentence of at most 4 KiB that must not repeat personal data
   * @param {string} [field] a JSON Pointer into the source document: `/items/0/qty`
   */
  constructor(code, message, field) {
    super(message);
    this.code = code;
    this.field = field;
  }

  /** A required field that is not there. @param {string} field */
  static missing(field) {
    return new Rejection('field_missing', `${field} is missing`, field);
  }

  /** A required field that is `null`. @param {string} field @param {string} [wanted] */
  static null(field, wanted) {
    return new Rejection('field_null', `${field} is null${wanted ? `, expected ${wanted}` : ''}`, field);
  }

  /** A required field that holds only white space. @param {string} field */
  static blank(field) {
    return new Rejection('field_blank', `${field} is blank`, field);
  }
}
