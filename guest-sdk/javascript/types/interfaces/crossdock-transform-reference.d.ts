declare module 'crossdock:transform/reference@1.0.0' {
  /**
   * The entry as JSON text, or `none` where the key is known not to exist in `table`. Both are compared byte by byte.
   * Each call costs fuel by the byte and counts against the cap on host calls; all answers of one call of `transform`
   * together are capped in bytes (defaults 10,000 calls, 4 MiB).
   */
  export function lookup(table: string, key: string): string | undefined;
  export type LookupError = LookupErrorUnknownTable;
  /**
   * The scheme has no table of this name. Asking again does not help: reject, or fail loudly.
   */
  export interface LookupErrorUnknownTable {
    tag: 'unknown-table',
  }
}
