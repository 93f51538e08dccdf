/// <reference path="./interfaces/crossdock-transform-log.d.ts" />
/// <reference path="./interfaces/crossdock-transform-reference.d.ts" />
/// <reference path="./interfaces/crossdock-transform-types.d.ts" />
declare module 'crossdock:transform/transform@1.0.0' {
  export type Document = import('crossdock:transform/types@1.0.0').Document;
  export type Context = import('crossdock:transform/types@1.0.0').Context;
  export type Outcome = import('crossdock:transform/types@1.0.0').Outcome;
  export type Description = import('crossdock:transform/types@1.0.0').Description;
  export type * as CrossdockTransformLog100 from 'crossdock:transform/log@1.0.0'; // import crossdock:transform/log@1.0.0
  export type * as CrossdockTransformReference100 from 'crossdock:transform/reference@1.0.0'; // import crossdock:transform/reference@1.0.0
  export type * as CrossdockTransformTypes100 from 'crossdock:transform/types@1.0.0'; // import crossdock:transform/types@1.0.0
  /**
  * What this module is. Called whenever it is loaded, with fuel of its own.
  */
  export function describe(): Description;
  /**
  * Maps one document. A trap, an exhausted limit or an empty `emit` is the module's fault and parks the document. An
  * instance may serve several documents one after another; the outcome must not show it.
  */
  export function transform(context: Context, document: Document): Outcome;
}
