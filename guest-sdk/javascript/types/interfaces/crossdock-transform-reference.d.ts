declare module 'crossdock:transform/reference@0.1.0' {
  /**
   * The entry as JSON text, or `none` where the key is known not to exist in `table`.
   * Each call counts against the cap on host calls (default 10,000 per document).
   */
  export function lookup(table: string, key: string): string | undefined;
  export type LookupError = LookupErrorUnknownTable;
  /**
   * The scheme has no table of this name. Retrying does not help; reject, or fail loudly.
   */
  export interface LookupErrorUnknownTable {
    tag: 'unknown-table',
  }
}
