;; Imports an HTTP client.
;; ends: refused module_refused
;; says: wasi:http
;; === wit
package wasi:http@0.2.3; interface outgoing-handler { handle: func() -> u32; }
;; === world
import wasi:http/outgoing-handler@0.2.3;
;; === imports
(import "wasi:http/outgoing-handler@0.2.3" "handle" (func $get (result i32)))
;; === body
(drop (call $get)) unreachable
