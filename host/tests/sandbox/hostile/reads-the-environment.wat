;; Reads the environment, which is empty.
;; ends: harmless
;; === wit
package wasi:cli@0.2.3; interface environment { get-environment: func() -> list<tuple<string, string>>; get-arguments: func() -> list<string>; }
;; === world
import wasi:cli/environment@0.2.3;
;; === imports
(import "wasi:cli/environment@0.2.3" "get-environment" (func $env (param i32)))
;; === body
(call $env (i32.const 2000))
(if (i32.load (i32.const 2004)) (then unreachable)) ;; a variable would be a leak
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
