;; Declares four gigabytes of memory, more than a slot holds.
;; ends: refused module_refused
;; says: does not fit into a slot
;; replace: (memory (export "memory") 4) => (memory (export "memory") 65536)
;; === body
(call $emit (local.get $key) (local.get $key_len) (local.get $body) (local.get $body_len))
