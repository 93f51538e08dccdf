declare module 'crossdock:transform/types@1.0.0' {
  /**
   * One version of a business record as the source system served it.
   */
  export interface Document {
    /**
     * The record's key in the source system (`io_id`, `stockin_no`, `code`): 1 to 512 bytes, no control
     * characters.
     */
    key: string,
    /**
     * The record as JSON text: the very bytes that the source wrote, so `1.50` is not `1.5`.
     * At most the scheme's document limit (default 4 MiB).
     */
    body: string,
  }
  /**
   * One bill for the target system.
   */
  export interface TargetDocument {
    /**
     * The bill's key in the target system (K3Cloud: `FBillNo`): 1 to 512 bytes, no control characters, and no
     * other bill of the same outcome has it. The host derives the key from `body` as well; where the two disagree
     * the document faults with `target_key_mismatch`.
     */
    key: string,
    /**
     * One bill as JSON text, in the form of the target operation (K3Cloud: one element of `Model`).
     * Request options such as the form's id belong to the scheme's settings, not here.
     */
    body: string,
  }
  /**
   * Why a document was skipped or rejected. People read it, and programs group by `code`.
   */
  export interface Reason {
    /**
     * A short identifier of lower-case letters, digits and underscores, stable between versions of the module.
     * 1 to 64 bytes.
     */
    code: string,
    /**
     * A sentence for a person. At most 4 KiB; the host cuts what is longer. Must not repeat personal data.
     */
    message: string,
    /**
     * The field of the source document it is about, as an RFC 6901 JSON Pointer (`/items/0/qty`). At most 512
     * bytes; an empty one means the whole document, `none` no field in particular.
     */
    field?: string,
  }
  /**
   * What became of a document. Anything that breaks a rule of this interface is `guest_output_invalid`.
   */
  export type Outcome = OutcomeEmit | OutcomeSkip | OutcomeReject;
  /**
   * Write these bills. An empty list is a fault (`empty_emit`): a module that means "nothing to do" says
   * `skip`. All bills together at most so many, and so many bytes with their keys
   * (defaults 1,000 and 8 MiB).
   */
  export interface OutcomeEmit {
    tag: 'emit',
    val: Array<TargetDocument>,
  }
  /**
   * Nothing needs to be written for this document, and that is right. It is done.
   */
  export interface OutcomeSkip {
    tag: 'skip',
    val: Reason,
  }
  /**
   * The document cannot be mapped as it stands. It is set aside (parked) for a person.
   */
  export interface OutcomeReject {
    tag: 'reject',
    val: Reason,
  }
  /**
   * What surrounds a document.
   */
  export interface Context {
    /**
     * The tenant's identifier.
     */
    tenant: string,
    /**
     * The scheme's name within the tenant.
     */
    scheme: string,
    /**
     * Source system and operation, `system:operation`, for example
     * `jushuitan_qimen:jushuitan.saleout.list.query`.
     */
    source: string,
    /**
     * Target system and operation, `system:operation`, for example `kingdee_k3cloud:BatchSave`.
     */
    target: string,
    /**
     * The scheme's parameters as JSON text, valid against the module's `parameters-schema`. `{}` where the
     * scheme has none. At most 256 KiB by default.
     */
    parameters: string,
    /**
     * When this version of the document was first received: RFC 3339, UTC, whole seconds
     * (`2026-11-01T00:00:00Z`). Stored with the document; never "now", so a second run sees the same.
     */
    receivedAt: string,
  }
  /**
   * What a module says of itself, read whenever the host loads it. `describe` gets no input and must answer the same
   * each time.
   */
  export interface Description {
    /**
     * The module's name: lower-case letters, digits and hyphens, 1 to 64 bytes.
     */
    name: string,
    /**
     * The module's own version, as in semver.org 2.0.0, at most 64 bytes. It says nothing of the contract's.
     */
    version: string,
    /**
     * The source it reads, `system:operation`: at most 200 bytes, no white space, no control characters.
     */
    source: string,
    /**
     * The target it writes, `system:operation`, under the same rule.
     */
    target: string,
    /**
     * A JSON Schema (2020-12) for `context.parameters`. At most 64 KiB.
     */
    parametersSchema: string,
  }
}
