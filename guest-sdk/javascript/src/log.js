// Lines that stay with the document, for the developer and for whoever looks at it later. The host keeps up to 100 lines
// and 16 KiB of one call and records that it dropped the rest. They must not carry personal data.

import { write } from 'crossdock:transform/log@1.0.0';

/** For developing; nobody reads it in production. @param {unknown} message */
export const debug = (message) => write('debug', String(message));
/** Worth knowing later: which branch was taken, and why. @param {unknown} message */
export const info = (message) => write('info', String(message));
/** The document was mapped, and somebody should look at it. @param {unknown} message */
export const warn = (message) => write('warn', String(message));
/** The document cannot be right. @param {unknown} message */
export const error = (message) => write('error', String(message));
