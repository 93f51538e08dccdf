/// <reference path="./interfaces/crossdock-transform-log.d.ts" />
/// <reference path="./interfaces/crossdock-transform-reference.d.ts" />
/// <reference path="./interfaces/crossdock-transform-types.d.ts" />
declare module 'crossdock:transform/transform@0.1.0' {
  export type Document = import('crossdock:transform/types@0.1.0').Document;
  export type Context = import('crossdock:transform/types@0.1.0').Context;
  export type Outcome = import('crossdock:transform/types@0.1.0').Outcome;
  export type Description = import('crossdock:transform/types@0.1.0').Description;
  export type * as CrossdockTransformLog010 from 'crossdock:transform/log@0.1.0'; // import crossdock:transform/log@0.1.0
  export type * as CrossdockTransformReference010 from 'crossdock:transform/reference@0.1.0'; // import crossdock:transform/reference@0.1.0
  export type * as CrossdockTransformTypes010 from 'crossdock:transform/types@0.1.0'; // import crossdock:transform/types@0.1.0
  /**
  * What this module is. Called at upload, with a small share of the fuel of a document.
  */
  export function describe(): Description;
  /**
  * Maps one document. A trap, an exhausted limit or an empty `emit` is the module's fault and parks the document.
  */
  export function transform(context: Context, document: Document): Outcome;
}
