;; Imports a function that belongs to no interface.
;; ends: refused module_refused
;; says: backdoor
;; === world
import backdoor: func();
;; === imports
(import "$root" "backdoor" (func $f))
;; === body
(call $f) unreachable
