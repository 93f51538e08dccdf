declare module 'crossdock:transform/log@1.0.0' {
  /**
   * Adds a line. It is a host call: it costs fuel by the byte and counts against their cap.
   */
  export function write(level: Level, message: string): void;
  /**
   * # Variants
   * 
   * ## `"debug"`
   * 
   * For developing.
   * ## `"info"`
   * 
   * Worth knowing later.
   * ## `"warn"`
   * 
   * The document was mapped, and somebody should look at it.
   * ## `"error"`
   * 
   * The document cannot be right.
   */
  export type Level = 'debug' | 'info' | 'warn' | 'error';
}
