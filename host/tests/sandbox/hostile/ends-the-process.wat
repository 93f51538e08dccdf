;; Ends itself with an exit code.
;; ends: parked guest_trap
;; says: exit
;; === wit
package wasi:cli@0.2.3; interface exit { exit: func(status: result); }
;; === world
import wasi:cli/exit@0.2.3;
;; === imports
(import "wasi:cli/exit@0.2.3" "exit" (func $exit (param i32)))
;; === body
(call $exit (i32.const 0)) unreachable
